"""Two levels in a histogram of counts: where the threshold goes, and how often it errs.

A mixture of two Poisson or two normal laws by maximum likelihood (expectation maximisation, then errors from the
curvature of the likelihood). The threshold minimises the mean of the two error probabilities. Atoms that leave during
the exposure fill the gap between the levels; the laws do not know them, so `errors_seen` should be checked against
repeated images. Source: A. P. Dempster, N. M. Laird, D. B. Rubin, J. R. Stat. Soc. B 39, 1 (1977).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.estimates import Estimate
from analysis.fits import FitRefused

Floats = npt.NDArray[np.float64]
FEWEST = 20  # counts, and five in each level
FEWEST_IN_LEVEL = 5
_STEPS = 500


@dataclass(frozen=True)
class Levels:
    """Both levels, the share of bright counts, the threshold (bright is above it), and its error probabilities."""

    law: str  # "Poisson" or "normal"
    dark: Estimate
    bright: Estimate
    share: Estimate
    threshold: float
    p_dark_seen_bright: Estimate
    p_bright_seen_dark: Estimate
    spreads: tuple[float, float]

    @property
    def fidelity(self) -> Estimate:
        """Return 1 - the mean of both error probabilities."""
        return 1 - 0.5 * (self.p_dark_seen_bright + self.p_bright_seen_dark)

    def density(self, counts: Any) -> Floats:
        """Return the probability of each count, for the figure."""
        dark, bright = _laws(self.law, self._theta())
        return np.asarray((1 - self.share.value) * dark(counts) + self.share.value * bright(counts))

    def _theta(self) -> Floats:
        means = [self.share.value, self.dark.value, self.bright.value]
        return np.array(means + ([] if self.law == "Poisson" else list(self.spreads)))


def two_levels(counts: Any, law: str = "Poisson") -> Levels:
    """Return the two levels of counts; FitRefused where there are not two, or too few counts."""
    n = np.asarray(counts, dtype=float).ravel()
    if len(n) < FEWEST or not np.isfinite(n).all():
        raise FitRefused(f"Two levels refused: {len(n)} counts, must be {FEWEST} finite ones at least.")
    theta = _maximise(n, law)
    _check(n, law, theta)
    covariance = _covariance(n, law, theta)
    error = np.sqrt(np.diag(covariance))
    threshold = _threshold(law, theta)
    in_level = (len(n) * (1 - theta[0]), len(n) * theta[0])
    wrong = [_error_probability(law, theta, covariance, threshold, level, in_level[level]) for level in (0, 1)]
    spreads = (math.sqrt(theta[1]), math.sqrt(theta[2])) if law == "Poisson" else (float(theta[3]), float(theta[4]))
    source = f"two {law} levels"
    return Levels(
        law,
        dark=Estimate(float(theta[1]), float(error[1]), len(n), source, "counts"),
        bright=Estimate(float(theta[2]), float(error[2]), len(n), source, "counts"),
        share=Estimate(float(theta[0]), float(error[0]), len(n), source),
        threshold=threshold,
        p_dark_seen_bright=wrong[0],
        p_bright_seen_dark=wrong[1],
        spreads=spreads,
    )


def _laws(law: str, theta: Floats) -> tuple[Callable[[Any], Floats], Callable[[Any], Floats]]:
    if law == "Poisson":
        low, high = float(theta[1]), float(theta[2])
        return (lambda c: stats.poisson.pmf(np.round(c), low)), (lambda c: stats.poisson.pmf(np.round(c), high))
    return (lambda c: stats.norm.pdf(c, theta[1], theta[3])), (lambda c: stats.norm.pdf(c, theta[2], theta[4]))


def _maximise(n: Floats, law: str) -> Floats:
    """Return (share of bright, dark mean, bright mean[, dark spread, bright spread])."""
    split = _first_split(n)
    low, high = n[n <= split], n[n > split]
    theta = [len(high) / len(n), max(float(low.mean()), 1e-3), float(high.mean())]
    if law != "Poisson":
        theta += [max(float(low.std()), 0.5), max(float(high.std()), 0.5)]
    now = np.array(theta)
    for _ in range(_STEPS):
        before = now
        dark, bright = _laws(law, now)
        p_bright, p_dark = now[0] * bright(n), (1 - now[0]) * dark(n)
        weight = p_bright / np.maximum(p_bright + p_dark, 1e-300)
        total = max(float(weight.sum()), 1e-9), max(float((1 - weight).sum()), 1e-9)
        means = [max(float(((1 - weight) * n).sum()) / total[1], 1e-3), float((weight * n).sum()) / total[0]]
        now = np.array([total[0] / len(n), *means, *([] if law == "Poisson" else _spreads(n, weight, means, total))])
        if np.allclose(now, before, rtol=1e-9, atol=1e-12):
            break
    return now


def _spreads(n: Floats, weight: Floats, means: list[float], total: tuple[float, float]) -> list[float]:
    dark = math.sqrt(float(((1 - weight) * (n - means[0]) ** 2).sum()) / total[1])
    bright = math.sqrt(float((weight * (n - means[1]) ** 2).sum()) / total[0])
    return [max(dark, 0.3), max(bright, 0.3)]


def _first_split(n: Floats) -> float:
    """Return where to start: the split that separates best (Otsu, IEEE Trans. SMC 9, 62 (1979))."""
    at = np.unique(n)
    if len(at) < 2:
        raise FitRefused("Two levels refused: all counts are equal; check light, detector and exposure.")
    between = [len(a) * len(b) * (a.mean() - b.mean()) ** 2 for a, b in ((n[n <= t], n[n > t]) for t in at[:-1])]
    return float(at[int(np.argmax(between))])


def _log_likelihood(n: Floats, law: str, theta: Floats) -> float:
    dark, bright = _laws(law, theta)
    return float(np.log(np.maximum(theta[0] * bright(n) + (1 - theta[0]) * dark(n), 1e-300)).sum())


def _check(n: Floats, law: str, theta: Floats) -> None:
    """Refuse what is one level: the likelihood ratio against one law, and too few counts in a level."""
    fewer = min(theta[0], 1 - theta[0]) * len(n)
    if fewer < FEWEST_IN_LEVEL:
        raise FitRefused(
            f"Two levels refused: {fewer:.1f} counts in one of them, must be {FEWEST_IN_LEVEL}; "
            "load about every second trap, or take more images."
        )
    if law == "Poisson":
        one = float(stats.poisson.logpmf(np.round(n), n.mean()).sum())
    else:
        one = float(stats.norm.logpdf(n, n.mean(), max(float(n.std()), 0.3)).sum())
    gain = 2 * (_log_likelihood(n, law, theta) - one)
    if stats.chi2.sf(gain, 2) > 1e-6:
        raise FitRefused("Two levels refused: one level explains the counts as well; expose longer, check the light.")


def _covariance(n: Floats, law: str, theta: Floats) -> Floats:
    size = len(theta)
    step = 1e-3 * np.maximum(np.abs(theta), 1e-2)
    hessian = np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            to_i, to_j = step * (np.arange(size) == i), step * (np.arange(size) == j)
            corners = (a * b * _log_likelihood(n, law, theta + a * to_i + b * to_j) for a in (1, -1) for b in (1, -1))
            hessian[i, j] = hessian[j, i] = sum(corners) / (4 * step[i] * step[j])
    try:
        return np.asarray(np.linalg.inv(-hessian))
    except np.linalg.LinAlgError:
        raise FitRefused("Two levels refused: they are not determined by these counts; take more images.") from None


def _wrong(law: str, theta: Floats, threshold: float) -> tuple[float, float]:
    """Return the chances that a dark count lies above the threshold, and a bright one at or below it."""
    if law == "Poisson":
        return float(stats.poisson.sf(threshold, theta[1])), float(stats.poisson.cdf(threshold, theta[2]))
    return (
        float(stats.norm.sf(threshold, theta[1], theta[3])),
        float(stats.norm.cdf(threshold, theta[2], theta[4])),
    )


def _threshold(law: str, theta: Floats) -> float:
    """Return the threshold with the least mean error, half a count above the last dark one."""
    at = np.arange(math.floor(theta[1]), math.ceil(theta[2]) + 1) + 0.5
    mean = [sum(_wrong(law, theta, t)) for t in at]
    best = np.flatnonzero(np.isclose(mean, min(mean), rtol=1e-6, atol=1e-15))
    return float(at[best[len(best) // 2]])


def _error_probability(
    law: str, theta: Floats, covariance: Floats, threshold: float, level: int, in_level: float
) -> Estimate:
    """Return how often a level's counts fall on the wrong side.

    The error is what the levels' errors give, but no less than what so many counts can say of a probability: tails far
    beyond the last count are the law's and not the data's.
    """
    value = _wrong(law, theta, threshold)[level]
    step = 1e-3 * np.maximum(np.abs(theta), 1e-2)
    slope = np.zeros(len(theta))
    for i in range(len(theta)):
        to_i = step * (np.arange(len(theta)) == i)
        rise = _wrong(law, theta + to_i, threshold)[level] - _wrong(law, theta - to_i, threshold)[level]
        slope[i] = rise / (2 * step[i])
    n = max(in_level, 1.0)
    counted = math.sqrt((value * n + 0.5) * (n - value * n + 0.5) / (n + 2)) / (n + 1)
    error = max(math.sqrt(max(float(slope @ covariance @ slope), 0.0)), counted)
    return Estimate(value, error, round(n), "overlap of two levels")
