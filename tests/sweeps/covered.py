"""How often 68 % intervals cover the truth, and whether that is as often as they say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

COVERED = (0.57, 0.79)  # of the intervals: what the project asks for
BY_CHANCE = 0.02  # how probable a share beyond the limits must be to stay open, where few runs were made


@dataclass(frozen=True)
class Coverage:
    """What became of one estimate in many runs: pulls (value - truth)/error, and how many runs gave none."""

    pulls: np.ndarray
    missing: int

    @property
    def n(self) -> int:
        """Return the number of estimates."""
        return len(self.pulls)

    @property
    def share(self) -> float:
        """Return the share of intervals, value ± error, that contain the truth."""
        return float(np.mean(np.abs(self.pulls) <= 1)) if self.n else math.nan

    @property
    def error(self) -> float:
        """Return the binomial error of the share (Jeffreys)."""
        k = float(np.sum(np.abs(self.pulls) <= 1))
        return math.sqrt((k + 0.5) * (self.n - k + 0.5) / (self.n + 2)) / (self.n + 1)

    @property
    def mean(self) -> float:
        """Return the mean pull."""
        return float(self.pulls.mean()) if self.n else math.nan

    @property
    def rms(self) -> float:
        """Return the rms pull; a few wild ones show here and not in the share."""
        return float(np.sqrt(np.mean(self.pulls**2))) if self.n else math.nan

    @property
    def refused(self) -> float:
        """Return the share of runs without this estimate."""
        return self.missing / max(self.n + self.missing, 1)

    def verdict(self) -> str:
        """Return `good`, `bad` (beyond the limits, and not by chance), or `open` (beyond them, perhaps by chance)."""
        low, high = COVERED
        if not self.n:
            return "bad"
        if low <= self.share <= high:
            return "good"
        k = round(self.share * self.n)
        chance = stats.binom.cdf(k, self.n, low) if self.share < low else stats.binom.sf(k - 1, self.n, high)
        return "bad" if chance < BY_CHANCE else "open"


def coverage(values: Sequence[tuple[float, float, float] | None]) -> Coverage:
    """Return the coverage of (value, error, truth), None where there was no estimate."""
    found = [entry for entry in values if entry is not None]
    pulls = np.array([(value - truth) / error if error > 0 else math.copysign(math.inf, value - truth)
                      for value, error, truth in found])  # fmt: skip
    return Coverage(pulls, len(values) - len(found))
