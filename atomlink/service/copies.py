"""Copies of the service's database: made while it runs, checked before they take its place.

The numbers of jobs go on above those in the folder `jobs`: what was submitted after the copy was made has its log and
its outcome there, and they must not become another job's.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from atomlink.errors import UsageError
from atomlink.files import replacing
from atomlink.service.local import highest_number
from atomlink.service.steps import STEPS
from atomlink.service.store import FILE, Store, only_one


def backup(state: Path, file: Path) -> None:
    """Write a copy of the database of the service in a folder, consistent while it runs; nobody else may read it."""
    if not (state / FILE).is_file():
        raise UsageError(f"{state} has no {FILE}: name the folder of a service with --state")
    with replacing(file) as temporary:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            # Read only: a service that runs may be of an older version, and its database is its own to upgrade.
            with closing(_only_read(state / FILE)) as source, closing(sqlite3.connect(temporary)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
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
        with replacing(state / FILE) as temporary:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copyfile(file, temporary)
            _check(temporary, file)
            _empty_log(state / FILE)
        for suffix in ("-wal", "-shm"):  # of a database that could not be read: nothing of it belongs to the new one
            (state / (FILE + suffix)).unlink(missing_ok=True)
        store = Store(state)
        try:
            store.number_above(highest_number(state / "jobs"))
            store.audit(who, "restore", "service", str(file.resolve()))
        finally:
            store.close()
    return state / FILE


def _only_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the lock of a service's folder; UsageError where the service runs."""
    lock = only_one(state)
    try:
        yield
    finally:
        os.close(lock)


def _check(copy: Path, file: Path) -> None:
    """Refuse what is damaged, is no database of a service, or is of a newer version; leave the copy one whole file."""
    try:
        with closing(sqlite3.connect(copy)) as database:
            (taken,) = database.execute("PRAGMA user_version").fetchone()
            found = [row[0] for row in database.execute("PRAGMA integrity_check(1)")]
            database.execute("SELECT COUNT(*) FROM jobs")
            database.execute("PRAGMA journal_mode = DELETE")
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
