"""What a lab believes, with its history: every change is checked, written to `params.log`, then to the dataset.

Works inside any experiment, under ARTIQ's master as in `atomlink run`; `atomlink params` uses it on the dataset
database itself. Datasets stay what every program reads (`param.*`, persistent; for other labs than the default one see
`drivers/labs.py`); the log knows who, when, why, the fit and what was believed before. See `drivers/parameter_log.py`
for which of the two wins after a kill. Writers take turns (a lock on the folder), and each looks at what all programs
share, not at what its own run read once: the last one that sets a belief wins, and the log says what it replaced.
"""

import getpass
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from atomlink import old_names
from atomlink.errors import UsageError
from drivers import labs, line_log, parameter_log, parameters, run_datasets
from drivers.labs import LabName
from drivers.parameter_log import REVISION, Change, Revision
from drivers.parameters import Parameter


class Datasets(Protocol):
    """What the store needs of the persistent datasets."""

    def get(self, key: str) -> Any:
        """Return a value; KeyError where there is none."""

    def set(self, key: str, value: float | int, unit: str) -> None:
        """Set a value persistently."""


class _ExperimentDatasets:
    """The datasets as an experiment sees them."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment

    def get(self, key: str) -> Any:
        return run_datasets.shared(self._experiment, key)  # what the run itself believed may be outdated

    def set(self, key: str, value: float | int, unit: str) -> None:
        # Not archived: the results file says what the run believed, not what it taught.
        self._experiment.set_dataset(key, value, unit=unit, scale=1.0, persist=True, archive=False)


class ParameterStore:
    """Read, set and roll back the beliefs of a lab. `who` and `rid` go into the history."""

    def __init__(self, datasets: Datasets, folder: Path, who: str, rid: int = -1, lab: LabName = labs.HOME,
                 table: Mapping[str, Parameter] = MappingProxyType({})) -> None:  # fmt: skip
        self._datasets = datasets
        self.table = table  # what this lab can believe; empty: not known
        self.lab = lab
        self.path = folder / lab.file(parameter_log.FILE)
        self._who = who
        self._rid = rid

    @classmethod
    def of(cls, experiment: Any) -> "ParameterStore":
        """Return the store as an experiment uses it."""
        who = f"{type(experiment).__name__} ({_user()})"
        folder, rid = parameter_log.lab_folder(), int(experiment.scheduler.rid)
        return cls(_ExperimentDatasets(experiment), folder, who, rid, labs.of(experiment))

    # -- reading

    def rows(self) -> Mapping[str, Parameter]:
        """Return what this lab can believe by name; what it has a history of where that is not known."""
        recorded = dict.fromkeys(name for revision in self.revisions() for name in revision.changes)
        return self.table or {name: self.row(name) for name in recorded}

    def row(self, name: str) -> Parameter:
        """Return the row of one belief; UsageError names the nearest ones if this lab has none of that name."""
        return parameters.parameter(name, self.table or None)

    def get(self, name: str) -> float:
        """Return what the lab believes, in the unit of the table."""
        row = self.row(name)
        waiting = parameter_log.waiting(self.path, self._followed())
        return waiting[name] if name in waiting else self._dataset(row)

    def revisions(self) -> tuple[Revision, ...]:
        """Return the history, oldest first."""
        return parameter_log.read(self.path)

    def at(self, revision: int) -> dict[str, float]:
        """Return what was believed after a revision (0: before the first), for every name that ever changed."""
        rows = self.revisions()
        self._check_revision(revision, rows)
        values: dict[str, float] = {}
        for row in rows:
            for name, change in row.changes.items():
                if row.revision <= revision:
                    values[name] = change.value
                else:
                    values.setdefault(name, change.previous)
        return values

    def edited_without(self) -> dict[str, Change]:
        """Return what datasets say otherwise than the history, for beliefs that are not waiting to be written."""
        waiting = parameter_log.waiting(self.path, self._followed())
        edited = {}
        for name, value in parameter_log.waiting(self.path, 0).items():
            if parameters.is_parameter(name) and name not in waiting:  # a row may have left the table since
                now = self._dataset(parameters.parameter(name))
                if now != value:
                    edited[name] = Change(now, value, parameters.parameter(name).unit)
        return edited

    # -- writing

    def set(self, name: str, value: float, unit: str | None = None, why: str = "set") -> Revision | None:
        """Set one belief, its unit as in the table unless told; None where that is believed already."""
        return self.set_all({name: (value, unit)}, why=why)

    def set_all(
        self,
        values: Mapping[str, tuple[float, str | None]],
        why: str = "measured",
        evidence: Mapping[str, Mapping[str, Any]] | None = None,
        fits: Mapping[str, Any] | None = None,
        believed: Mapping[str, float] | None = None,
    ) -> Revision | None:
        """Set beliefs together, as one revision; nothing is changed where one of them is refused.

        `evidence` gives `error` and `n` by name. A value measured again is recorded even if it is equal. `believed` is
        what the run went by: where somebody has set something else since, what is set last holds, and `why` says so.
        """
        checked = {name: checked_value(name, value, unit) for name, (value, unit) in values.items()}
        with self._turn():
            meanwhile = self._set_by_others({name: (believed or {}).get(name) for name in checked})
            if meanwhile:
                why += f"; holds over what others set while it ran: {', '.join(meanwhile)}"
            return self._change(checked, why, evidence or {}, fits or {}, {})

    def rollback(self, revision: int) -> Revision | None:
        """Believe again what was believed after a revision; None where nothing has changed since."""
        with self._turn():
            then = {name: value for name, value in self.at(revision).items() if parameters.is_parameter(name)}
            origins = {name: row.origin(name) for row in self.revisions() if row.revision <= revision
                       for name in row.changes}  # fmt: skip
            return self._change(then, f"rollback to revision {revision}", {}, {}, origins)

    def adopt(self, other: "ParameterStore") -> Revision | None:
        """Take over what another lab believes; of this lab itself: say that what is older than labs is its own."""
        recorded = {name for row in other.revisions() for name in row.changes}
        with self._turn():
            held = {name: other.get(name) for name in other.rows()}
            values = {name: value for name, value in held.items()
                      if name in recorded or value != parameters.parameter(name).default}  # fmt: skip
            origins = dict.fromkeys(values, "" if other.lab == self.lab else other.lab.name)
            evidence: dict[str, dict[str, Any]] = {name: {} for name in values}  # recorded even where it is equal
            return self._change(values, f"adopted from lab {other.lab.name}", evidence, {}, origins)

    def reconcile(self) -> None:
        """Let datasets follow the history after a kill, and the history take up what was edited without it."""
        if self.path.exists():
            with line_log.locked(self.path):
                self._reconcile()

    # -- parts

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Keep other writers out, and start from what is believed now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with line_log.locked(self.path):
            self._reconcile()
            yield

    def _change(
        self,
        values: Mapping[str, float],
        why: str,
        evidence: Mapping[str, Mapping[str, Any]],
        fits: Mapping[str, Any],
        origins: Mapping[str, str],
    ) -> Revision | None:
        changes = {}
        for name, value in values.items():
            row, proof = parameters.parameter(name), evidence.get(name, {})
            previous, origin = self._dataset(row), origins.get(name, "")
            if previous != value or name in evidence:
                changes[name] = Change(value, previous, row.unit, _finite(proof.get("error")), proof.get("n"), origin)
        return self._commit(changes, self._who, why, dict(fits)) if changes else None

    def _set_by_others(self, believed: Mapping[str, float | None]) -> list[str]:
        """Return what others have made of the beliefs that a run went by."""
        last = {name: row.rid for row in self.revisions() for name in row.changes}
        return [f"{name} {value:.6g} -> {self.get(name):.6g}" for name, value in believed.items()
                if value is not None and self.get(name) != value and last.get(name) != self._rid]  # fmt: skip

    def _dataset(self, row: Parameter) -> float:
        for name in (row.name, old_names.before(row.name)):
            try:
                return float(self._datasets.get(self.lab.key(name)))
            except KeyError:
                continue
        return row.default

    def _write(self, name: str, value: float) -> None:
        self._datasets.set(self.lab.key(name), value, _unit_of(name))

    def _followed(self) -> int:
        """Return up to which revision the datasets have followed the history."""
        try:
            return int(self._datasets.get(self.lab.key(REVISION)))
        except KeyError:
            return 0

    def _reconcile(self) -> None:
        rows = self.revisions()
        if not rows:
            return
        followed = self._followed()
        waiting = parameter_log.waiting(self.path, followed)
        for name, value in waiting.items():
            self._write(name, value)
        if followed < rows[-1].revision:
            self._write(REVISION, rows[-1].revision)
        edited = self.edited_without()
        if edited:
            self._commit(edited, "unknown", "dataset edited without the store", {})

    def _commit(self, changes: Mapping[str, Change], who: str, why: str, fits: dict[str, Any]) -> Revision:
        rows = self.revisions()
        number = rows[-1].revision + 1 if rows else 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        revision = Revision(number, now, self._rid, who, why, changes, _plain(fits), self.lab.name)
        parameter_log.append(self.path, revision)
        # All of them, not what changed alone: two runs of artiq_run save what they wrote over each other when they end,
        # and the number of a revision must come with every belief that it stands for.
        past = {name: change.value
                for row in rows for name, change in row.changes.items() if parameters.is_parameter(name)}  # fmt: skip
        for name, value in {**past, **{name: change.value for name, change in changes.items()}}.items():
            self._write(name, value)
        self._write(REVISION, number)
        return revision

    def _check_revision(self, revision: int, rows: tuple[Revision, ...]) -> None:
        last = rows[-1].revision if rows else 0
        if not 0 <= revision <= last:
            raise UsageError(f"Revision {revision} does not exist, must be 0 … {last}: see `atomlink params log`")


def checked_value(name: str, value: float, unit: str | None) -> float:
    """Return a value in the unit of its parameter; UsageError for a name, unit or number that cannot be."""
    row = parameters.parameter(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"Parameter {name} was given {value!r}, must be a finite number in {row.unit}")
    scale = 1.0 if unit is None else parameters.scale_of(unit, row.unit)
    if scale is None:
        raise UsageError(f"Parameter {name} was given in {unit or 'no unit'}, must be in {row.unit}, prefixes allowed")
    number = float(value) * scale
    _check_range(row, number)
    return number


def _check_range(row: Parameter, number: float) -> None:
    """Raise UsageError for what no lab can mean: out of the row's range, or a part of what is counted."""
    slack = 1e-9  # relative, for what a prefix rounds
    within = row.lowest - slack * abs(row.lowest) <= number <= row.highest + slack * abs(row.highest)
    if not within or (row.whole and not number.is_integer()):
        unit = parameters.dataset_unit(row)
        kind = "a whole number " if row.whole else ""
        raise UsageError(
            f"Parameter {row.name} was given {f'{number:.6g} {unit}'.rstrip()}, must be {kind}from {row.lowest:g} to "
            f"{f'{row.highest:g} {unit}'.rstrip()}: check sign, prefix and unit; it is the {row.meaning!r}"
        )


def _unit_of(name: str) -> str:
    return parameters.dataset_unit(parameters.parameter(name)) if parameters.is_parameter(name) else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a password file
        return "unknown"


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Return what JSON can say: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
