"""g2(0) of one node's photons. Twin of experiments/photons/hbt_g2.py.

Attempts are independent of one another (each begins with pumping), so detectors i and j click in two different ones
with the product of their click probabilities s: g2(0) = sum C_ij / sum N_ij s_i s_j over the six pairs of detectors, C
coincidences in N attempts, is 1 for a source of independent photons, 1 - 1/n for n photons at a time, 0 for one. What a
single photon leaves are coincidences with dark clicks, of probability d in a gate without light: A_ij = N_ij (s_i d_j +
s_j d_i - d_i d_j). Reported are g2(0) as measured, as these accidentals predict it, and their difference: two photons
of one attempt, by double excitation or stray light. Patterns count when they are exactly what was looked for, so what a
third click takes is left out (d of the coincidences, s of the single clicks' partners: below 1 % of g2 together).
Errors: Poissonian, n + 1/2 where n may be 0; single clicks count twice in the product, once in the accidental ones.
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
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DETECTORS = ("c_h", "c_v", "d_h", "d_v")
PAIRS = tuple(combinations(range(4), 2))
FEWEST = 20  # single clicks of all detectors
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coincidences:
    """What came of each pair of detectors (6,): coincidences, those of independent photons, those of dark clicks."""

    counted: Floats
    independent: Floats
    accidental: Floats
    singles: int  # clicks that `independent` rests on
    accidental_error: float  # of all pairs together, by the dark clicks

    def g2(self) -> Estimate:
        """Return g2(0) as measured."""
        counted = float(self.counted.sum())
        return self._ratio(counted, math.sqrt(counted + 0.5), 2 * counted, "coincidences")

    def predicted(self) -> Estimate:
        """Return g2(0) of single photons with these dark clicks."""
        accidental = float(self.accidental.sum())
        return self._ratio(accidental, self.accidental_error, accidental, "dark clicks")

    def left(self) -> Estimate:
        """Return g2(0) without what dark clicks make of it."""
        counted, accidental = float(self.counted.sum()), float(self.accidental.sum())
        error = math.hypot(math.sqrt(counted + 0.5), self.accidental_error)
        return self._ratio(counted - accidental, error, 2 * counted - accidental, "coincidences less accidental ones")

    def _ratio(self, total: float, error: float, slope: float, source: str) -> Estimate:
        """Return total/independent; `slope` is what a relative error of the single clicks does to the total."""
        expected = float(self.independent.sum())
        error = math.hypot(error, slope / math.sqrt(self.singles))
        return Estimate(total / expected, error / expected, int(self.counted.sum()), source)


def coincidences(run: Run) -> Coincidences:
    """Return the coincidences of a run; DataError where there are too few clicks to compare them with."""
    names = ("patterns", "attempts", "dark", "dark_gates")
    patterns, attempts, dark, gates = (_total(values, name) for values, name in zip(columns(run, *names), names,
                                                                                    strict=True))  # fmt: skip
    single = [1 << k for k in range(4)]
    clicks = int(patterns[single].sum())
    if clicks < FEWEST:
        raise DataError(f"Run {run.label} has {clicks} single clicks, must be {FEWEST}: take more attempts, and look "
                        "at light, cavity and switch.")  # fmt: skip
    s, d = patterns[single] / attempts[single], dark / gates
    pairs = [(1 << i) + (1 << j) for i, j in PAIRS]
    by_dark = np.zeros(4)  # what one more dark click of a detector adds to all accidental coincidences
    for p, (i, j) in zip(pairs, PAIRS, strict=True):
        by_dark[i] += attempts[p] * (s[j] - d[j]) / gates[0]
        by_dark[j] += attempts[p] * (s[i] - d[i]) / gates[0]
    return Coincidences(
        counted=patterns[pairs],
        independent=np.array([attempts[p] * s[i] * s[j] for p, (i, j) in zip(pairs, PAIRS, strict=True)]),
        accidental=np.array([attempts[p] * (s[i] * d[j] + s[j] * d[i] - d[i] * d[j])
                             for p, (i, j) in zip(pairs, PAIRS, strict=True)]),
        singles=clicks,
        accidental_error=math.sqrt(by_dark**2 @ (dark + 0.5)),
    )  # fmt: skip


def analyse(run: Run) -> Result:
    """Return g2(0) as measured, as dark clicks predict it, and what is left."""
    found = coincidences(run)
    return Result(
        f"HBT g2 of {run.text('scan.node', 'one node')}",
        estimates={"g2": found.g2(), "g2_of_dark_clicks": found.predicted(), "g2_of_photons": found.left()},
    )


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw coincidences by pair of detectors, beside those of dark clicks and of independent photons."""
    found = coincidences(run)
    figure, (axes,) = canvas(run, 9.6, 3.2)
    at = np.arange(len(PAIRS))
    axes.bar(at, found.independent, 0.75, color="#e3e8ec", label="independent photons (g2 = 1)")
    axes.bar(at, found.accidental, 0.75, color=PALE, label="of dark clicks")
    axes.errorbar(at, found.counted, np.sqrt(found.counted + 0.5), fmt="o", ms=4, color=SIDE_COLOURS[0], ecolor=INK,
                  label=f"counted, g2(0) = {result.estimates['g2'].number()}")  # fmt: skip
    axes.set(xticks=at, xticklabels=[f"{DETECTORS[i]} & {DETECTORS[j]}" for i, j in PAIRS], yscale="symlog",
             xlabel="two detectors that clicked in one attempt", ylabel="coincidences",
             ylim=(0, 3 * float(found.independent.max())))  # fmt: skip
    axes.axhline(0, color=ACCENT, lw=0.6)
    legend_above(axes, 3)
    return figure


def _total(values: npt.ArrayLike, name: str) -> Floats:
    """Add up the rows of a column."""
    array = np.asarray(values, dtype=float)
    width = {"patterns": 16, "attempts": 16, "dark": 4, "dark_gates": 1}[name]
    return np.asarray(array.reshape(-1, width).sum(axis=0))
