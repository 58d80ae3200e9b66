"""What drifts over lab time: polarisation in a fibre, optical phase, a cavity's detuning, a laser's power.

Three processes, advanced by their exact transition, so that the statistics do not depend on how time is cut:
    Ornstein-Uhlenbeck   x(t + T) = m + (x(t) - m) e^(-T/tau) + s sqrt(1 - e^(-2T/tau)) xi     (rms s about the mean m)
    random walk          x(t + T) = x(t) + r sqrt(T) xi                                        (r in units per sqrt(s))
    polarisation walk    J(t + T) = W J(t), W a rotation about a random axis by a random angle
with xi ~ N(0, 1). The polarisation walk is Brownian motion on SU(2): its angle theta (on the Poincare sphere) has the
density sum_n n e^(-(n^2 - 1)s) sin(n theta/2) sin(theta/2)/pi, n = 1, 2, ..., with s = r^2 T/8; a Stokes vector keeps
e^(-r^2 T) of itself on average. `advance_to` keeps to a lattice of lab time besides, so that the path itself, not only
its statistics, is the same whoever asks when.
Sources: D. T. Gillespie, PRE 54, 2084 (1996), for the exact updates; C. B. Czegledi et al., Sci. Rep. 6, 21217 (2016),
arXiv 1507.00953, for the walk of polarisation and its check against measured fibres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

_CHUNK = 1 << 12  # lattice steps per draw
_FLAT = 1e-4  # below this s the group is flat to 1e-4, and the angle's series long
_ANGLES = 1024


@dataclass(frozen=True)
class Drift:
    """Describe an Ornstein-Uhlenbeck process about `mean`: rms^2 exp(-|t|/correlation_s) is its correlation."""

    rms: float
    correlation_s: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        require(self, "rms", 0)
        require(self, "correlation_s", 0, above=True)
        require(self, "mean", -math.inf)

    def transition(self, dt_s: float) -> tuple[float, float]:
        """Return (factor on the distance from the mean, rms of what is added) of a time step."""
        x = dt_s / self.correlation_s
        return math.exp(-x), self.rms * math.sqrt(-math.expm1(-2 * x))


@dataclass(frozen=True)
class Walk:
    """Describe a walk whose variance grows by rms_per_sqrt_s^2 each second; it has no mean to return to."""

    rms_per_sqrt_s: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        require(self, "rms_per_sqrt_s", 0)
        require(self, "mean", -math.inf)

    def transition(self, dt_s: float) -> tuple[float, float]:
        """Return (factor on the distance from the start, rms of what is added) of a time step."""
        return 1.0, self.rms_per_sqrt_s * math.sqrt(dt_s)


@dataclass(frozen=True)
class Linear:
    """Describe what grows evenly from 0."""

    per_s: float

    def __post_init__(self) -> None:
        require(self, "per_s", -math.inf)

    def at(self, t_s: float) -> float:
        """Return the value at lab time t_s."""
        return self.per_s * t_s


@dataclass(frozen=True)
class Sine:
    """Describe what swings, amplitude sin(2 pi t/period + phase): an air conditioning, a day."""

    amplitude: float
    period_s: float
    phase_rad: float = 0.0

    def __post_init__(self) -> None:
        require(self, "amplitude", -math.inf)
        require(self, "period_s", 0, above=True)
        require(self, "phase_rad", -math.inf)

    def at(self, t_s: float) -> float:
        """Return the value at lab time t_s."""
        return self.amplitude * math.sin(2 * math.pi * t_s / self.period_s + self.phase_rad)


@dataclass(frozen=True)
class Offset:
    """Describe a constant error that is there from the start."""

    value: float

    def __post_init__(self) -> None:
        require(self, "value", -math.inf)

    def at(self, _t_s: float) -> float:
        """Return the value at any time."""
        return self.value


@dataclass(frozen=True)
class PolarisationWalk:
    """Describe a fibre's drift: after T each of the three rotation angles has an rms of rad_per_sqrt_s sqrt(T)."""

    rad_per_sqrt_s: float

    def __post_init__(self) -> None:
        require(self, "rad_per_sqrt_s", 0)


def locked_cavity(kappa_rad_s: float) -> Drift:
    """Return the detuning of a cavity in lock, rad/s: rms 0.05 kappa, 10 ms (the design's default, a typical lock)."""
    return Drift(0.05 * kappa_rad_s, 10e-3)


def free_cavity(kappa_rad_s: float) -> Walk:
    """Return the detuning of a cavity whose lock is off, rad/s: it walks out of the lock's reach (3 kappa) in half a
    minute (design: a fibre cavity on a piezo, no thermal shield).
    """
    return Walk(0.5 * kappa_rad_s)


@overload
def start(rng: np.random.Generator, drift: Drift | Walk) -> float: ...
@overload
def start(rng: np.random.Generator, drift: Drift | Walk, size: int) -> FloatArray: ...
def start(rng: np.random.Generator, drift: Drift | Walk, size: int | None = None) -> float | FloatArray:
    """Draw a first value: from the stationary distribution, or the mean of a walk; shape (size,) or a number."""
    spread = drift.rms if isinstance(drift, Drift) else 0.0
    return drift.mean + spread * rng.standard_normal(size)


