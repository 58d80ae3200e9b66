"""g2(0) from coincidences of a station's detectors, of attempts that are independent of one another.

Detectors i and j click in two different attempts with the product of their click probabilities s: g2(0) = sum C_ij /
sum N_ij s_i s_j over all pairs of detectors, C coincidences in N attempts, is 1 for a source of independent photons,
1 - 1/n for n photons at a time, 0 for one. What a single photon leaves are coincidences with clicks that come without
a photon, of probability d: A_ij = N_ij (s_i d_j + s_j d_i - d_i d_j). Errors: Poissonian, n + 1/2 where n may be 0;
single clicks count twice in the product, once in the accidental ones.
Source: R. Hanbury Brown, R. Q. Twiss, Nature 177, 27 (1956); C. Santori et al., Nature 419, 594 (2002) for pulses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis.estimates import Estimate
from analysis.figures import INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST = 20  # clicks of all detectors
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """What was counted at n detectors: clicks (n,) of each in how many attempts (n,), coincidences (n, n) of each pair
    i < j in how many attempts (n, n), and clicks without a photon (n,) in how many gates.
    """

    roles: tuple[str, ...]
    clicks: Floats
    attempts: Floats
    both: Floats
    both_attempts: Floats
    dark: Floats
    gates: float


@dataclass(frozen=True)
class Coincidences:
    """What came of each pair (pairs,): coincidences, those of independent photons, those of dark clicks."""

    names: tuple[str, ...]
    counted: Floats
    independent: Floats
    accidental: Floats
    singles: int  # clicks that `independent` rests on
    accidental_error: float  # of all pairs together, by the dark clicks
    dark: int

    def g2(self) -> Estimate:
        """Return g2(0) as measured."""
        counted = float(self.counted.sum())
        return self._ratio(counted, math.sqrt(counted + 0.5), 2 * counted, self._counted, "coincidences")

    def predicted(self) -> Estimate:
        """Return g2(0) of single photons with these dark clicks."""
        accidental = float(self.accidental.sum())
        return self._ratio(accidental, self.accidental_error, accidental, self.dark, "dark clicks")

    def left(self) -> Estimate:
        """Return g2(0) without what dark clicks make of it."""
        counted, accidental = float(self.counted.sum()), float(self.accidental.sum())
        error = math.hypot(math.sqrt(counted + 0.5), self.accidental_error)
        return self._ratio(counted - accidental, error, 2 * counted - accidental, self._counted,
                           "coincidences less accidental ones")  # fmt: skip

    @property
    def _counted(self) -> int:
        return int(self.counted.sum())

    def _ratio(self, total: float, error: float, slope: float, n: int, source: str) -> Estimate:
        """Return total/independent; `slope` is what a relative error of the single clicks does to the total."""
        expected = float(self.independent.sum())
        error = math.hypot(error, slope / math.sqrt(self.singles))
        return Estimate(total / expected, error / expected, n, source)


def coincidences(run: Run, counts: Counts) -> Coincidences:
    """Return the coincidences of a run; DataError where there are too few clicks to compare them with."""
    clicks = int(counts.clicks.sum())
    if clicks < FEWEST:
        raise DataError(f"Run {run.label} has {clicks} single clicks, must be {FEWEST}: take more attempts, and look "
                        "at light, cavity and switch.")  # fmt: skip
    s, d = counts.clicks / counts.attempts, counts.dark / counts.gates
    pairs = list(combinations(range(len(counts.roles)), 2))
    n = np.array([counts.both_attempts[pair] for pair in pairs])
    by_dark = np.zeros(len(s))  # what one more dark click of a detector adds to all accidental coincidences
    for attempts, (i, j) in zip(n, pairs, strict=True):
        by_dark[i] += attempts * (s[j] - d[j]) / counts.gates
        by_dark[j] += attempts * (s[i] - d[i]) / counts.gates
    i, j = np.array(pairs).T
    return Coincidences(
        names=tuple(f"{counts.roles[a]} & {counts.roles[b]}" for a, b in pairs),
        counted=np.array([counts.both[pair] for pair in pairs]),
        independent=n * s[i] * s[j],
        accidental=n * (s[i] * d[j] + s[j] * d[i] - d[i] * d[j]),
        singles=clicks,
        accidental_error=math.sqrt(by_dark**2 @ (counts.dark + 0.5)),
        dark=int(counts.dark.sum()),
    )


@styled
def figure(run: Run, found: Coincidences, attempt: str) -> Figure:
    """Draw coincidences by pair of detectors, beside those of dark clicks and of independent photons."""
    figure, (axes,) = canvas(run, 9.6, 3.2)
    _bars(axes, found)
    axes.set(xlabel=f"two detectors that clicked in one {attempt}", ylabel="coincidences", yscale="symlog",
             ylim=(0, 3 * float(found.independent.max())))  # fmt: skip
    legend_above(axes, 3)
    return figure


def _bars(axes: Axes, found: Coincidences) -> None:
    at = np.arange(len(found.names))
    axes.bar(at, found.independent, 0.75, color="#e3e8ec", label="independent photons (g2 = 1)")
    axes.bar(at, found.accidental, 0.75, color=PALE, label="of dark clicks")
    error = np.sqrt(found.counted + 0.5)  # of none: 0.7, and never below none
    axes.errorbar(at, found.counted, [np.minimum(found.counted, error), error], fmt="o", ms=4, color=SIDE_COLOURS[0],
                  ecolor=INK, label=f"counted, g2(0) = {found.g2().number()}")  # fmt: skip
    axes.set(xticks=at, xticklabels=found.names)
