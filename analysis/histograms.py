"""Two levels in a histogram of counts: where the threshold goes, and how often it errs.

A mixture of two Poisson or two normal laws and of the shelf between them: an atom that leaves at some moment of the
exposure shines until then, so its mean count lies anywhere between the levels with equal chance (losses during an
exposure are rare). Without the shelf a few such atoms would pull at the levels. Found by expectation maximisation, the
errors from the curvature of the likelihood, that of the share lost no smaller than so few atoms allow (Jeffreys). Where
no atom was seen to be lost, the share lost is the middle of the interval that none of so many allows, 0 to 1.84/n, and
its error half of that: no loss seen is not no loss. The threshold minimises the mean of the two error probabilities,
which are those of the laws: repeated images check them. Sources: A. P. Dempster, N. M. Laird, D. B. Rubin, J. R. Stat.
Soc. B 39, 1 (1977); A. Fuhrmanek et al., PRL 106, 133003 (2011) for the shelf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammainc, gammaln, ndtr, pdtr, pdtrc, xlogy

from analysis import masked
from analysis.estimates import Estimate
from analysis.fits import FitRefused

Floats = npt.NDArray[np.float64]
FEWEST = 20  # counts, and five in each level
LARGEST = 2.0**53  # count: beyond, a float misses some
CANDIDATES = 4096  # thresholds that are compared at a time
FEWEST_IN_LEVEL = 5
_STEPS = 500
_NO_SHELF = 0.2  # atoms: fewer are none
_NONE_SEEN = 0.5 * 1.841  # half of the highest mean of which none is as likely as 1 - 0.841 (F. Garwood 1936)


@dataclass(frozen=True)
class Levels:
    """Both levels, the share that began bright, the share of these that was lost during the exposure, the threshold
    (bright is above it), and its error probabilities.
    """

    law: str  # "Poisson" or "normal"
    dark: Estimate
    bright: Estimate
    share: Estimate
    lost: Estimate
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
        return np.asarray(sum(_parts(self.law, self._theta(), np.asarray(counts, dtype=float))))

    def share_up_to(self, counts: Any) -> Floats:
        """Return the probability of a count at or below each of these."""
        dark_above, bright_below = _wrong(self.law, self._theta(), np.asarray(counts, dtype=float))
        return np.asarray((1 - self.share.value) * (1 - dark_above) + self.share.value * bright_below)

    def _theta(self) -> Floats:
        means = [self.share.value, self.dark.value, self.bright.value, self.lost.value]
        return np.array(means + ([] if self.law == "Poisson" else list(self.spreads)))


def two_levels(counts: Any, law: str = "Poisson") -> Levels:
    """Return the two levels of counts; FitRefused where there are not two, or too few counts."""
    (n,) = masked.floats(counts)
    if len(n) < FEWEST or not (np.abs(n) < LARGEST).all() or (law == "Poisson" and (n < 0).any()):
        least = "-2^53" if law != "Poisson" else "0"
        raise FitRefused(
            f"Two levels refused: {len(n)} counts, must be {FEWEST} finite ones at least, each from {least} to 2^53."
        )
    theta = _maximise(n, law)
    _check(n, law, theta)
    covariance = _covariance(n, law, theta)
    if theta[3] == 0:
        theta[3] = _NONE_SEEN / max(theta[0] * len(n), 1.0)
        covariance[3, 3] = theta[3] ** 2
    error = np.sqrt(np.diag(covariance))
    threshold = _threshold(law, theta, len(n))
    wrong = [_error_probability(law, theta, covariance, threshold, level, len(n)) for level in (0, 1)]
    spreads = (math.sqrt(theta[1]), math.sqrt(theta[2])) if law == "Poisson" else (float(theta[4]), float(theta[5]))
    source = f"two {law} levels"
    return Levels(
        law,
        dark=Estimate(float(theta[1]), float(error[1]), len(n), source, "counts"),
        bright=Estimate(float(theta[2]), float(error[2]), len(n), source, "counts"),
        share=Estimate(float(theta[0]), float(error[0]), len(n), source),
        lost=Estimate(float(theta[3]), float(error[3]), round(len(n) * theta[0]), source),
        threshold=threshold,
        p_dark_seen_bright=wrong[0],
        p_bright_seen_dark=wrong[1],
        spreads=spreads,
    )


def _parts(law: str, theta: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
    """Return how probable each count is with no atom, with one that stays, and with one that is lost."""
    share, low, high, lost = theta[:4]
    if law == "Poisson":
        n = np.round(n)
        dark, bright = np.exp(_log_poisson(n, low)), np.exp(_log_poisson(n, high))
        shelf = gammainc(n + 1, high) - gammainc(n + 1, low)
    else:
        dark, bright = _normal(n, low, theta[4]), _normal(n, high, theta[5])
        shelf = ndtr((n - low) / theta[4]) - ndtr((n - high) / theta[5])
    shelf = np.maximum(shelf, 0.0) / (high - low)
    return (1 - share) * dark, share * (1 - lost) * bright, share * lost * shelf


def _log_poisson(n: Floats, mean: float) -> Floats:
    return np.asarray(xlogy(n, mean) - gammaln(n + 1) - mean)


def _normal(x: Floats, mean: float, spread: float) -> Floats:
    return np.asarray(np.exp(-(((x - mean) / spread) ** 2) / 2.0) / math.sqrt(2 * math.pi) / spread)


def _maximise(n: Floats, law: str) -> Floats:
    """Return (share of bright, dark mean, bright mean, share lost[, dark spread, bright spread])."""
    split = _first_split(n)
    low, high = n[n <= split], n[n > split]
    # Medians: lost atoms are among both.
    theta = [len(high) / len(n), max(float(np.median(low)), 1e-3), float(np.median(high)), 0.01]
    if law != "Poisson":
        theta += [max(float(low.std()), 0.5), max(float(high.std()), 0.5)]
    now = np.array(theta)
    for _ in range(_STEPS):
        before, parts = now, np.stack(_parts(law, now, n))
        now = _next(n, law, parts / np.maximum(parts.sum(axis=0), 1e-300))
        if np.allclose(now, before, rtol=1e-9, atol=1e-9):
            break
    if now[3] * now[0] * len(n) < _NO_SHELF:
        now[3] = 0.0
    return now


def _next(n: Floats, law: str, weight: Floats) -> Floats:
    """Return what follows from how much of each count is dark, bright and lost (3, counts)."""
    dark, bright, shelf = np.maximum(weight.sum(axis=1), 1e-9)
    # The shelf's edges are the levels, too, but what it says of them is nothing beside what their own counts say.
    low, high = float(weight[0] @ n) / dark, float(weight[1] @ n) / bright
    theta = [(bright + shelf) / len(n), max(low, 1e-3), max(high, low + 1e-3), shelf / (bright + shelf)]
    if law != "Poisson":
        spreads = (math.sqrt(float(weight[k] @ (n - mean) ** 2) / size)
                   for k, mean, size in ((0, low, dark), (1, high, bright)))  # fmt: skip
        theta += [max(spread, 0.3) for spread in spreads]
    return np.array(theta)


def _first_split(n: Floats) -> float:
    """Return where to start: the split that separates best (Otsu, IEEE Trans. SMC 9, 62 (1979))."""
    at, times = np.unique(n, return_counts=True)
    if len(at) < 2:
        raise FitRefused("Two levels refused: all counts are equal; check light, detector and exposure.")
    below, total = np.cumsum(times)[:-1], np.cumsum(times * at)
    above = len(n) - below
    between = below * above * (total[:-1] / below - (total[-1] - total[:-1]) / above) ** 2
    return float(at[int(np.argmax(between))])


def _log_likelihood(n: Floats, law: str, theta: Floats) -> float:
    return float(np.log(np.maximum(sum(_parts(law, theta, n)), 1e-300)).sum())


def _check(n: Floats, law: str, theta: Floats) -> None:
    """Refuse what is one level: the likelihood ratio against one law, and too few counts in a level."""
    fewer = min(theta[0], 1 - theta[0]) * len(n)
    if fewer < FEWEST_IN_LEVEL:
        raise FitRefused(
            f"Two levels refused: {fewer:.1f} counts in one of them, must be {FEWEST_IN_LEVEL}; "
            "load about every second trap, or take more images."
        )
    if law == "Poisson":
        one = float(_log_poisson(np.round(n), n.mean()).sum())
    else:
        spread = max(float(n.std()), 0.3)
        one = float((-(((n - n.mean()) / spread) ** 2) / 2 - math.log(math.sqrt(2 * math.pi) * spread)).sum())
    gain = 2 * (_log_likelihood(n, law, theta) - one)
    if chdtrc(2, max(gain, 0.0)) > 1e-6:
        raise FitRefused("Two levels refused: one level explains the counts as well; expose longer, check the light.")


def _covariance(n: Floats, law: str, theta: Floats) -> Floats:
    """Return the inverse of the likelihood's curvature; a share lost of 0 is held, its error that of so few atoms."""
    free = [i for i in range(len(theta)) if i != 3 or theta[3] > 0]
    step = 1e-3 * np.maximum(np.abs(theta), 1e-3)
    hessian = np.zeros((len(theta), len(theta)))
    for i in free:
        for j in (k for k in free if k >= i):
            to_i, to_j = step * (np.arange(len(theta)) == i), step * (np.arange(len(theta)) == j)
            corners = (a * b * _log_likelihood(n, law, theta + a * to_i + b * to_j) for a in (1, -1) for b in (1, -1))
            hessian[i, j] = hessian[j, i] = sum(corners) / (4 * step[i] * step[j])
    out = np.zeros_like(hessian)
    try:
        out[np.ix_(free, free)] = np.linalg.inv(-hessian[np.ix_(free, free)])
    except np.linalg.LinAlgError:
        raise FitRefused("Two levels refused: they are not determined by these counts; take more images.") from None
    out[3, 3] = max(out[3, 3], _jeffreys(theta[3], len(n) * theta[0]))
    return out


