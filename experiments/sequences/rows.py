"""Keep the rows of a run: journal at once, columns `scan.*` in the results file at the end.

A row is what one call of a measurement gave: numbers, or lists of numbers of the same length in every row.
"""

from collections.abc import Mapping
from typing import Any

from analysis import schema
from atomlink.errors import DataError
from atomlink.interrupts import held
from experiments.sequences.filing import file_datasets
from experiments.sequences.recorder import open_journal, provenance

PREFIX = "scan"


class Rows:
    """The rows of one run, as columns; `units` of the columns by name."""

    def __init__(self, experiment: Any, run_level: Mapping[str, Any], units: Mapping[str, str]) -> None:
        self._experiment = experiment
        self._run_level = {**provenance(experiment), **run_level}
        self._units = dict(units)
        self.columns: dict[str, list[Any]] = {}
        self._length = 0
        self._journal = open_journal(experiment, self._run_level, columns=PREFIX)

    def __len__(self) -> int:
        return self._length

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep one row; it is on its way to the disk when this returns."""
        row = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in row.items()}
        if self._length and row.keys() != self.columns.keys():
            raise DataError(
                f"A row must have the columns {', '.join(self.columns)}, but has {', '.join(row)}: "
                "`measure` returns the same names each time."
            )
        with held():  # columns of one length
            self._journal.append(row)
            for name, value in row.items():
                self.columns.setdefault(name, []).append(value)
            self._length += 1

    def run_level(self, values: Mapping[str, Any]) -> None:
        """Keep values of the whole run, by their full dataset names; the last one wins."""
        self._journal.append(values)
        self._run_level.update(values)

    def datasets(self) -> dict[str, Any]:
        """Return what the results file will hold."""
        return {key: schema.array(key, value) for key, value in self._everything().items()}

    def _everything(self) -> dict[str, Any]:
        return {**self._run_level, **{f"{PREFIX}.{name}": values for name, values in self.columns.items()}}

    def archive(self, complete: bool) -> None:
        """Close the journal and write every dataset of the run."""
        self._run_level["run.complete"] = int(complete)
        try:
            self._journal.close(complete)
        finally:  # a disk that is full does not keep the rows from the results file
            units = {f"{PREFIX}.{name}": unit for name, unit in self._units.items()}
            file_datasets(self._experiment, self._everything(), units)
