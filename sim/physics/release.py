"""Release and recapture: how cold an atom is, from how long it may fly with the trap off.

Positions and velocities are thermal in the harmonic approximation; the atom flies freely, gravity included, and is
recaptured if its energy in the Gaussian trap is negative then. The trap returns at once and unchanged.
Source: C. Tuchendler et al., PRA 78, 033425 (2008), Monte Carlo method.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.trap import Trap, frequencies_hz

Floats = npt.NDArray[np.float64]

GRAVITY_M_S2 = 9.80665


def potential_k(position_m: Floats, trap: Trap) -> Floats:
    """Return the trap's potential in K (negative), shape (n,), at position_m, shape (n, 3): two radial axes, one axial.
    """
    widening = 1 + (position_m[:, 2] / trap.rayleigh_m) ** 2
    radius2 = position_m[:, 0] ** 2 + position_m[:, 1] ** 2
    return np.asarray(-trap.depth_k / widening * np.exp(-2 * radius2 / (trap.waist_m**2 * widening)))


def thermal_atoms(rng: np.random.Generator, n: int, temperature_k: float, trap: Trap,
                  mass_kg: float) -> tuple[Floats, Floats]:
    """Draw (positions in m, velocities in m/s) of atoms in a harmonic trap, float, shape (n, 3) each."""
    if temperature_k < 0:
        raise ScenarioError(f"Argument `temperature_k` must be >= 0, but is {temperature_k!r}.")
    speed = math.sqrt(BOLTZMANN_J_K * temperature_k / mass_kg)
    radial, axial = frequencies_hz(trap, mass_kg)
    omega = 2 * math.pi * np.array([radial, radial, axial])
    return speed / omega * rng.standard_normal((n, 3)), speed * rng.standard_normal((n, 3))


def recaptured(rng: np.random.Generator, release_s: npt.ArrayLike, temperature_k: float, trap: Trap, mass_kg: float,
               n: int = 10_000, gravity_axis: int = 0) -> Floats:
    """Return the fraction of n atoms recaptured after each release time, float, shape of release_s.

    All times see the same atoms, so the curve is smooth. gravity_axis: 0 or 1 radial, 2 along the beam.
    """
    times = np.asarray(release_s, dtype=float)
    if times.size and times.min() < 0:
        raise ScenarioError(f"Argument `release_s` must be >= 0, but holds {times.min()!r}.")
    start, velocity = thermal_atoms(rng, n, temperature_k, trap, mass_kg)
    kept = [_fraction(start, velocity, float(time), trap, mass_kg, gravity_axis) for time in times.ravel()]
    return np.array(kept).reshape(times.shape)


def _fraction(start: Floats, velocity: Floats, time_s: float, trap: Trap, mass_kg: float, gravity_axis: int) -> float:
    fall = np.zeros(3)
    fall[gravity_axis] = GRAVITY_M_S2
    position = start + velocity * time_s - 0.5 * fall * time_s**2
    speed = velocity - fall * time_s
    kinetic_k = 0.5 * mass_kg * (speed**2).sum(axis=1) / BOLTZMANN_J_K
    return float((kinetic_k + potential_k(position, trap) < 0).mean())