def _jeffreys(share: float, n: float) -> float:
    """Return the variance of a share of n."""
    return (share * n + 0.5) * (n - share * n + 0.5) / ((n + 2) * (n + 1) ** 2)


def _wrong(law: str, theta: Floats, threshold: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the chances that a dark count lies above the threshold, and a bright or lost one at or below it."""
    at, low, high, lost = np.asarray(threshold, dtype=float), theta[1], theta[2], theta[3]
    if law == "Poisson":
        # The shelf's share at or below t is the mean over its levels: the sum over n <= t of P(N > n).
        n = np.floor(at)
        shelf = (_mean_up_to(n + 1, high) - _mean_up_to(n + 1, low)) / (high - low)
        above = np.where(n < 0, 1.0, pdtrc(np.maximum(n, 0), low))
        return above, (1 - lost) * _up_to(n, high) + lost * shelf
    # The integral of the normal distribution function Phi from -inf to u is u Phi(u) + phi(u).
    edges = [(at - mean) * ndtr((at - mean) / spread) + spread**2 * _normal(at, mean, spread)
             for mean, spread in ((low, theta[4]), (high, theta[5]))]  # fmt: skip
    shelf = (edges[0] - edges[1]) / (high - low)
    return ndtr((low - at) / theta[4]), (1 - lost) * ndtr((at - high) / theta[5]) + lost * shelf


def _mean_up_to(most: Floats, mean: float) -> Floats:
    """Return the mean of min(N, most) of Poissonian N: the sum of P(N > n) over 0 <= n < most."""
    most = np.maximum(most, 0.0)
    return np.asarray(mean * _up_to(most - 2, mean) + most * (1 - _up_to(most - 1, mean)))


def _up_to(n: Floats, mean: float) -> Floats:
    """Return the Poissonian chance of n or fewer."""
    return np.where(n < 0, 0.0, pdtr(np.maximum(n, 0), mean))


def _threshold(law: str, theta: Floats, n: int) -> float:
    """Return the threshold with the least mean error, half a count above the last dark one.

    Looked for among few candidates, then among those around the best, until each count is one.
    """
    # Fewer than half an atom lost: half of one might have been, and that is why a low threshold is best.
    theta = np.concatenate((theta[:3], [max(theta[3], 0.5 / (theta[0] * n + 1))], theta[4:]))
    first, last = math.floor(theta[1]), math.ceil(theta[2])
    while True:
        step = max(1, (last - first) // CANDIDATES)
        at = np.arange(first, last + step, step) + 0.5
        mean = np.add(*_wrong(law, theta, at))
        best = np.flatnonzero(np.isclose(mean, mean.min(), rtol=1e-6, atol=1e-15))
        inner = max(first, int(at[best[0]]) - step), min(last, int(at[best[-1]]) + step)
        if step == 1 or inner == (first, last) or inner[1] - inner[0] > (last - first) // 2:
            return float(at[best[len(best) // 2]])
        first, last = inner


def _error_probability(
    law: str, theta: Floats, covariance: Floats, threshold: float, level: int, n: int
) -> Estimate:
    """Return how often a level's counts fall on the wrong side, with the error that the levels' errors give it."""
    step = 1e-3 * np.maximum(np.abs(theta), 1e-3)
    slope = np.zeros(len(theta))
    for i in range(len(theta)):
        to_i = step * (np.arange(len(theta)) == i)
        rise = _wrong(law, theta + to_i, threshold)[level] - _wrong(law, theta - to_i, threshold)[level]
        slope[i] = float(rise) / (2 * step[i])
    error = math.sqrt(max(float(slope @ covariance @ slope), 0.0))
    return Estimate(float(_wrong(law, theta, threshold)[level]), error, n, "overlap of two levels and their shelf")
