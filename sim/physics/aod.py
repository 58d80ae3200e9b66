"""One atom carried by a tweezer of an acousto-optic deflector: how long it takes, what it heats, what is lost.

An oscillator of frequency w at rest, carried by a trap with acceleration a(t), ends in a coherent state of
    dN = m |a~(w)|^2/(2 hbar w),   a~(w) = integral of a(t) e^{iwt}
quanta. With theta = w T/2 and spherical Bessel functions j_l, a way D in the time T gives
    cubic          x = D (3 s^2 - 2 s^3)              |a~| = 6 D |j_1(theta)|/T
    minimum jerk   x = D (10 s^3 - 15 s^4 + 6 s^5)    |a~| = 30 D |j_2(theta)|/(T theta)
and for w T >> 1, averaged over the phase, a cubic move 36 m D^2/(hbar w^3 T^4).
Sources: D. Bluvstein et al., Nature 604, 451 (2022), methods (cubic profile, its heating, 0.55 um/us); T. Flash, N.
Hogan, J. Neurosci. 5, 1688 (1985) (minimum jerk); D. Leibfried et al., RMP 75, 281 (2003) (driven oscillator).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S
from sim.physics.validate import require, require_grid

FloatArray = npt.NDArray[np.float64]

# Position x/D against s = t/T, coefficients from s^0 upwards.
PROFILES: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "cubic": (0.0, 0.0, 3.0, -2.0),
    "minimum_jerk": (0.0, 0.0, 0.0, 10.0, -15.0, 6.0),
})
_PEAK_SPEED = {"cubic": 1.5, "minimum_jerk": 1.875}  # at s = 1/2, in units of D/T


@dataclass(frozen=True)
class Moves:
    """Describe how atoms are carried: profile, highest speed, shortest time of travel, time to hand an atom over (ramp
    of the tweezer's depth, twice per move), probability to lose it at each hand-over, lifetime in the vacuum.
    """

    profile: str
    max_speed_m_s: float
    shortest_s: float
    handover_s: float
    handover_loss: float
    vacuum_lifetime_s: float

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ScenarioError(f"Moves.profile is {self.profile!r}, but must be one of {', '.join(PROFILES)}: "
                                "correct the scenario.")
        for field in ("max_speed_m_s", "vacuum_lifetime_s"):
            require(self, field, 0, above=True)
        for field in ("shortest_s", "handover_s"):
            require(self, field, 0)
        require(self, "handover_loss", 0, 1)


def position(profile: str, s: npt.ArrayLike) -> FloatArray:
    """Return the fraction of the way, same shape as s, at the fraction s of the time, 0 to 1."""
    return np.asarray(np.polynomial.polynomial.polyval(np.asarray(s, dtype=float), PROFILES[profile]))


def acceleration(profile: str, s: npt.ArrayLike) -> FloatArray:
    """Return the acceleration in units of D/T^2, same shape as s."""
    twice = np.polynomial.polynomial.polyder(PROFILES[profile], 2)
    return np.asarray(np.polynomial.polynomial.polyval(np.asarray(s, dtype=float), twice))


def travel_s(distance_m: npt.ArrayLike, moves: Moves) -> FloatArray:
    """Return the time of travel at the highest speed allowed, not below the shortest; 0 where the way is 0."""
    way = np.abs(np.asarray(distance_m, dtype=float))
    return np.where(way > 0, np.maximum(_PEAK_SPEED[moves.profile] * way / moves.max_speed_m_s, moves.shortest_s), 0.0)


def duration_s(longest_m: npt.ArrayLike, moves: Moves) -> float:
    """Return the time of a whole plan, each move as long as its longest way, with both hand-overs."""
    longest = np.atleast_1d(np.asarray(longest_m, dtype=float))
    return float(travel_s(longest, moves).sum() + 2 * moves.handover_s * np.count_nonzero(longest))


def phonons(distance_m: npt.ArrayLike, time_s: npt.ArrayLike, trap_rad_s: npt.ArrayLike, mass_kg: float,
            profile: str) -> FloatArray:
    """Return the quanta dN that a move along one axis adds to an oscillator at rest; closed form, shapes broadcast."""
    from scipy.special import spherical_jn

    time, omega = np.asarray(time_s, dtype=float), np.asarray(trap_rad_s, dtype=float)
    theta = 0.5 * omega * time
    bessel = _j1(theta) if profile == "cubic" else 5 * spherical_jn(2, theta) / theta
    spectrum = 6 * np.asarray(distance_m, dtype=float) / time * bessel
    return np.asarray(mass_kg * spectrum**2 / (2 * HBAR_J_S * omega))


def _j1(x: FloatArray) -> FloatArray:
    """Return the spherical Bessel function j_1 for x > 0; ten times faster than scipy's for a line of atoms."""
    series = x / 3 * (1 - x**2 / 10 * (1 - x**2 / 28 * (1 - x**2 / 54)))  # the closed form cancels for small x
    return np.asarray(np.where(x < 0.1, series, (np.sin(x) / np.maximum(x, 0.1) - np.cos(x)) / np.maximum(x, 0.1)))


def phonons_of(acceleration_m_s2: FloatArray, t_s: FloatArray, trap_rad_s: float, mass_kg: float) -> float:
    """Return dN of any trajectory from its acceleration on the uniform grid t_s, both float, shape (n,)."""
    step = require_grid(t_s)
    values = acceleration_m_s2 * np.exp(1j * trap_rad_s * t_s)
    spectrum = step * (values.sum() - 0.5 * (values[0] + values[-1]))
    return float(mass_kg * abs(spectrum) ** 2 / (2 * HBAR_J_S * trap_rad_s))


def p_lost_displaced(quanta: npt.ArrayLike, trap_rad_s: npt.ArrayLike, temperature_k: npt.ArrayLike,
                     depth_k: npt.ArrayLike) -> FloatArray:
    """Return P(E > U0) of thermal atoms that a move has displaced along one axis; the arguments broadcast.

    2E/kT is the sum of six squared normal variables, one of them shifted: noncentral chi-squared with 6 degrees of
    freedom and noncentrality 2 hbar w dN/kT. Without displacement it is `sim.physics.trap.p_lost`.
    """
    from scipy.special import chndtr

    temperature, depth = np.asarray(temperature_k, dtype=float), np.asarray(depth_k, dtype=float)
    if not (np.all(temperature > 0) and np.all(depth > 0)):
        raise ScenarioError(f"Arguments `temperature_k` and `depth_k` must be > 0, but are {temperature_k!r} and "
                            f"{depth_k!r}.")
    energy = HBAR_J_S * np.asarray(trap_rad_s, dtype=float) * np.asarray(quanta, dtype=float)
    shift = 2 * energy / (BOLTZMANN_J_K * temperature)
    return np.asarray(1 - chndtr(2 * depth / temperature, 6, shift))


def temperature_after_k(quanta: npt.ArrayLike, trap_rad_s: float, temperature_k: float) -> FloatArray:
    """Return the temperature once the energy of a move has spread over the three axes: T + hbar w dN/(3 k_B)."""
    energy = HBAR_J_S * trap_rad_s * np.asarray(quanta, dtype=float)
    return np.asarray(temperature_k + energy / (3 * BOLTZMANN_J_K))


def survival(distance_m: npt.ArrayLike, moves: Moves, trap_rad_s: float, mass_kg: float,
             temperature_k: npt.ArrayLike, depth_k: float, time_s: npt.ArrayLike | None = None) -> FloatArray:
    """Return the probability that an atom survives being picked up, carried over distance_m and put down.

    time_s: the travel's time where it is not that of the atom's own way (a line moves as slowly as its longest way
    asks). An atom with way 0 is not touched: 1. Loss from the initial thermal energy alone is not counted: such an
    atom was already gone.
    """
    way = np.abs(np.asarray(distance_m, dtype=float))
    travel = travel_s(way, moves) if time_s is None else np.broadcast_to(np.asarray(time_s, dtype=float), way.shape)
    moved = way > 0
    quanta = phonons(way, np.where(moved, travel, 1.0), trap_rad_s, mass_kg, moves.profile)
    before = 1 - p_lost_displaced(0.0, trap_rad_s, temperature_k, depth_k)
    kept = (1 - p_lost_displaced(quanta, trap_rad_s, temperature_k, depth_k)) / before
    vacuum = np.exp(-(travel + 2 * moves.handover_s) / moves.vacuum_lifetime_s)
    return np.where(moved, kept * vacuum * (1 - moves.handover_loss) ** 2, 1.0)


def fastest_s(distance_m: float, quanta: float, trap_rad_s: float, mass_kg: float) -> float:
    """Return the time of a cubic move that adds `quanta` on average over the phase w T: (36 m D^2/hbar w^3 dN)^(1/4).
    """
    return math.sqrt(math.sqrt(36 * mass_kg * distance_m**2 / (HBAR_J_S * trap_rad_s**3 * quanta)))
