"""g2(0) of photons read out of a memory. Twin of experiments/memory/retrieved_g2.py; method and source: analysis/g2.py.

All patterns come of the same read-outs, so a detector's clicks are those of every pattern that shows it. Dark clicks
are those of read-outs without a photon, the memory's noise among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import g2
from analysis.load import Run
from analysis.result import Result, columns
from analysis.stored_photons import memory_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def coincidences(run: Run) -> g2.Coincidences:
    """Return the coincidences of a run; DataError where there are too few clicks to compare them with."""
    roles = tuple(run.text("scan.detectors", "").split(","))
    patterns, n, dark, n_dark = (np.asarray(column, dtype=float) for column in columns(run, "patterns", "n", "dark",
                                                                                       "n_dark"))  # fmt: skip
    counted, quiet = (table.reshape(-1, 1 << len(roles)).sum(axis=0) for table in (patterns, dark))
    shows = np.arange(1 << len(roles))[:, None] >> np.arange(len(roles)) & 1  # (patterns, detectors)
    both = shows.T @ (counted[:, None] * shows)
    attempts = np.full_like(both, n.sum())
    return g2.coincidences(run, g2.Counts(roles, np.diag(both), np.diag(attempts), both, attempts, quiet @ shows,
                                          float(n_dark.sum())))  # fmt: skip


def analyse(run: Run) -> Result:
    """Return g2(0) as measured, and as single photons with this noise would have it."""
    found = coincidences(run)
    return Result(
        f"g2 of photons out of {memory_of(run)}",
        estimates={"g2": found.g2(), "g2_of_noise": found.predicted(), "g2_of_photons": found.left()},
        notes=(f"{int(np.sum(columns(run, 'n')[0]))} read-outs.",),
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw coincidences by pair of detectors, beside those of dark clicks and of independent photons."""
    return g2.figure(run, coincidences(run), "read-out")
