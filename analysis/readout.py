"""Correlators from push-out read-out, raw and corrected for atoms that are lost whatever their state.

An atom that is still there after the push-out counts as +1 (|0>), one that is not as -1 (|1>). A lost atom looks
like |1>. Shots without push-out give the retention R of each node, the probability that a |0> atom is seen; then,
with a, b = 1 for seen,

    raw        E = < (2a - 1) (2b - 1) >
    corrected  E = < (2a/R_A - 1) (2b/R_B - 1) > = 4 <ab>/(R_A R_B) - 2 <a>/R_A - 2 <b>/R_B + 1 .

Assumed: the nodes lose atoms independently of each other and of the state. Not corrected: |1> atoms that survive
the push-out (a faulty map or push-out) and counts of an empty trap above threshold; both stay in the result, as
errors of the pair. Errors: Dirichlet posterior of the four outcomes (1/4 each, Perks: for equal against unequal that
is Jeffreys' prior) and, by derivatives, the covariance of (R_A, R_B), which every correlator of a run shares. The
correction is the standard inversion of a read-out matrix with one unknown per node.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.estimates import Estimate, binomial
from atomlink.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Retention:
    """Probability (first end, second) that a bright atom is seen, the covariance (2, 2), and the shots they rest on."""

    values: Floats
    covariance: Floats
    n: int

    def estimate(self, node: int) -> Estimate:
        """Return the retention of one node (0 or 1)."""
        error = math.sqrt(self.covariance[node, node])
        return Estimate(float(self.values[node]), error, self.n, "shots without push-out")


UNCORRECTED = Retention(np.ones(2), np.zeros((2, 2)), 0)


@dataclass(frozen=True)
class Correlator:
    """<n_A n_B> of one setting: value, its variance at fixed retention, and the derivatives (2,) by R_A and R_B."""

    value: float
    variance: float
    gradient: Floats
    n: int


def retention(present: Ints) -> Retention:
    """Return the retention from calibration shots; `present` is 0 or 1, shape (n, 2); DataError if no atom is seen."""
    present = np.asarray(present, dtype=np.int64)
    if not np.isin(present, (0, 1)).all():
        raise DataError("Shots without push-out must have `shots.present` 0 or 1.")
    return retention_of(np.bincount(2 * present[:, 0] + present[:, 1], minlength=4))


def retention_of(cells: Ints) -> Retention:
    """Return the retention from four counts (not/not, not/seen, seen/not, seen/seen of first/second)."""
    n, both = int(cells.sum()), int(cells[3])
    seen = [int(cells[2]) + both, int(cells[1]) + both]
    if not all(seen):
        raise DataError(f"Read-out cannot be calibrated from {n} shots without push-out: both nodes must show atoms.")
    errors = [binomial(k, n).error for k in seen]
    shared = (both / n - seen[0] / n * seen[1] / n) / n
    covariance = np.array([[errors[0] ** 2, shared], [shared, errors[1] ** 2]])
    return Retention(np.array(seen) / n, covariance, n)


def correlator(counts: Ints, kept: Retention = UNCORRECTED) -> Correlator:
    """Return the correlator of counts (2, 2), by (first, second) seen, corrected for the retention; needs a shot."""
    n = int(counts.sum())
    if n == 0:
        raise DataError("A correlator needs at least one shot, but the setting has none.")
    r_a, r_b = kept.values
    y_a, y_b = np.array([-1.0, 2 / r_a - 1]), np.array([-1.0, 2 / r_b - 1])
    p, posterior = counts / n, (counts + 0.25) / (n + 1)
    variance = float(y_a**2 @ posterior @ y_b**2 - (y_a @ posterior @ y_b) ** 2) / (n + 2)
    gradient = np.array([-2 / r_a**2 * (p[1] @ y_b), -2 / r_b**2 * (y_a @ p[:, 1])])
    return Correlator(float(y_a @ p @ y_b), variance, gradient, n)


def combine(terms: Iterable[tuple[float, Correlator]], kept: Retention, offset: float = 0.0) -> Estimate:
    """Return offset + sum(weight * correlator) of correlators from different shots that share the calibration."""
    value, variance, gradient, n = offset, 0.0, np.zeros(2), 0
    for weight, term in terms:
        value += weight * term.value
        variance += weight**2 * term.variance
        gradient += weight * term.gradient
        n += term.n
    variance += float(gradient @ kept.covariance @ gradient)
    corrected = f"read-out corrected ({kept.n} calibration shots)" if kept.n else "raw"
    return Estimate(value, math.sqrt(variance), n, corrected)
