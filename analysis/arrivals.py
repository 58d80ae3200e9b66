"""Photon arrival times of each node, out of the histograms of `experiments/sequences/arrivals.py`.

Dark clicks are spread evenly over the gate; the believed number of them is taken off (few bins lie before the first
light: what they show says less than the belief). The mean and width of what is left have the errors of so many clicks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.estimates import Estimate, binomial
from analysis.load import Run
from analysis.result import columns
from atomlink.errors import DataError

FEWEST = 50  # clicks of a node


@dataclass(frozen=True)
class Arrivals:
    """Clicks of one node: `time_s` (bins,) bin centres after its excitation edge, `counts` (detectors, bins)."""

    time_s: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    attempts: int
    dark_per_bin: float  # all detectors together

    @property
    def clicks(self) -> int:
        """Return the number of clicks."""
        return int(self.counts.sum())

    @property
    def per_attempt(self) -> Estimate:
        """Return clicks per attempt, dark ones taken off."""
        dark = self.dark_per_bin * len(self.time_s) / self.attempts
        return binomial(self.clicks, self.attempts, "clicks/attempts") - dark

    def mean(self) -> Estimate:
        """Return the mean arrival in s."""
        weights, spread = self._weights(), self.width()
        value = float(weights @ self.time_s / weights.sum())
        return Estimate(value, spread.value / math.sqrt(self.clicks), self.clicks, "mean of the clicks", "s")

    def quantile(self, share: float) -> Estimate:
        """Return by when this share of the photons has come, in s; the error is that of counting them."""
        weights = self._weights()
        total = float(weights.sum())
        risen = np.concatenate([[0.0], np.cumsum(weights)]) / total
        edges = self.time_s[0] + (self.time_s[1] - self.time_s[0]) * (np.arange(len(weights) + 1) - 0.5)
        # Noise makes the sum fall now and then where there is no light yet: the last time it crosses counts.
        low, at, high = (_crossing(edges, risen, f * share) for f in (0.5, 1.0, 1.5))
        error = math.sqrt(share * (1 - share) / self.clicks) * (high - low) / share
        return Estimate(at, error, self.clicks, f"time by which {share:.0%} of the clicks came", "s")

    def width(self) -> Estimate:
        """Return the rms width in s. Its error follows from the fourth moment (at least that of a flat shape) and from
        the dark clicks, which come far from the middle: what is taken off is their mean number.
        """
        weights = self._weights()
        total = float(weights.sum())
        deviation = self.time_s - float(weights @ self.time_s) / total
        second, fourth = (float(weights @ deviation**k) / total for k in (2, 4))
        variance = max(fourth - second**2, second**2) / self.clicks
        variance += self.dark_per_bin * float(np.sum((deviation**2 - second) ** 2)) / total**2
        width = math.sqrt(second)
        return Estimate(width, math.sqrt(variance) / (2 * width), self.clicks, "rms of the clicks", "s")

    def _weights(self) -> npt.NDArray[np.float64]:
        return np.asarray(self.counts.sum(axis=0) - self.dark_per_bin, dtype=float)


def _crossing(edges: npt.NDArray[np.float64], risen: npt.NDArray[np.float64], level: float) -> float:
    """Return where a rising curve passes a level for good, between two edges."""
    k = int(np.flatnonzero(risen < level)[-1])
    return float(edges[k] + (level - risen[k]) / (risen[k + 1] - risen[k]) * (edges[k + 1] - edges[k]))


def arrivals(run: Run, node: str) -> Arrivals:
    """Return the arrivals of one node's photons; DataError where there are too few."""
    histogram, attempts, first, width = columns(run, ("h", node), ("n", node), ("t_first_s", node), "t_bin_s")
    counts = np.asarray(histogram, dtype=np.int64).reshape(-1, *np.shape(histogram)[-2:]).sum(axis=0)
    if counts.sum() < FEWEST:
        raise DataError(f"Run {run.label} has {counts.sum()} photons of {node}, must be {FEWEST}: take more attempts, "
                        "and look at light, cavity and switch.")
    time_s = float(first) + float(width) * (np.arange(counts.shape[1], dtype=np.float64) + 0.5)
    rate_hz = run.belief(run.link.of_station("dark_rate_hz")) or 0.0
    n = int(np.sum(attempts))
    return Arrivals(time_s, counts, n, n * counts.shape[0] * float(rate_hz) * float(width))
