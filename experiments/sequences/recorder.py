"""Keep the shots of a run: journal at once, live datasets now and then, archive at the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import artiq
import numpy as np

from analysis.journal import Journal
from analysis.veto import is_vetoed
from atomlink.interrupts import held
from drivers import labs
from drivers.progress import Progress
from experiments.sequences.filing import file_datasets

COLUMNS = ("t_herald_mu", "pattern", "t_click_mu", "setting", "attempts", "attempts_lost", "counts", "present",
           "pushout", "valid")  # fmt: skip
LIVE_INTERVAL = 50  # shots between two updates of the plots


def provenance(experiment: Any) -> dict[str, Any]:
    """Return the `run.*` datasets: which lab, and for a simulated one which scenario, seed and costs."""
    simulation = labs.simulation(experiment)
    arguments = simulation or {}
    return {
        "run.target": "hardware" if simulation is None else "simulation",
        "run.scenario": str(arguments.get("scenario", "")),
        "run.seed": int(arguments.get("seed", 0)),
        "run.costs": str(arguments.get("costs", "")),
    }


def stopped(done: int, total: int, what: str) -> str:
    """Return what is said of a run that was asked to stop; `total` 0 where nobody knows it."""
    if not done:
        return f"Stopped before the first of the {what}: nothing was measured."
    return f"Stopped after {done}{f' of {total}' if total else ''} {what}; these are kept."


def open_journal(experiment: Any, run_level: Mapping[str, Any], columns: str = "shots") -> Journal:
    """Create the journal of this run beside its results file (the worker's folder); `columns` names its rows."""
    class_name = type(experiment).__name__
    rid, name = _free_name(int(experiment.scheduler.rid), class_name, getattr(experiment, "journal_label", ""))
    expid = {"arguments": {}, **(experiment.scheduler.expid or {}), "class_name": class_name}
    header = {"expid": expid, "artiq_version": artiq.__version__, "datasets": dict(run_level), "columns": columns}
    return Journal.create(Path.cwd(), rid, name, header)


def _free_name(rid: int, class_name: str, label: str) -> tuple[int, str]:
    """Return number and name of a journal that does not exist yet; `label` names a run within another."""
    name, times = label or class_name, 1
    while (Path.cwd() / f"{rid:09}-{name}.journal").exists():
        times += 1
        if label:  # carried out again within the same run: the next number belongs to another run
            name = f"{label}_{times}"
        else:  # artiq_run gives every run the same rid
            rid += 1
    return rid, name


class ShotRecorder:
    """The shots of one run, as columns of analysis/README.md."""

    def __init__(
        self, experiment: Any, run_level: Mapping[str, Any], setting_names: tuple[str, ...], total: int
    ) -> None:
        self._experiment = experiment
        self._run_level = {**provenance(experiment), **run_level}
        self._rows: list[dict[str, Any]] = []
        self._totals: dict[str, Any] = {"link.attempts": 0, "link.t_attempting_s": 0.0, "link.t_lab_s": 0.0}
        self._agreements = np.zeros((len(setting_names), 2), dtype=np.int64)  # per setting: unequal, equal outcomes
        self._curve: list[tuple[float, float]] = []  # lab time in s, pairs per s
        self._names = setting_names
        self._progress = Progress(total, "heralded pairs")
        self._veto_mu: list[tuple[int, int]] = []
        self.pairs = 0
        self.datasets: dict[str, Any] = {}  # of the results file, once archived
        self._journal = open_journal(experiment, self._run_level)
        self._publish()

    def add(self, row: dict[str, Any], totals: Mapping[str, Any]) -> None:
        """Keep one shot; `totals` are run-level values up to and including it."""
        with held():  # in the file what is in the journal
            self._journal.append({**row, **totals})
            self._rows.append(row)
            self._totals.update(totals)
        if row["valid"] and row["pushout"]:
            self.pairs += 1
            self._agreements[row["setting"], int(row["present"][0] == row["present"][1])] += 1
        self._progress.update(self.pairs)
        if len(self._rows) % LIVE_INTERVAL == 0:
            self._publish()

    def veto(self, intervals_mu: list[tuple[int, int]]) -> None:
        """Veto the shots heralded in these times, those that come later too; a new list takes the place of the last."""
        self._veto_mu = intervals_mu
        self.totals({"link.veto_mu": [list(interval) for interval in intervals_mu]})

    def totals(self, totals: Mapping[str, Any]) -> None:
        """Keep run-level values that belong to no shot."""
        if totals:
            self._journal.append(totals)
            self._totals.update(totals)

    def archive(self, complete: bool) -> None:
        """Close the journal and write every dataset of the run."""
        self._progress.close()
        try:
            self._journal.close(complete)
        finally:  # a disk that is full does not keep the shots from the results file
            self._file(complete)

    def _file(self, complete: bool) -> None:
        vetoed = is_vetoed([row["t_herald_mu"] for row in self._rows], self._veto_mu)
        for k in np.flatnonzero(vetoed):
            self._rows[k]["valid"] = 0
        columns = {f"shots.{name}": [row[name] for row in self._rows] for name in COLUMNS}
        everything = {**self._run_level, **self._totals, "run.complete": int(complete), **columns}
        self.datasets = file_datasets(self._experiment, everything)
        self._publish()

    def _publish(self) -> None:
        """Broadcast what the applets plot."""
        shots = self._agreements.sum(axis=1)
        correlators = (self._agreements[:, 1] - self._agreements[:, 0]) / np.maximum(shots, 1)
        seconds = self._totals["link.t_lab_s"]
        self._curve.append((seconds, self.pairs / seconds if seconds else 0.0))
        live = {
            "pairs": self.pairs,
            "t_s": np.array([point[0] for point in self._curve]),
            "rate_hz": np.array([point[1] for point in self._curve]),
            "setting_names": ",".join(self._names),
            "setting": np.arange(len(self._names)),
            "correlators": correlators,
        }
        for key, value in live.items():
            self._experiment.set_dataset(f"live.link.{key}", value, broadcast=True, archive=False)
