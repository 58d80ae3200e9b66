"""Quantities that wander: an Ornstein-Uhlenbeck process, advanced over any interval without error.

Between two times dt apart  x' = x e^{-dt/tau} + rms sqrt(1 - e^{-2 dt/tau}) N(0, 1),  whatever lies between, so results
do not depend on how often the value is asked for, only their noise does.
Source: D. T. Gillespie, Phys. Rev. E 54, 2084 (1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from atomlink.errors import ScenarioError
from sim.physics.validate import require


@dataclass(frozen=True)
class Drift:
    """Describe a wandering quantity by its stationary rms (in its own unit) and correlation time."""

    rms: float
    correlation_s: float

    def __post_init__(self) -> None:
        require(self, "rms", 0)
        require(self, "correlation_s", 0, above=True)


def start(rng: np.random.Generator, drift: Drift) -> float:
    """Draw a value of the process long after it began."""
    return drift.rms * float(rng.standard_normal())


def advance(rng: np.random.Generator, value: float, dt_s: float, drift: Drift) -> float:
    """Draw the value dt_s later; dt_s = 0 changes nothing and draws nothing."""
    if dt_s < 0:
        raise ScenarioError(f"Argument `dt_s` must be >= 0, but is {dt_s!r}.")
    if dt_s == 0:
        return value
    kept = math.exp(-dt_s / drift.correlation_s)
    fresh = drift.rms * math.sqrt(-math.expm1(-2 * dt_s / drift.correlation_s))
    return value * kept + fresh * float(rng.standard_normal())


def correlation(lag_s: float, drift: Drift) -> float:
    """Return <x(t) x(t + lag)>."""
    return drift.rms**2 * math.exp(-abs(lag_s) / drift.correlation_s)