@overload
def advance(rng: np.random.Generator, value: float, dt_s: float, drift: Drift | Walk) -> float: ...
@overload
def advance(rng: np.random.Generator, value: FloatArray, dt_s: float, drift: Drift | Walk) -> FloatArray: ...
def advance(rng: np.random.Generator, value: float | FloatArray, dt_s: float,
            drift: Drift | Walk) -> float | FloatArray:
    """Return the value(s) after dt_s >= 0, each with noise of its own; same shape as `value`. 0 s draws nothing."""
    _require_forward(dt_s)
    if dt_s == 0:
        return value
    keep, spread = drift.transition(dt_s)
    return drift.mean + keep * (value - drift.mean) + spread * rng.standard_normal(np.shape(value) or None)


def advance_to(rng: np.random.Generator, value: float, knot: int, until_s: float, step_s: float,
               drift: Drift | Walk) -> tuple[float, int]:
    """Return (value, knot) at the last multiple of step_s up to until_s, from those at time knot*step_s.

    One random number per knot, in order: the path does not depend on the times at which it is asked for. Between knots
    the value stays, so step_s is to be well below the correlation time. Costs some 20 ns per knot.
    """
    last = math.floor(until_s / step_s)
    if last < knot:
        raise ScenarioError(f"Argument `until_s` must be >= {knot * step_s:g}, but is {until_s:g}: a drift cannot be "
                            "turned back.")
    keep, spread = drift.transition(step_s)
    away = value - drift.mean
    powers = keep ** np.arange(min(_CHUNK, last - knot) - 1, -1, -1)
    for begin in range(knot, last, _CHUNK):
        kicks = rng.standard_normal(min(_CHUNK, last - begin))
        away = keep ** len(kicks) * away + spread * float(powers[len(powers) - len(kicks):] @ kicks)
    return drift.mean + away, last


def correlation(lag_s: float, drift: Drift) -> float:
    """Return <x(t) x(t + lag)> about the mean."""
    return drift.rms**2 * math.exp(-abs(lag_s) / drift.correlation_s)


def increment_rms(dt_s: float, drift: Drift | Walk) -> float:
    """Return the rms of x(t + T) - x(t): the phase error sigma of a scheme whose two photons are T apart."""
    keep, spread = drift.transition(dt_s)
    if isinstance(drift, Walk):
        return spread
    return math.hypot(spread, (1 - keep) * drift.rms)


def turn(rng: np.random.Generator, jones: ComplexArray, dt_s: float, walk: PolarisationWalk) -> ComplexArray:
    """Return the fibre's Jones matrix after dt_s; complex, shape (2, 2), in SU(2) if `jones` is."""
    _require_forward(dt_s)
    if dt_s == 0:
        return jones
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    theta = _rotation_angle(walk.rad_per_sqrt_s**2 * dt_s / 8, rng)
    x, y, z = -math.sin(theta / 2) * axis
    cosine = math.cos(theta / 2)
    kick = np.array([[cosine + 1j * z, 1j * x + y], [1j * x - y, cosine - 1j * z]])
    return np.asarray(kick @ jones, dtype=np.complex128)


def angle_cdf(theta_rad: FloatArray, s: float) -> FloatArray:
    """Return P(angle <= theta) of the polarisation walk, theta in 0..2 pi, s = r^2 T/8 > 0; the series in full."""
    orders = np.arange(2, 3 + math.ceil(math.sqrt(1 + 40 / s)))
    weights = orders * np.exp(-(orders**2 - 1) * s) / math.pi
    half = np.multiply.outer(theta_rad / 2, np.ones(len(orders)))
    terms = np.sin((orders - 1) * half) / (orders - 1) - np.sin((orders + 1) * half) / (orders + 1)
    return np.asarray((theta_rad - np.sin(theta_rad)) / (2 * math.pi) + terms @ weights)


def _rotation_angle(s: float, rng: np.random.Generator) -> float:
    if s < _FLAT:
        return float(np.linalg.norm(rng.normal(0.0, math.sqrt(8 * s), 3)))
    theta, cdf = _angle_table(s)
    return float(np.interp(rng.random(), cdf, theta))


@lru_cache(maxsize=64)
def _angle_table(s: float) -> tuple[FloatArray, FloatArray]:
    """Return angles and their distribution where the angle is likely: a few widths, or the whole circle."""
    theta = np.linspace(0.0, min(2 * math.pi, 7 * math.sqrt(8 * s)), _ANGLES)
    return theta, angle_cdf(theta, s)


def _require_forward(dt_s: float) -> None:
    if not dt_s >= 0:
        raise ScenarioError(f"Argument `dt_s` must be >= 0, but is {dt_s!r}: a drift cannot be turned back.")
