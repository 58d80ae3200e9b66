"""Release and recapture: how many atoms a tweezer finds again after a while without light; tells how hot they are.

An atom starts thermal in the trap (harmonic approximation: Gaussian in position and velocity), flies freely under
gravity, and is caught if its energy in the trap, switched on again at once, is below zero:
    m v^2/2 < U(x, y, z) = U0/(1 + z^2/z_R^2) exp(-2 (x^2 + y^2)/(w0^2 (1 + z^2/z_R^2)))
Source: C. Tuchendler, A. M. Lance, A. Browaeys, Y. R. P. Sortais, P. Grangier, PRA 78, 033425 (2008).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.trap import Trap, frequencies_hz

FloatArray = npt.NDArray[np.float64]

STANDARD_GRAVITY_M_S2 = 9.80665
# A tweezer whose light travels horizontally, along z; x points up.
HORIZONTAL_BEAM = (-STANDARD_GRAVITY_M_S2, 0.0, 0.0)
VERTICAL_BEAM = (0.0, 0.0, -STANDARD_GRAVITY_M_S2)
_HOTTEST = 0.25  # of the depth; above it the harmonic approximation puts too many atoms outside the trap


class Cloud(NamedTuple):
    """Many independent atoms: position_m and velocity_m_s, float, shape (n, 3); z is the direction of the light."""

    position_m: FloatArray
    velocity_m_s: FloatArray


def potential_k(trap: Trap, position_m: FloatArray) -> FloatArray:
    """Return the potential energy over k_B in K, negative inside the trap; position_m, shape (..., 3)."""
    radial2 = position_m[..., 0] ** 2 + position_m[..., 1] ** 2
    spread = 1 + (position_m[..., 2] / trap.rayleigh_m) ** 2
    return np.asarray(-trap.depth_k / spread * np.exp(-2 * radial2 / (trap.waist_m**2 * spread)))


def thermal_cloud(rng: np.random.Generator, trap: Trap, mass_kg: float, temperature_k: npt.ArrayLike,
                  atoms: int) -> Cloud:  # fmt: skip
    """Draw atoms at a temperature, or each at its own (n,), all of them bound: what the harmonic approximation puts
    outside is drawn again.
    """
    temperature = np.broadcast_to(np.asarray(temperature_k, dtype=np.float64), (atoms,))
    if not np.all((temperature >= 0) & (temperature <= _HOTTEST * trap.depth_k)):
        raise ScenarioError(f"Argument `temperature_k` is {temperature_k!r}, but must be in [0, "
                            f"{_HOTTEST * trap.depth_k:g}], a quarter of the trap's depth.")
    radial, axial = (2 * math.pi * hz for hz in frequencies_hz(trap, mass_kg))
    speed = np.sqrt(BOLTZMANN_J_K * temperature / mass_kg)[:, None]
    width = speed / np.array([radial, radial, axial])
    position, velocity = np.empty((atoms, 3)), np.empty((atoms, 3))
    missing = np.arange(atoms)
    while len(missing):
        drawn = Cloud(rng.normal(size=(len(missing), 3)) * width[missing],
                      rng.normal(size=(len(missing), 3)) * speed[missing])  # fmt: skip
        position[missing], velocity[missing] = drawn
        missing = missing[~recaptured(trap, mass_kg, drawn)]
    return Cloud(position, velocity)


def fly(cloud: Cloud, time_s: float, gravity_m_s2: tuple[float, float, float] = HORIZONTAL_BEAM) -> Cloud:
    """Return the atoms after a free flight."""
    g = np.asarray(gravity_m_s2)
    position = cloud.position_m + cloud.velocity_m_s * time_s + 0.5 * g * time_s**2
    return Cloud(position, cloud.velocity_m_s + g * time_s)


def energy_k(trap: Trap, mass_kg: float, cloud: Cloud) -> FloatArray:
    """Return each atom's energy in the trap over k_B in K, negative where it is bound; shape (n,)."""
    kinetic_k = 0.5 * mass_kg / BOLTZMANN_J_K * (cloud.velocity_m_s**2).sum(axis=-1)
    return np.asarray(kinetic_k + potential_k(trap, cloud.position_m))


def recaptured(trap: Trap, mass_kg: float, cloud: Cloud) -> npt.NDArray[np.bool_]:
    """Return which atoms have a negative energy in the trap; bool, shape (n,)."""
    return energy_k(trap, mass_kg, cloud) < 0


def release_and_catch(rng: np.random.Generator, before: Trap, after: Trap, mass_kg: float, temperature_k: npt.ArrayLike,
                      time_s: float) -> tuple[npt.NDArray[np.bool_], FloatArray]:  # fmt: skip
    """Let single atoms, each at its own temperature (n,), fly from one trap to another; return which are caught and
    their temperatures then: a third of the energy above the trap's bottom. Atoms hotter than a quarter of the depth
    are taken to be as hot as that.
    """
    temperature = np.minimum(np.atleast_1d(np.asarray(temperature_k, dtype=np.float64)), _HOTTEST * before.depth_k)
    cloud = thermal_cloud(rng, before, mass_kg, temperature, len(temperature))
    energy = energy_k(after, mass_kg, fly(cloud, time_s))
    return energy < 0, (energy + after.depth_k) / 3


def recapture_probability(rng: np.random.Generator, trap: Trap, mass_kg: float, temperature_k: float,
                          release_s: npt.ArrayLike, atoms: int = 10_000,
                          gravity_m_s2: tuple[float, float, float] = HORIZONTAL_BEAM) -> FloatArray:
    """Return the recaptured fraction for each release time; shape (m,), error sqrt(p(1 - p)/atoms).

    One set of atoms serves all times, so the curve is smooth; its errors are correlated.
    """
    times = np.atleast_1d(np.asarray(release_s, dtype=np.float64))
    if not np.all(times >= 0):
        raise ScenarioError(f"Argument `release_s` must be >= 0, but its least is {times.min()!r}.")
    cloud = thermal_cloud(rng, trap, mass_kg, temperature_k, atoms)
    return np.array([recaptured(trap, mass_kg, fly(cloud, float(t), gravity_m_s2)).mean() for t in times])
