"""Copies of the service's database: made while it runs, checked before they take its place.

The numbers of jobs go on above those in the folder `jobs`: what was submitted after the copy was made has its log and
its outcome there, and they must not become another job's.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from atomlink.errors import UsageError
from atomlink.files import replacing
from atomlink.service.local import folder_of, highest_number, living
from atomlink.service.states import ERROR
from atomlink.service.steps import STEPS
from atomlink.service.store import FILE, Store, only_one


def backup(state: Path, file: Path) -> None:
    """Write a copy of the database of the service in a folder, consistent while it runs; nobody else may read it."""
    if not (state / FILE).is_file():
        raise UsageError(f"{state} has no {FILE}: name the folder of a service with --state")
    with replacing(file) as temporary:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _copy(state / FILE, temporary)
        except sqlite3.Error as error:
            raise UsageError(f"{state / FILE} cannot be copied ({error}): nothing was written") from None


def restore(state: Path, file: Path, who: str) -> Path:
    """Put a copy in the place of a stopped service's database and return it; UsageError where it is no sound copy.

    Its audit log then says who did it.
    """
    if not file.is_file():
        raise UsageError(f"{file} is no file: name a backup of a service")
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(state):
        if lives := living(state / "jobs"):
            raise UsageError(f"job {lives[0]} still runs, which the copy may not know: wait for its end, or kill its "
                             "worker")  # fmt: skip
        with replacing(state / FILE) as temporary:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            _checked_copy(file, temporary)
            _empty_log(state / FILE)
        for suffix in ("-wal", "-shm"):  # of a database that could not be read: nothing of it belongs to the new one
            (state / (FILE + suffix)).unlink(missing_ok=True)
        store = Store(state)
        try:
            store.number_above(highest_number(state / "jobs"))
            store.audit(who, "restore", "service", str(file.resolve()))
            for job in store.running():
                if not folder_of(state / "jobs", job["id"]).exists():  # it had one: not to be taken for not begun
                    store.move(job["id"], ERROR, ended_at=time.time(), error="it ran when the copy of the queue was "
                               "made, and its folder is gone")  # fmt: skip
        finally:
            store.close()
    return state / FILE


def _copy(path: Path, to: Path) -> None:
    """Copy a database with what is in its log, read only: that of a service that runs is its own to upgrade."""
    source = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one whole file


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the lock of a service's folder; UsageError where the service runs."""
    lock = only_one(state)
    try:
        yield
    finally:
        os.close(lock)


def _checked_copy(file: Path, copy: Path) -> None:
    """Copy a file, and refuse what is damaged, is no database of a service, or is of a newer version."""
    try:
        _copy(file, copy)
        with closing(sqlite3.connect(copy)) as database:
            (taken,) = database.execute("PRAGMA user_version").fetchone()
            found = [row[0] for row in database.execute("PRAGMA integrity_check(1)")]
            database.execute("SELECT COUNT(*) FROM jobs")
    except sqlite3.Error as error:
        raise UsageError(f"{file} is no backup of a service ({error}): name one") from None
    if found != ["ok"]:
        raise UsageError(f"{file} is damaged ({' '.join(str(found[0]).split())}): name another backup")
    if not 1 <= taken <= len(STEPS):
        raise UsageError(f"{file} has {taken} steps, must have 1 to {len(STEPS)}: a newer atomlink made it, or it is "
                         "no backup of a service")  # fmt: skip


def _empty_log(database: Path) -> None:
    """Bring what is in a database's log into it: else the log could outlive it, and be taken for its successor's."""
    with suppress(sqlite3.Error):  # damaged: that is why it is replaced
        if database.is_file():
            with closing(sqlite3.connect(database)) as old:
                old.execute("PRAGMA journal_mode = DELETE")
