"""The optical phase of an interferometer's two ways, as it wanders: Brownian motion, drawn where it is looked at."""

from __future__ import annotations

import math

import numpy as np


class PhaseWalk:
    """A phase that has wandered from 0 since lab time 0. What was once seen stays: times may only grow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._t_mu, self._rad = rng, 0, 0.0

    def at(self, t_mu: int, rad2_s: float) -> float:
        """Return the phase at t_mu; its variance grows by rad2_s a second. A look back gives the last one."""
        if t_mu > self._t_mu:
            if rad2_s > 0:
                self._rad += self._rng.normal(0.0, math.sqrt(rad2_s * (t_mu - self._t_mu) * 1e-9))
            self._t_mu = t_mu
        return self._rad
