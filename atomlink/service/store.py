"""Jobs, sessions and the audit log in SQLite: what is acknowledged is in here, and here alone.

One process writes (a lock on the folder sees to it). Every change of state goes through `move`, which knows the table
of states. A commit survives the kill of the process; it is brought to the disk once a second, so that a power cut
can lose the last second.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from atomlink.errors import DataError, UsageError
from atomlink.service.problems import Problem
from atomlink.service.states import CANCELED, FINAL, PENDING, RUNNING, may_follow
from atomlink.service.steps import upgrade

Row = dict[str, Any]
Listener = Callable[[Row], None]

FILE = "service.db"
_SHOWN = ("state", "started_at", "ended_at", "rid", "path", "error", "results", "shots", "attempt",
          "cancel_requested")  # fmt: skip  # what `move` may set
_AUDIT = "INSERT INTO audit (at, who, action, object, detail) VALUES (?, ?, ?, ?, ?)"
_TOP = """
    SELECT s.virtual_s AS virtual_s, j.* FROM sessions s JOIN jobs j ON j.id = (
        SELECT id FROM jobs WHERE state = 'PENDING' AND lab = ? AND session = s.id ORDER BY priority DESC, id LIMIT 1)
    WHERE s.waiting > 0 ORDER BY j.priority DESC, s.virtual_s, j.id LIMIT 1
