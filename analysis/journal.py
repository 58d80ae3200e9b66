"""Keep every shot as it happens: an append-only, checksummed journal beside the results file, and what recovers a run
from it.

What a file consists of is in analysis/records.py. An HDF5 file that is killed while written cannot be read again, and
ARTIQ writes its file only at the end: hence a format of our own.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from analysis import schema
from analysis.load import Run, whole_of
from analysis.records import COPY, Row, TornHeaderError, header_line, record, shots_of
from analysis.records import read_journal as read_journal  # where others look for it
from analysis.veto import is_vetoed
from atomlink.errors import DataError
from atomlink.interrupts import held

try:
    import fcntl
except ImportError:  # not POSIX: no locks, so recovering a live journal is for the user to avoid
    fcntl = None  # type: ignore[assignment]

COMPLETE = "run.complete"
VETO = "link.veto_mu"


def _plain(value: Any) -> Any:
    """Turn a numpy scalar or array into what JSON holds."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written: a row holds int, float, str and lists of them")


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain, check_circular=False).encode


class Journal:
    """An open journal: `append` returns when the operating system has the row, a thread brings it to the disk."""

    def __init__(self, path: Path, descriptor: int, fsync_s: float, copy: bytes) -> None:
        self.path = path
        self._descriptor = descriptor
        self._fsync_s = fsync_s
        self._copy = copy  # of the header, to follow the first row: one spoiled place never takes both
        self._dirty = True
        self._failure: OSError | None = None
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._keep_syncing, name="journal fsync", daemon=True)
        self._syncer.start()

    @classmethod
    def create(
        cls, folder: str | os.PathLike[str], rid: int, class_name: str, header: Mapping[str, Any], fsync_s: float = 1.0
    ) -> Self:
        """Create `{rid:09}-{class_name}.journal`; the header may hold start_time, expid, artiq_version, datasets."""
        path = Path(folder) / f"{rid:09}-{class_name}.journal"
        if not fsync_s > 0:
            raise DataError(f"Argument `fsync_s` must be > 0 seconds, but is {fsync_s}.")
        try:
            text = _encode({**header, "rid": int(rid), "class_name": class_name, "created": time.time()}).encode()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            raise DataError(
                f"Journal `{path}` exists already: a run writes its own; choose another rid or folder."
            ) from None
        except OSError as error:
            raise DataError(f"Journal `{path}` cannot be created ({error.strerror}): the folder must exist.") from None
        except TypeError as error:
            raise DataError(f"Header of journal `{path}`: {error}.") from None
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells `recover` that the run is alive
        try:
            _write_all(descriptor, header_line(text))
        except OSError as error:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise DataError(f"Journal `{path}` cannot be written ({error.strerror}): free the disk.") from None
        return cls(path, descriptor, fsync_s, record(b'{"%s":%s}' % (COPY.encode(), text)))

    def append(self, row: Mapping[str, Any]) -> None:
        """Hand one row to the operating system; raises DataError where the row cannot be written or an fsync failed."""
        if self._closing.is_set():
            raise DataError(f"Journal `{self.path}` is closed: append before `close`.")
        if self._failure is not None:
            raise self._error(self._failure, "stop the run and move to a sound disk")
        try:
            payload = _encode(row).encode()
        except TypeError as error:
            raise DataError(f"Row of journal `{self.path}`: {error}.") from None
        size = os.fstat(self._descriptor).st_size  # asked, not counted: an interrupt would spoil the count
        try:
            _write_all(self._descriptor, record(payload) + self._copy)
        except OSError as error:
            os.ftruncate(self._descriptor, size)  # half a record is of no use to anybody
            raise self._error(error, "free the disk") from None
        self._copy = b""
        self._dirty = True

    def _error(self, error: OSError, remedy: str) -> DataError:
        return DataError(f"Journal `{self.path}` cannot be written ({error.strerror}): {remedy}.")

    def close(self, complete: bool) -> None:
        """Write whether the run is complete, sync and close; closing twice does nothing."""
        if self._closing.is_set():
            return
        with held():
            try:
                self.append({COMPLETE: int(complete)})
            finally:
                self._closing.set()
                self._syncer.join()
                os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    def _keep_syncing(self) -> None:
        while True:
            closing = self._closing.wait(self._fsync_s)
            if self._dirty:
                self._dirty = False  # before the fsync: a row written during it makes it dirty again
                try:
                    os.fsync(self._descriptor)
                except OSError as error:
                    self._failure = error
            if closing:
                return


