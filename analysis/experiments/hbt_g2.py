"""g2(0) of one node's photons. Twin of experiments/photons/hbt_g2.py; method and source: analysis/g2.py.

Patterns count when they are exactly what was looked for, so what a third click takes is left out (d of the
coincidences, s of the single clicks' partners: below 1 % of g2 together).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import g2
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.heralds import FOUR

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SINGLE = 1 << np.arange(4)
_PAIR = _SINGLE[:, None] + _SINGLE[None, :]  # patterns; the diagonal is none


def coincidences(run: Run) -> g2.Coincidences:
    """Return the coincidences of a run; DataError where there are too few clicks to compare them with."""
    names = ("patterns", "attempts", "dark", "dark_gates")
    patterns, attempts, dark, gates = (_total(values, name) for values, name in zip(columns(run, *names), names,
                                                                                    strict=True))  # fmt: skip
    pairs = np.where(np.eye(4, dtype=bool), 0, _PAIR)
    return g2.coincidences(run, g2.Counts(FOUR, patterns[_SINGLE], attempts[_SINGLE], patterns[pairs], attempts[pairs],
                                          dark, float(gates[0])))  # fmt: skip


def analyse(run: Run) -> Result:
    """Return g2(0) as measured, as dark clicks predict it, and what is left."""
    found = coincidences(run)
    return Result(
        f"HBT g2 of {run.text('scan.node', 'one node')}",
        estimates={"g2": found.g2(), "g2_of_dark_clicks": found.predicted(), "g2_of_photons": found.left()},
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw coincidences by pair of detectors, beside those of dark clicks and of independent photons."""
    return g2.figure(run, coincidences(run), "attempt")


def _total(values: npt.ArrayLike, name: str) -> g2.Floats:
    """Add up the rows of a column."""
    array = np.asarray(values, dtype=float)
    width = {"patterns": 16, "attempts": 16, "dark": 4, "dark_gates": 1}[name]
    return np.asarray(array.reshape(-1, width).sum(axis=0))
