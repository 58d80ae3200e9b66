"""Attempts until a herald against the geometric law, which holds if every attempt has the same chance.

P(K = k) = p (1 - p)^(k - 1), p = n / sum(K). The test bins K at the quantiles of the law and compares by
chi-squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from atomlink.errors import DataError

Ints = npt.NDArray[np.integer[Any]]
PER_BIN = 20  # expected heralds in a bin of the test
FAILED_BELOW = 0.01  # p-value


@dataclass(frozen=True)
class Waiting:
    """Test of the attempts per herald (n,) against the geometric law with probability p."""

    attempts: Ints
    p: float
    chi2: float
    dof: int
    p_value: float

    @property
    def failed(self) -> bool:
        """Return whether the waits are not those of equal chances."""
        return bool(self.p_value < FAILED_BELOW)  # False for nan: too few

    @property
    def verdict(self) -> str:
        """Return in words what the test says."""
        if not self.dof:
            return "too few heralds for a test"
        if not self.failed:
            return "the waits are those of equal chances"
        # Of equal chances half of the waits are shorter than ln 2 means, which a few endless ones hardly change.
        if np.log(2) / self.p > np.median(self.attempts) * (1 + 3 / np.sqrt(len(self.attempts))):
            why = "more long waits than chance makes, as from attempts without an atom, or from drifts"
        else:
            why = "chances differ within a wait or between waits, as from heating between two coolings, or drifts"
        return f"FAILED: {why}; the herald probability is a mean over unequal attempts"


def check_waiting(attempts: Ints) -> Waiting:
    """Compare attempts per herald (n,) with the geometric law; DataError for an entry below 1; too few: p_value nan."""
    if len(attempts) == 0 or attempts.min() < 1:
        raise DataError("Dataset `shots.attempts` must hold numbers >= 1: an attempt that heralds counts itself.")
    n, p = len(attempts), len(attempts) / float(attempts.sum())
    bins = min(30, n // PER_BIN)
    if bins < 3 or p == 1.0:
        return Waiting(attempts, p, np.nan, 0, np.nan)
    edges = np.unique(np.round(np.log1p(-np.arange(bins) / bins) / np.log1p(-p)))  # P(K > edge) = (1 - p)^edge
    observed = np.histogram(attempts - 0.5, np.append(edges, np.inf))[0]
    expected = n * -np.diff(np.append((1 - p) ** edges, 0.0))
    statistic, dof = float(np.sum((observed - expected) ** 2 / expected)), len(edges) - 2
    return Waiting(attempts, p, statistic, dof, float(chdtrc(dof, statistic)) if dof > 0 else np.nan)
