"""The fits of a scan while it still runs, for its live plots: those of the analysis twin, of the rows so far.

A fit must not hold the lab up: the next one waits until nine tenths of the time went into measuring. The last fit is
that of the result, which `analyse_run.conclude` makes anyway.
"""

import time
import warnings
from collections.abc import Mapping
from typing import Any

from experiments.sequences.analyse_run import run_of, twin_of_experiment

LEAST_ROWS = 4  # with fewer, no model of a curve is determined
SHARE = 0.1  # of the time, at most, that fitting takes


class LiveFits:
    """The newest fit of each series of one experiment."""

    def __init__(self, experiment: Any, clock: Any = time.monotonic) -> None:
        self._experiment = experiment
        self._clock = clock
        self._due = -float("inf")
        self._fits: dict[str, Any] = {}

    def look(self, rows: Any) -> None:
        """Fit the rows again, if that is due."""
        began = self._clock()
        if len(rows) < LEAST_ROWS or began < self._due:
            return
        self._fits = self._analysed(rows)
        self._due = self._clock() + (self._clock() - began) * (1 / SHARE - 1)

    def take(self, fits: Mapping[str, Any]) -> None:
        """Take over the fits of an analysis made elsewhere."""
        self._fits = dict(fits)

    def of(self, series: str) -> Any:
        """Return the fit of a series (`curve(x)`), or None. A scan of one series without a name has one fit."""
        if not series and len(self._fits) == 1:
            return next(iter(self._fits.values()))
        return self._fits.get(series)

    def _analysed(self, rows: Any) -> dict[str, Any]:
        twin = twin_of_experiment(self._experiment)
        if twin is None:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return dict(twin.analyse(run_of(self._experiment, rows.datasets())).fits)
            except Exception:  # noqa: BLE001 - half a scan may be anything to its analysis; a picture costs no row
                return {}