def fold(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the datasets that a journal holds, as the experiment would have stored them at the end of the run."""
    header, rows, _ = read_journal(path)
    return fold_rows(header, rows)


def fold_rows(header: Mapping[str, Any], rows: list[Row]) -> dict[str, Any]:
    """Return run-level datasets and the columns of the rows; one without a column shows -1 (int) or nan there.

    The header's `columns` says what the columns are called: `shots.*` unless told (`scan.*` of a scan). What makes no
    sense as `link.veto_mu` vetoes nothing and is kept as text.
    """
    run_level: dict[str, Any] = {COMPLETE: 0, **header.get("datasets", {})}
    for row in rows:
        run_level.update((key, value) for key, value in row.items() if "." in key)
    shots = shots_of(rows)
    _veto(shots, run_level.get(VETO, ()))
    names = dict.fromkeys(name for shot in shots for name in shot)
    prefix = header.get("columns", "shots")
    columns = {f"{prefix}.{name}": _column(shots, name) for name in names}
    return {key: schema.stored(key, value) for key, value in {**run_level, **columns}.items()}


def _veto(shots: list[Row], intervals_mu: Any) -> None:
    """Mark the shots of times in which a lock may have been lost; that is known only after they were written."""
    heralds = [shot.get("t_herald_mu", schema.MISSING_INT) for shot in shots]
    try:
        vetoed = is_vetoed(heralds, intervals_mu)
    except (TypeError, ValueError, OverflowError):
        return
    for shot, out in zip(shots, vetoed, strict=True):
        if out:
            shot["valid"] = 0


def _column(shots: list[Row], name: str) -> list[Any]:
    first = next(shot[name] for shot in shots if name in shot)
    missing = _missing_like(first)
    return [shot.get(name, missing) for shot in shots]


def _missing_like(value: Any) -> Any:
    if isinstance(value, list):
        return [_missing_like(entry) for entry in value]
    return "" if isinstance(value, str) else float("nan") if isinstance(value, float) else schema.MISSING_INT


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@dataclass(frozen=True)
class Recovery:
    """What `recover` did with one journal; `action` is written, kept, running, empty or failed. Prints as one line."""

    journal: Path
    action: str
    shots: int
    torn_bytes: int
    detail: str

    def __str__(self) -> str:
        torn = f", {self.torn_bytes} torn bytes dropped" if self.torn_bytes else ""
        return f"{self.action:8}{self.journal}: {self.shots} shots{torn}; {self.detail}"


def recover(path: str | os.PathLike[str]) -> list[Recovery]:
    """Write the HDF5 file of every journal at or below `path` that has none which is readable; safe to repeat."""
    root = Path(path)
    if root.is_dir():
        return [_recover_one(journal) for journal in sorted(root.rglob("*.journal"))]
    journal = root.with_suffix(".journal")
    if not journal.is_file():
        raise DataError(f"There is no journal `{journal}`: recover takes a folder, a .journal file or its .h5 file.")
    return [_recover_one(journal)]


def _recover_one(journal: Path) -> Recovery:
    """Recover one journal; whatever is odd about it does not keep the others from being recovered."""
    try:
        if _is_locked(journal):
            return Recovery(journal, "running", 0, 0, "its experiment still writes it")
        return _written_or_kept(journal)
    except TornHeaderError as error:
        return Recovery(journal, "empty", 0, 0, str(error))
    except Exception as error:  # noqa: BLE001 - said in the line of this journal; see above
        said = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        return Recovery(journal, "failed", 0, 0, " | ".join(said.splitlines()))


def _written_or_kept(journal: Path) -> Recovery:
    from analysis import archive  # here, because experiments import this module and only `recover` needs HDF5

    header, rows, torn = read_journal(journal)
    datasets, shots = fold_rows(header, rows), len(shots_of(rows))
    results, whole = journal.with_suffix(".h5"), whole_of(journal)
    state, run = archive.state_of(results)
    if state == "busy":
        return Recovery(journal, "running", shots, torn, f"`{results.name}` is open in another process")
    if state == "missing" and whole is not None and archive.state_of(whole)[0] == "good":
        return Recovery(journal, "kept", shots, torn, f"part of `{whole.name}`, which is readable")
    if run is not None and not _lacking(run, datasets, archive.odd_name):
        return Recovery(journal, "kept", shots, torn, f"`{results.name}` is readable, {run.integrity}")
    units: Mapping[str, Any] = {}
    detail = f"`{results.name}` was missing"
    if state != "missing":
        why = "unreadable" if run is None else "incomplete"
        detail = f"`{results.name}` was {why} and is kept as `{results.name}.{why}`"
        os.replace(results, results.with_name(f"{results.name}.{why}"))
    if run is not None:  # what only the file has stays: fits, what the run believed
        datasets, units = {**run.datasets, **datasets}, run.metadata
        header = {**header, "archive": run.archive, "start_time": run.start_time, "run_time": run.run_time,
                  "artiq_version": run.artiq_version}  # fmt: skip
    odd = archive.write_results(results, header, datasets, units)
    if odd:
        detail += f"; as text, because HDF5 has no such names or values: {', '.join(odd)}"
    return Recovery(journal, "written", shots, torn, detail)


def _lacking(run: Run, datasets: Mapping[str, Any], odd_name: Callable[[str], str]) -> bool:
    """Return whether a results file lacks shots that the journal has: its run was interrupted while it filed them."""
    return any(np.ndim(value) and odd_name(key) not in run.datasets and
               (key not in run.datasets or np.shape(run.datasets[key])[:1] < np.shape(value)[:1])
               for key, value in datasets.items())  # fmt: skip


def _is_locked(journal: Path) -> bool:
    if not fcntl:
        return False
    with open(journal, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
