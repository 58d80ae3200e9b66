"""Keep every shot as it happens: an append-only, checksummed journal beside the results file, and what recovers a run
from it.

File: one header line `atomlink-journal 1 <crc32> <JSON>`, then records of length u32, crc32 u32 (little endian) and
payload JSON. In a row a key without a dot is a column of `shots.*` (or of what the header's `columns` says, `scan.*`),
a key with a dot is a run-level dataset whose last value wins. An HDF5 file that is killed while written cannot be read
again, and ARTIQ writes its file only at the end: hence a format of our own.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from analysis import schema
from analysis.load import whole_of
from analysis.veto import is_vetoed
from atomlink.errors import DataError, LabError

try:
    import fcntl
except ImportError:  # not POSIX: no locks, so recovering a live journal is for the user to avoid
    fcntl = None  # type: ignore[assignment]

MAGIC = b"atomlink-journal 1 "
RECORD = struct.Struct("<II")
COMPLETE = "run.complete"
VETO = "link.veto_mu"

Row = dict[str, Any]


def _plain(value: Any) -> Any:
    """Turn a numpy scalar or array into what JSON holds."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written: a row holds int, float, str and lists of them")


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain, check_circular=False).encode


class TornHeaderError(DataError):
    """A journal ends within its header: no row was ever acknowledged."""


class Journal:
    """An open journal: `append` returns when the operating system has the row, a thread brings it to the disk."""

    def __init__(self, path: Path, descriptor: int, fsync_s: float) -> None:
        self.path = path
        self._descriptor = descriptor
        self._fsync_s = fsync_s
        self._size = os.fstat(descriptor).st_size
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
        _write_all(descriptor, MAGIC + b"%08x " % zlib.crc32(text) + text + b"\n")
        return cls(path, descriptor, fsync_s)

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
        record = RECORD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            _write_all(self._descriptor, record)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)  # half a record would hide every later one
            raise self._error(error, "free the disk") from None
        self._size += len(record)
        self._dirty = True

    def _error(self, error: OSError, remedy: str) -> DataError:
        return DataError(f"Journal `{self.path}` cannot be written ({error.strerror}): {remedy}.")

    def close(self, complete: bool) -> None:
        """Write whether the run is complete, sync and close; closing twice does nothing."""
        if self._closing.is_set():
            return
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


def read_journal(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[Row], int]:
    """Return (header, rows, torn bytes); reading stops at the first record that is cut or whose checksum is bad."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"Journal `{path}` cannot be read ({error.strerror}).") from None
    header, start = _read_header(path, data)
    rows: list[Row] = []
    while start + RECORD.size <= len(data):
        length, checksum = RECORD.unpack_from(data, start)
        payload = data[start + RECORD.size : start + RECORD.size + length]
        if len(payload) != length or zlib.crc32(payload) != checksum or not payload.startswith(b"{"):
            break  # eight zero bytes, as a power cut leaves them, are a valid empty record: hence the brace
        try:
            rows.append(json.loads(payload))
        except ValueError:
            break
        start += RECORD.size + length
    return header, rows, len(data) - start


def fold(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the datasets that a journal holds, as the experiment would have stored them at the end of the run."""
    header, rows, _ = read_journal(path)
    return fold_rows(header, rows)


def fold_rows(header: Mapping[str, Any], rows: list[Row]) -> dict[str, Any]:
    """Return run-level datasets and the columns of the rows; one without a column shows -1 (int) or nan there.

    The header's `columns` says what the columns are called: `shots.*` unless told (`scan.*` of a scan).
    """
    run_level: dict[str, Any] = {COMPLETE: 0, **header.get("datasets", {})}
    shots: list[Row] = []
    for row in rows:
        run_level.update((key, value) for key, value in row.items() if "." in key)
        shot = {key: value for key, value in row.items() if "." not in key}
        shots += [shot] if shot else []
    _veto(shots, run_level.get(VETO, ()))
    names = dict.fromkeys(name for shot in shots for name in shot)
    prefix = header.get("columns", "shots")
    columns = {f"{prefix}.{name}": _column(shots, name) for name in names}
    return {key: schema.stored(key, value) for key, value in {**run_level, **columns}.items()}


def _veto(shots: list[Row], intervals_mu: Sequence[Sequence[int]]) -> None:
    """Mark the shots of times in which a lock may have been lost; that is known only after they were written."""
    if intervals_mu:
        heralds = [shot.get("t_herald_mu", schema.MISSING_INT) for shot in shots]
        for shot, vetoed in zip(shots, is_vetoed(heralds, intervals_mu), strict=True):
            if vetoed:
                shot["valid"] = 0


def _column(shots: list[Row], name: str) -> list[Any]:
    first = next(shot[name] for shot in shots if name in shot)
    missing = _missing_like(first)
    return [shot.get(name, missing) for shot in shots]


def _missing_like(value: Any) -> Any:
    if isinstance(value, list):
        return [_missing_like(entry) for entry in value]
    return "" if isinstance(value, str) else float("nan") if isinstance(value, float) else schema.MISSING_INT


def _read_header(path: str | os.PathLike[str], data: bytes) -> tuple[dict[str, Any], int]:
    line, newline, _ = data.partition(b"\n")
    checksum, _, text = line.removeprefix(MAGIC).partition(b" ")
    if not newline and (MAGIC.startswith(line[: len(MAGIC)]) or line.startswith(MAGIC)):
        raise TornHeaderError(f"Journal `{path}` ends within its header: the run was killed before its first shot.")
    if not line.startswith(MAGIC) or checksum != b"%08x" % zlib.crc32(text):
        raise DataError(
            f"File `{path}` is not a journal: it must begin with `{MAGIC.decode().strip()}` and a valid checksum."
        )
    return json.loads(text), len(line) + 1


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
    if _is_locked(journal):
        return Recovery(journal, "running", 0, 0, "its experiment still writes it")
    try:
        header, rows, torn = read_journal(journal)
        datasets = fold_rows(header, rows)
    except TornHeaderError as error:
        return Recovery(journal, "empty", 0, 0, str(error))
    except LabError as error:
        return Recovery(journal, "failed", 0, 0, str(error))
    shots = sum(any("." not in key for key in row) for row in rows)
    from analysis import archive  # here, because experiments import this module and only `recover` needs HDF5

    results, whole = journal.with_suffix(".h5"), whole_of(journal)
    state = archive.state_of(results)
    if state == "missing" and whole is not None and archive.state_of(whole) == "good":
        return Recovery(journal, "kept", shots, torn, f"part of `{whole.name}`, which is readable")
    if state == "good":
        return Recovery(journal, "kept", shots, torn, f"`{results.name}` is readable")
    if state == "busy":
        return Recovery(journal, "running", shots, torn, f"`{results.name}` is open in another process")
    detail = f"`{results.name}` was missing"
    if state == "unreadable":
        os.replace(results, results.with_name(results.name + ".unreadable"))
        detail = f"`{results.name}` was unreadable and is kept as `{results.name}.unreadable`"
    archive.write_results(results, header, datasets)
    return Recovery(journal, "written", shots, torn, detail)


def _is_locked(journal: Path) -> bool:
    if not fcntl:
        return False
    with open(journal, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
