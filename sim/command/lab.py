"""Where a laboratory keeps its files: the root by `device_db.py`, run ids, results folders.  Layout: ARTIQ's master."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from atomlink.errors import DataError, UsageError
from atomlink.files import write_whole

_TRIES = 100
RESULT_NAME = re.compile(r"(\d{9,})-.*\.(h5|journal)")


@dataclass(frozen=True)
class Lab:
    """A laboratory's folder, known by its `device_db.py`."""

    root: Path

    @property
    def device_db(self) -> Path:
        """Return the path of the device database."""
        return self.root / "device_db.py"

    @property
    def dataset_db(self) -> Path:
        """Return the path of the LMDB file that keeps persisted datasets."""
        return self.root / "dataset_db.mdb"

    @property
    def results(self) -> Path:
        """Return the folder of the results files."""
        return self.root / "results"


def find_lab(*starts: Path) -> Lab:
    """Return the lab whose `device_db.py` is nearest above the first start that has one."""
    for start in starts:
        start = start.resolve()
        for folder in (start, *start.parents):
            if (folder / "device_db.py").is_file():
                return Lab(folder)
    places = " or ".join(str(start) for start in starts)
    raise UsageError(f"no device_db.py in or above {places}: run inside a lab's folder, or name a file of one")


def next_rid(lab: Lab, results: Path) -> int:
    """Allocate a run id from `last_rid.pyon`, as ARTIQ's master does; two commands never get the same one.

    A master that runs at the same time keeps its own count in memory: use one of the two at a time.
    """
    cache = lab.root / "last_rid.pyon"
    with _locked(lab.root):
        rid = 1 + (_cached_rid(cache) if cache.exists() else last_rid_in(results))
        write_whole(cache, f"{rid}\n".encode())
    return rid


def last_rid_in(results: Path) -> int:
    """Return the highest run id among results files and journals, -1 where there are none."""
    return max((rid_of(path) for path in results.glob("????-??-??/*/*")), default=-1)


def rid_of(path: Path) -> int:
    """Return the run id in the name of a results file or a journal, -1 for another file."""
    match = RESULT_NAME.fullmatch(path.name)
    return int(match.group(1)) if match else -1


def newest_result(results: Path) -> Path:
    """Return the results file with the highest run id."""
    files = [path for path in results.glob("????-??-??/*/*.h5") if rid_of(path) >= 0]
    if not files:
        raise UsageError(f"no results file in {results}: run an experiment first, or name a file")
    from analysis.load import whole_of  # numpy: not needed to start a run

    return max(files, key=lambda path: (rid_of(path), whole_of(path) is None))


def results_folder(results: Path, start_time: float) -> Path:
    """Return `results/%Y-%m-%d/%H` for a start time in seconds since the epoch."""
    local = time.localtime(start_time)
    return results / time.strftime("%Y-%m-%d", local) / time.strftime("%H", local)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make a results folder the working directory, as ARTIQ's worker does; nobody removes it meanwhile."""
    before = Path.cwd()
    try:
        descriptor = _entered(folder)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        raise UsageError(
            f"results folder {folder} cannot be made ({error.strerror}): name another with --results"
        ) from None
    try:
        if not writable:
            raise UsageError(f"results folder {folder} cannot be written to: name another with --results")
        os.fchdir(descriptor)
        yield
    finally:
        os.chdir(before)
        os.close(descriptor)


def _entered(folder: Path) -> int:
    """Make a folder and open it with a shared lock, again where another run has removed it in between."""
    for attempt in range(_TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
            continue
        with suppress(OSError):  # a file system without locks: then remove_empty gets none, too, and removes nothing
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "another process removes it again and again")


def remove_empty(folder: Path, results: Path) -> None:
    """Remove a results folder that nothing was written to and no other run works in, and what is empty above it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        while folder != results.parent:
            folder.rmdir()
            folder = folder.parent
    except OSError:  # another run works in it, or it is not empty: a file is in it, or another hour's folder
        return
    finally:
        os.close(descriptor)


def _cached_rid(cache: Path) -> int:
    text = cache.read_text().strip()
    if not text.lstrip("-").isdigit():
        raise DataError(f"{cache} holds {text[:40]!r}, must be the last run id, an integer: "
                        "delete it and the results folder is counted instead")
    return int(text)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lab folder's advisory lock: a lock on the folder leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
