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

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

_CHUNK = 1 << 12  # lattice steps per draw
_FLAT = 1e-4  # below this s the group is flat to 1e-4, and the angle's series long
_ANGLES = 2048


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """Describe noise about `mean` with standard deviation `rms` and correlation exp(-t/correlation_s)."""

    rms: float
    correlation_s: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        require(self, "rms", 0)
        require(self, "correlation_s", 0, above=True)
        require(self, "mean", -math.inf)

    def transition(self, time_s: float) -> tuple[float, float]:
        """Return (factor on the distance from the mean, rms of what is added) of a time step."""
        return math.exp(-time_s / self.correlation_s), self.rms * math.sqrt(-math.expm1(-2 * time_s / self.correlation_s))


@dataclass(frozen=True)
class RandomWalk:
    """Describe a walk whose variance grows by rms_per_sqrt_s^2 each second; it has no mean to return to."""

    rms_per_sqrt_s: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        require(self, "rms_per_sqrt_s", 0)
        require(self, "mean", -math.inf)

    def transition(self, time_s: float) -> tuple[float, float]:
        """Return (factor on the distance from the start, rms of what is added) of a time step."""
        return 1.0, self.rms_per_sqrt_s * math.sqrt(time_s)


@dataclass(frozen=True)
class PolarisationWalk:
    """Describe a fibre's drift: after T each of the three rotation angles has an rms of rad_per_sqrt_s sqrt(T)."""

    rad_per_sqrt_s: float

    def __post_init__(self) -> None:
        require(self, "rad_per_sqrt_s", 0)


Drift = OrnsteinUhlenbeck | RandomWalk


def locked_cavity(kappa_rad_s: float) -> OrnsteinUhlenbeck:
    """Return the detuning of a cavity in lock, rad/s: rms 0.05 kappa, 10 ms (the design's default, a typical lock)."""
    return OrnsteinUhlenbeck(0.05 * kappa_rad_s, 10e-3)


def start(drift: Drift, rng: np.random.Generator, size: int | None = None) -> float | FloatArray:
    """Draw a first value: from the stationary distribution, or the mean of a walk; shape (size,) or a number."""
    spread = drift.rms if isinstance(drift, OrnsteinUhlenbeck) else 0.0
    return drift.mean + spread * rng.standard_normal(size)


def advance(drift: Drift, value: float | FloatArray, time_s: float, rng: np.random.Generator) -> float | FloatArray:
    """Return the value(s) after time_s >= 0, each with noise of its own; same shape as `value`."""
    _require_forward(time_s)
    if time_s == 0:
        return value
    keep, spread = drift.transition(time_s)
    return drift.mean + keep * (value - drift.mean) + spread * rng.standard_normal(np.shape(value) or None)


def advance_to(drift: Drift, value: float, knot: int, until_s: float, step_s: float,
               rng: np.random.Generator) -> tuple[float, int]:
    """Return (value, knot) at the last multiple of step_s up to until_s, from those at time knot*step_s.

    One random number per knot, in order: the path does not depend on the times at which it is asked for. Between knots
    the value stays, so step_s is to be well below the correlation time.
    """
    last = math.floor(until_s / step_s)
    if last < knot:
        raise ScenarioError(f"Argument `until_s` is {until_s:g}, but must be >= {knot * step_s:g}: a drift cannot be "
                            "turned back.")
    keep, spread = drift.transition(step_s)
    away = value - drift.mean
    for begin in range(knot, last, _CHUNK):
        kicks = rng.standard_normal(min(_CHUNK, last - begin))
        powers = keep ** np.arange(len(kicks) - 1, -1, -1)
        away = keep ** len(kicks) * away + spread * float(powers @ kicks)
    return drift.mean + away, last


def increment_rms(drift: Drift, time_s: float) -> float:
    """Return the rms of x(t + T) - x(t): the phase error sigma of a scheme whose two photons are T apart."""
    keep, spread = drift.transition(time_s)
    if isinstance(drift, RandomWalk):
        return spread
    return math.hypot(spread, (1 - keep) * drift.rms)


def turn(walk: PolarisationWalk, jones: ComplexArray, time_s: float, rng: np.random.Generator) -> ComplexArray:
    """Return the fibre's Jones matrix after time_s; complex, shape (2, 2), in SU(2) if `jones` is."""
    _require_forward(time_s)
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    theta = _rotation_angle(walk.rad_per_sqrt_s**2 * time_s / 8, rng)
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
    # Points where the angle is likely: a few widths, or the whole circle.
    theta = np.linspace(0.0, min(2 * math.pi, 7 * math.sqrt(8 * s)), _ANGLES)
    return float(np.interp(rng.random(), angle_cdf(theta, s), theta))


def _require_forward(time_s: float) -> None:
    if not time_s >= 0:
        raise ScenarioError(f"Argument `time_s` is {time_s!r}, but must be >= 0: a drift cannot be turned back.")
