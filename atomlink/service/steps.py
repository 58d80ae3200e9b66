"""The steps that bring the database of the service from one form to the next; a step, once released, never changes.

The number of steps taken is SQLite's `user_version`.
"""

import sqlite3

from atomlink.errors import DataError

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, slurm_job_id TEXT, created_at REAL NOT NULL, used_at REAL NOT NULL,
        revoked_at REAL, weight REAL NOT NULL DEFAULT 1.0, virtual_s REAL NOT NULL DEFAULT 0.0,
        waiting INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL REFERENCES sessions(id), user TEXT NOT NULL,
        lab TEXT NOT NULL, kind TEXT NOT NULL, spec TEXT NOT NULL, priority INTEGER NOT NULL, state TEXT NOT NULL,
        created_at REAL NOT NULL, started_at REAL, ended_at REAL, rid INTEGER, path TEXT, error TEXT, results TEXT,
        shots INTEGER, attempt INTEGER NOT NULL DEFAULT 0, cancel_requested INTEGER NOT NULL DEFAULT 0,
        retry_of INTEGER, repeat_key TEXT);
    CREATE INDEX jobs_pending ON jobs(lab, session, priority DESC, id) WHERE state = 'PENDING';
    CREATE INDEX jobs_running ON jobs(lab) WHERE state = 'RUNNING';
    CREATE INDEX jobs_of_user ON jobs(user, id);
    CREATE INDEX jobs_waiting ON jobs(user) WHERE state = 'PENDING';
    CREATE UNIQUE INDEX jobs_once ON jobs(user, repeat_key) WHERE repeat_key IS NOT NULL;
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
        object TEXT NOT NULL, detail TEXT NOT NULL);
    CREATE TABLE credentials (digest TEXT PRIMARY KEY, at REAL NOT NULL);
    """,
    """
    CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE INDEX audit_of_object ON audit(object, id);
    """,
    "CREATE INDEX sessions_of_user ON sessions(user);",
    "ALTER TABLE jobs ADD COLUMN request TEXT; ALTER TABLE sessions DROP COLUMN weight;",
)


def upgrade(connection: sqlite3.Connection) -> int:
    """Take the steps that a database lacks, each whole or not at all; return how many it has then.

    DataError where it has steps that this version does not know.
    """
    (taken,) = connection.execute("PRAGMA user_version").fetchone()
    if taken > len(STEPS):
        raise DataError(f"The service's database has {taken} steps, must have {len(STEPS)} at most: a newer atomlink "
                        "made it; use that one, or restore an older backup.")  # fmt: skip
    for number in range(taken, len(STEPS)):
        connection.executescript(f"BEGIN IMMEDIATE; {STEPS[number]}; PRAGMA user_version = {number + 1}; COMMIT")
    return len(STEPS)