"""


class Store:
    """The database of one service."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.path = folder, folder / FILE
        descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        os.close(descriptor)
        try:
            # The lifespan opens it, and uvicorn's one thread uses it; a test's client has threads of its own.
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
                                   "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -8000")  # fmt: skip
            upgrade(self._db)
        except sqlite3.DatabaseError as error:
            raise DataError(f"The queue `{self.path}` cannot be read ({error}): restore a backup.") from error
        self.listeners: list[Listener] = []

    def close(self) -> None:
        """Bring everything to the disk and close."""
        self._db.close()

    def sync(self) -> None:
        """Bring what was committed to the disk; callable from any thread."""
        wal = self.path.with_name(FILE + "-wal")
        if wal.exists():
            descriptor = os.open(wal, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Change several things together, or none of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            if self._db.in_transaction:  # a full disk has rolled back already
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Row]:
        return [dict(row) for row in self._db.execute(query, values)]

    def _row(self, query: str, values: tuple[Any, ...] = ()) -> Row | None:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else dict(row)

    def number_above(self, least: int) -> None:
        """Give the next job a higher number than `least`: a folder of that number may be another job's."""
        with self._change() as db:
            (known,) = db.execute("SELECT COALESCE(MAX(seq), -1) FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
            if known < 0:
                db.execute("INSERT INTO sqlite_sequence VALUES ('jobs', ?)", (least,))
            elif known < least:
                db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'jobs'", (least,))

    # Sessions

    def open_session(self, user: str, slurm_job_id: str | None = None, name: str | None = None) -> Row:
        """Open a session for a user; with a name it is found again, and opened once only."""
        key, now = name or str(uuid.uuid4()), time.time()
        self._db.execute("INSERT INTO sessions (id, user, slurm_job_id, created_at, used_at) VALUES (?, ?, ?, ?, ?) "
                         "ON CONFLICT DO NOTHING", (key, user, slurm_job_id, now, now))  # fmt: skip
        found = self.session(key)
        assert found is not None
        return found

    def session(self, key: str) -> Row | None:
        """Return a session."""
        return self._row("SELECT * FROM sessions WHERE id = ?", (key,))

    def sessions(self, only_open: bool = False) -> list[Row]:
        """Return the sessions, the oldest first."""
        return self._rows("SELECT * FROM sessions" + (" WHERE revoked_at IS NULL" if only_open else "")
                          + " ORDER BY created_at")  # fmt: skip

    def revoke(self, key: str) -> list[int]:
        """End a session: it takes no more jobs, and what waits in it is cancelled; return what was."""
        self._db.execute("UPDATE sessions SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (time.time(), key))
        waiting = [row["id"] for row in self._rows("SELECT id FROM jobs WHERE session = ? AND state = ?",
                                                   (key, PENDING))]  # fmt: skip
        for number in waiting:
            self.move(number, CANCELED, error="its session was ended", ended_at=time.time())
        return waiting

    def reopen(self, key: str) -> None:
        """Open a session again that was ended."""
        self._db.execute("UPDATE sessions SET revoked_at = NULL WHERE id = ?", (key,))

    def expire(self, idle_s: float) -> list[str]:
        """End the sessions that were opened for a Slurm job and are idle for so long; return them."""
        idle = self._rows(
            "SELECT id FROM sessions WHERE revoked_at IS NULL AND id NOT LIKE 'user:%' AND used_at < ? AND NOT EXISTS "
            "(SELECT 1 FROM jobs WHERE session = sessions.id AND state IN ('PENDING', 'RUNNING'))",
            (time.time() - idle_s,),
        )
        for row in idle:
            self.revoke(row["id"])
        return [row["id"] for row in idle]

    # Jobs

    def submit(
        self, session: str, user: str, lab: str, kind: str, spec: Mapping[str, Any], priority: int = 0,
        retry_of: int | None = None, repeat_key: str | None = None, request: str | None = None,
    ) -> Row:  # fmt: skip
        """Put a job into the queue; when this returns, it is acknowledged.

        `repeat_key` finds it again (`repeated`); `request` says what was asked for with it.
        """
        now = time.time()
        with self._change() as db:
            cursor = db.execute(
                "INSERT INTO jobs (session, user, lab, kind, spec, priority, state, created_at, retry_of, repeat_key, "
                "request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (session, user, lab, kind, json.dumps(spec), priority, PENDING, now, retry_of, repeat_key, request),
            )
            # A session that had nothing to do starts where the others are: it saves up no time while it is away.
            db.execute(
                "UPDATE sessions SET used_at = ?, waiting = waiting + 1, virtual_s = CASE WHEN waiting > 0 THEN "
                "virtual_s ELSE MAX(virtual_s, COALESCE((SELECT MIN(virtual_s) FROM sessions WHERE waiting > 0), 0)) "
                "END WHERE id = ?",
                (now, session),
            )
        job = self.job(int(cursor.lastrowid or 0))
        assert job is not None
        self._tell(job)
        return job

    def repeated(self, user: str, key: str) -> Row | None:
        """Return the job that a user submitted with a `repeat_key`."""
        return self._row("SELECT * FROM jobs WHERE user = ? AND repeat_key = ?", (user, key))

    def job(self, number: int) -> Row | None:
        """Return a job."""
        return self._row("SELECT * FROM jobs WHERE id = ?", (number,)) if abs(number) < 2**63 else None

    def jobs(self, user: str | None = None, state: str | None = None, lab: str | None = None,
             session: str | None = None, before: int | None = None, most: int = 100) -> list[Row]:  # fmt: skip
        """Return the newest jobs, the newest first, of one user, state, lab, session, or with a smaller number."""
        asked = {"user = ?": user, "state = ?": state, "lab = ?": lab, "session = ?": session, "id < ?": before}
        given = {test: value for test, value in asked.items() if value is not None}
        where = " WHERE " + " AND ".join(given) if given else ""
        return self._rows(f"SELECT * FROM jobs{where} ORDER BY id DESC LIMIT ?", (*given.values(), most))

    def next_of(self, lab: str) -> Row | None:
        """Return the job that is next: highest priority, then the session with the least time had, then the oldest."""
        return self._row(_TOP, (lab,))

    def running(self) -> list[Row]:
        """Return the jobs that run."""
        return self._rows("SELECT * FROM jobs WHERE state = ?", (RUNNING,))

    def rids_of(self, user: str, most: int = 1000) -> list[int]:
        """Return the numbers of the runs of a user's newest jobs."""
        rows = self._db.execute("SELECT rid FROM jobs WHERE user = ? AND rid IS NOT NULL ORDER BY id DESC LIMIT ?",
                                (user, most))  # fmt: skip
        return [row[0] for row in rows]

    def waiting_of(self, user: str) -> int:
        """Return how many jobs of a user wait."""
        row = self._db.execute("SELECT COALESCE(SUM(waiting), 0) FROM sessions WHERE user = ?", (user,)).fetchone()
        return int(row[0])

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs are in each state, by lab and state."""
        rows = self._db.execute("SELECT lab, state, COUNT(*) FROM jobs GROUP BY lab, state")
        return {(lab, state): count for lab, state, count in rows}

    def move(self, number: int, state: str, **values: Any) -> Row:
        """Bring a job to another state, with what is known then; Problem where it may not follow."""
        if values.keys() - set(_SHOWN):
            raise TypeError(f"no such columns: {values.keys() - set(_SHOWN)}")
        with self._change() as db:
            before = self.job(number)
            assert before is not None, number
            if not may_follow(before["state"], state):
                raise Problem(409, "conflict", f"job {number} is {before['state']} and cannot become {state}",
                              "a job that has ended stays as it is; retry makes a new one")  # fmt: skip
            set_ = ", ".join(f"{column} = ?" for column in ("state", *values))
            db.execute(f"UPDATE jobs SET {set_} WHERE id = ?", (state, *values.values(), number))
            waits = (state == PENDING) - (before["state"] == PENDING)
            ended = values.get("ended_at")
            took = max(0.0, ended - before["started_at"]) if state in FINAL and before["started_at"] and ended else 0.0
            db.execute("UPDATE sessions SET waiting = waiting + ?, virtual_s = virtual_s + ?, used_at = ? "
                       "WHERE id = ?", (waits, took, time.time(), before["session"]))  # fmt: skip
        job = self.job(number)
        assert job is not None
        self._tell(job)
        return job

    def note(self, number: int, **values: Any) -> None:
        """Write down what became known of a job that stays in its state."""
        if values.keys() - set(_SHOWN) | {"state"} & values.keys():
            raise TypeError(f"no such columns: {sorted(values)}")
        self._db.execute(f"UPDATE jobs SET {', '.join(f'{column} = ?' for column in values)} WHERE id = ?",
                         (*values.values(), number))  # fmt: skip
        job = self.job(number)
        if job is not None:
            self._tell(job)

    def _tell(self, job: Row) -> None:
        for listener in list(self.listeners):
            listener(job)

    def accounting(self, by: str, user: str | None = None) -> list[Row]:
        """Return count, shots, run and waiting time by `user` or `session`, with the numbers in each state."""
        assert by in ("user", "session")
        where, values = (" WHERE user = ?", (user,)) if user is not None else ("", ())
        rows = self._rows(
            f"SELECT {by} AS key, state, COUNT(*) AS count, COALESCE(SUM(shots), 0) AS shots, "
            "COALESCE(SUM(ended_at - started_at), 0) AS execution_time, "
            f"COALESCE(SUM(COALESCE(started_at, ended_at) - created_at), 0) AS wait_time FROM jobs{where} "
            f"GROUP BY {by}, state", values)  # fmt: skip
        table: dict[str, Row] = {}
        for row in rows:
            entry = table.setdefault(row["key"], {by: row["key"], "count": 0, "shots": 0, "execution_time": 0.0,
                                                  "wait_time": 0.0, "per_status": {}})  # fmt: skip
            for key in ("count", "shots", "execution_time", "wait_time"):
                entry[key] += row[key]
            entry["per_status"][row["state"]] = row["count"]
        return list(table.values())

    # Audit, notes, credentials

    def audit(self, who: str, action: str, about: str, detail: str = "") -> None:
        """Write down who did what to what."""
        self._db.execute(_AUDIT, (time.time(), who, action, about, detail[:500]))

    def audited(self, most: int = 200) -> list[Row]:
        """Return the newest lines of the audit log, the newest first."""
        return self._rows("SELECT * FROM audit ORDER BY id DESC LIMIT ?", (most,))

    def recall(self, key: str, default: Any = None) -> Any:
        """Return a setting that outlives the service (is it accessible …)."""
        row = self._row("SELECT value FROM notes WHERE key = ?", (key,))
        return default if row is None else json.loads(row["value"])

    def remember(self, key: str, value: Any) -> None:
        """Keep a setting."""
        self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, json.dumps(value)))

    def first_use(self, digest: str, keep_s: float) -> bool:
        """Say whether a credential is used for the first time; forget those that are older than `keep_s`."""
        now = time.time()
        self._db.execute("DELETE FROM credentials WHERE at < ?", (now - keep_s,))
        cursor = self._db.execute("INSERT INTO credentials VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, now))
        return cursor.rowcount == 1


def audit_beside(folder: Path, who: str, action: str, about: str, detail: str = "") -> None:
    """Write a line into the audit log from a command beside the service, which may run, or never have run yet."""
    try:
        lock = only_one(folder)
    except UsageError:  # it runs, perhaps in an older version: its database is its own to upgrade
        try:
            with closing(sqlite3.connect(folder / FILE, isolation_level=None, timeout=5.0)) as database:
                database.execute(_AUDIT, (time.time(), who, action, about, detail[:500]))
        except sqlite3.Error as error:
            raise DataError(f"The audit log in {folder / FILE} takes no line ({error}): nothing was done.") from None
        return
    try:
        store = Store(folder)
        try:
            store.audit(who, action, about, detail)
        finally:
            store.close()
    except sqlite3.Error as error:
        raise DataError(f"The audit log in {folder / FILE} takes no line ({error}): nothing was done.") from None
    finally:
        os.close(lock)


def only_one(folder: Path) -> int:
    """Take the lock of a service's folder and return its descriptor; UsageError where a service has it."""
    lock = os.open(folder / "service.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UsageError(f"another service runs with the folder {folder}: stop it, or name another --state") from None
    return lock
