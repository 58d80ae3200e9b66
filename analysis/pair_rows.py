"""Rows of added-up pairs (experiments/sequences/pair_counts.py): correlators and fidelity of each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import readout, schema
from analysis.estimates import Estimate
from analysis.health import Look
from analysis.load import Run
from analysis.readout import UNCORRECTED, Correlator, Retention
from atomlink.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]
WEIGHTS = {"XX": 0.25, "YY": 0.25, "ZZ": -0.25}  # of the fidelity with Psi+


@dataclass(frozen=True)
class PairRows:
    """`tables` (rows, settings, 2, 2) by (first seen, second seen), and the retention of all rows together, if any."""

    names: tuple[str, ...]
    tables: Ints
    kept: Retention | None

    @classmethod
    def of(cls, run: Run) -> PairRows:
        """Return the rows of a run; DataError names what is missing."""
        schema.require(run.datasets, ("scan.table", "scan.unpushed", "pairs.setting_names"), "the analysis of pairs")
        table, unpushed = (np.asarray(run.datasets[key]) for key in ("scan.table", "scan.unpushed"))
        names = tuple(name.strip() for name in run.text("pairs.setting_names").split(","))
        if table.ndim != 2 or table.shape[1] != 4 * len(names):
            raise DataError(f"Dataset `scan.table` must have {4 * len(names)} counts a row for {len(names)} settings, "
                            f"but has the shape {table.shape}.")  # fmt: skip
        return cls(names, table.reshape(len(table), len(names), 2, 2), retention(unpushed.sum(axis=0)))

    def with_retention(self, shift: Any = 0.0) -> PairRows:
        """Return the same rows with a retention that is known: what was found, shifted by so much (2)."""
        if self.kept is None:
            return self
        return replace(self, kept=Retention(self.kept.values + shift, np.zeros((2, 2)), self.kept.n))

    def shifts(self) -> Floats:
        """Return shifts (k, 2) of the retention whose squared effects add up to what its error does to a result."""
        return np.zeros((0, 2)) if self.kept is None else np.asarray(np.linalg.cholesky(self.kept.covariance).T)

    def table(self, name: str, rows: Any = slice(None)) -> Ints:
        """Return the counts (2, 2) of a setting, of these rows together."""
        if name not in self.names:
            raise DataError(f"The run has no setting {name}, it has {', '.join(self.names)}.")
        return np.asarray(self.tables[rows, self.names.index(name)].sum(axis=0))

    def correlator(self, name: str, rows: Any = slice(None), corrected: bool = True) -> Correlator:
        """Return a correlator of these rows together; DataError without a shot."""
        kept = self.kept if corrected and self.kept is not None else UNCORRECTED
        return readout.correlator(self.table(name, rows), kept)

    def combined(self, weights: dict[str, float], offset: float = 0.0, rows: Any = slice(None),
                 corrected: bool = True) -> Estimate:  # fmt: skip
        """Return offset + sum of weighted correlators of these rows together."""
        kept = self.kept if corrected and self.kept is not None else UNCORRECTED
        terms = [(weight, self.correlator(name, rows, corrected)) for name, weight in weights.items()]
        return readout.combine(terms, kept, offset)

    def fidelity(self, rows: Any = slice(None), corrected: bool = True) -> Estimate:
        """Return the fidelity with Psi+ of these rows together."""
        return self.combined(WEIGHTS, 0.25, rows, corrected)


def retention(cells: Ints) -> Retention | None:
    """Return the retention from four counts (not/not, not/seen, seen/not, seen/seen); None without a shot."""
    if not cells.sum():
        return None
    return readout.retention_of(cells)


def raw_fidelity(tables: Ints, names: tuple[str, ...] = tuple(WEIGHTS)) -> Estimate | None:
    """Return the fidelity with Psi+ of tables (settings, 2, 2), raw; None where a setting has no pair."""
    counts = {name: tables[names.index(name)] for name in WEIGHTS}
    if not all(table.any() for table in counts.values()):
        return None
    return readout.combine([(WEIGHTS[name], readout.correlator(table)) for name, table in counts.items()],
                           UNCORRECTED, 0.25)  # fmt: skip


def look(row: dict[str, Any], names: tuple[str, ...] = tuple(WEIGHTS)) -> Look:
    """Return one row as the control charts take it; the fidelity is raw, 0.25 where a setting has no pair."""
    tables = np.reshape(row["table"], (len(names), 2, 2))
    pairs = tuple(int(tables[names.index(name)].sum()) for name in WEIGHTS)
    fidelity = raw_fidelity(tables, names)
    return Look(int(row["heralds"]), float(row["t_attempting_s"]), fidelity.value if fidelity else 0.25, pairs)
