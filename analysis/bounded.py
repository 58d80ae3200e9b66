"""A measured value of something that cannot exceed a limit: the interval that holds the truth in 68 % of all runs.

A visibility fitted as 1.02 ± 0.05 says that V lies near 1, not above it, and neither "1.02" nor "1 ± 0.05" is an honest
way to say so. For a normal estimator the ordering by likelihood ratio gives an interval within the limit that covers as
often as it claims; its middle and half its width become value and error. Far from the limit (two standard errors) it is
the estimate as it was. Source: G. J. Feldman, R. D. Cousins, PRD 57, 3873 (1998), section IV B.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from analysis.estimates import Estimate

Floats = npt.NDArray[np.float64]
COVERAGE = 0.682689492137086  # of one standard deviation
_FARTHEST = 1.0  # standard errors beyond the limit: the interval gets no shorter, so that no bad luck looks precise
_WIDEST = 8.0  # standard errors above a mean that may have to be accepted
_INSIDE = 3.0  # standard errors within it: nothing changes


def at_most(limit: float, estimate: Estimate) -> Estimate:
    """Return value and error of the interval below `limit` (an estimate without error or number: as it is)."""
    if not (math.isfinite(estimate.value) and math.isfinite(estimate.error) and estimate.error > 0):
        return estimate
    inside = (limit - estimate.value) / estimate.error
    if inside > _INSIDE:
        return estimate
    low, high = _interval(max(inside, -_FARTHEST))
    return replace(estimate, value=limit - estimate.error * (low + high) / 2, error=estimate.error * (high - low) / 2)


def share(estimate: Estimate) -> Estimate:
    """Return the same for a share of 0 … 1: from the limit that is nearer."""
    if estimate.value > 0.5:
        return at_most(1.0, estimate)
    mirrored = at_most(1.0, 1 - estimate)
    return replace(estimate, value=1 - mirrored.value, error=mirrored.error)


def _interval(x: float) -> tuple[float, float]:
    """Return lowest and highest mean >= 0 that accepts x, of a normal variable of width 1."""
    means, low, high = _belt()
    accepted = means[(low <= x) & (x <= high)]
    return float(accepted[0]), float(accepted[-1])


@lru_cache(maxsize=1)
def _belt() -> tuple[Floats, Floats, Floats]:
    """Return means >= 0 with the lowest and highest x that each accepts."""
    means = np.linspace(0.0, _INSIDE + 2.0, 1001)
    low, high = (np.empty_like(means) for _ in range(2))
    for k, mean in enumerate(means):
        near, far = mean, mean + _WIDEST  # the upper end, by bisection; the lower one has the same likelihood ratio
        for _ in range(50):
            middle = 0.5 * (near + far)
            if ndtr(middle - mean) - ndtr(_lower(middle, mean) - mean) < COVERAGE:
                near = middle
            else:
                far = middle
        low[k], high[k] = _lower(far, mean), far
    low[0] = -math.inf  # x far beyond the limit says that the mean is there
    return means, low, high


def _lower(high: float, mean: float) -> float:
    """Return the x below the mean whose likelihood ratio to the best mean >= 0 is that of `high`."""
    distance = high - mean
    if mean - distance >= 0:
        return mean - distance
    # x < 0: log ratio x mean - mean^2/2; at high -(high - mean)^2/2
    return -math.inf if mean == 0 else 0.5 * mean - 0.5 * distance**2 / mean
