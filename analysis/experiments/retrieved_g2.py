"""g2(0) of photons read out of a memory. Twin of experiments/memory/retrieved_g2.py.

Read-outs are independent, so g2(0) = sum C_ij/(N sum s_i s_j) over all pairs of detectors, C coincidences in N
read-outs and s the share of read-outs in which a detector clicked: 0 for one photon, 1 for independent ones. Noise of
share d predicts C_ij = N (s_i d_j + s_j d_i - d_i d_j), what a single photon and noise make together.
Errors: Poissonian, n + 1/2 where n may be 0. Source: R. Hanbury Brown, R. Q. Twiss, Nature 177, 27 (1956).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis.estimates import Estimate
from analysis.figures import INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.result import Result, columns
from analysis.stored_photons import memory_of
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
FEWEST = 20  # clicks


def pairs(run: Run) -> tuple[list[tuple[str, str]], Floats, Floats, Floats]:
    """Return the pairs of detectors, and for each: coincidences, those of independent photons, those of noise."""
    patterns, n, dark, n_dark = (np.asarray(column, dtype=float) for column in columns(run, "patterns", "n", "dark",
                                                                                       "n_dark"))  # fmt: skip
    roles = run.text("scan.detectors", "").split(",")
    counted, quiet = (table.reshape(-1, 1 << len(roles)).sum(axis=0) for table in (patterns, dark))
    total, total_dark = float(n.sum()), float(n_dark.sum())
    numbers = np.arange(1 << len(roles))
    s, d = ([float(table[numbers >> k & 1 == 1].sum()) / whole for k in range(len(roles))]
            for table, whole in ((counted, total), (quiet, total_dark)))  # fmt: skip
    if sum(s) * total < FEWEST:
        raise DataError(f"Run {run.label} has {sum(s) * total:g} clicks, must be {FEWEST}: take more shots, and look "
                        "at the control light.")  # fmt: skip
    found = list(combinations(range(len(roles)), 2))
    both = np.array([counted[(numbers >> i & 1 == 1) & (numbers >> j & 1 == 1)].sum() for i, j in found])
    independent = np.array([total * s[i] * s[j] for i, j in found])
    noise = np.array([total * (s[i] * d[j] + s[j] * d[i] - d[i] * d[j]) for i, j in found])
    return [(roles[i], roles[j]) for i, j in found], both, independent, noise


def analyse(run: Run) -> Result:
    """Return g2(0) as measured, and as single photons with this noise would have it."""
    _, both, independent, noise = pairs(run)
    clicks = float(np.sum(columns(run, "patterns")[0]))
    dark = float(np.sum(np.asarray(columns(run, "dark")[0]).reshape(-1, _width(run))[:, 1:]))
    expected = float(independent.sum())
    g2 = Estimate(float(both.sum()) / expected, math.sqrt(both.sum() + 0.5) / expected, int(both.sum()), "coincidences")
    of_noise = Estimate(float(noise.sum()) / expected, float(noise.sum()) / expected / math.sqrt(dark + 0.5), int(dark),
                        "clicks without a photon")  # fmt: skip
    return Result(f"g2 of photons out of {memory_of(run)}",
                  estimates={"g2": g2, "g2_of_noise": of_noise, "g2_of_photons": g2 - of_noise},
                  notes=(f"{clicks:g} read-outs.",))  # fmt: skip


def _width(run: Run) -> int:
    return 1 << len(run.text("scan.detectors", "").split(","))


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw coincidences by pair of detectors, beside those of noise and of independent photons."""
    names, both, independent, noise = pairs(run)
    figure, (axes,) = canvas(run, 9.6, 3.2)
    at = np.arange(len(names))
    axes.bar(at, independent, 0.75, color="#e3e8ec", label="independent photons (g2 = 1)")
    axes.bar(at, noise, 0.75, color=PALE, label="of noise")
    error = np.sqrt(both + 0.5)  # of none: 0.7, and never below none
    axes.errorbar(at, both, [np.minimum(both, error), error], fmt="o", ms=4, color=SIDE_COLOURS[0], ecolor=INK,
                  label=f"counted, g2(0) = {result.estimates['g2'].number()}")  # fmt: skip
    axes.set(xticks=at, xticklabels=[f"{a} & {b}" for a, b in names], ylabel="coincidences",
             xlabel="two detectors that clicked in one read-out")  # fmt: skip
    axes.set_ylim(bottom=0)
    legend_above(axes, 3)
    return figure
