"""Backup and restore: only a sound copy takes the database's place, and no job is run twice or mixed up after it."""

import fcntl
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, make_lab, run, soon

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB

from atomlink.errors import DataError, UsageError
from atomlink.service import app as application
from atomlink.service import copies
from atomlink.service.config import Config, LabConfig
from atomlink.service.local import LocalLab
from atomlink.service.steps import STEPS
from atomlink.service.store import FILE, Store, only_one


def _queue(state: Path, user: str = "ann") -> None:
    """Make a queue with one job that waits."""
    store = Store(state)
    session = store.open_session(user, name=f"user:{user}")["id"]
    store.submit(session, user, "default", "experiment", {"file": "experiments/tick.py", "arguments": {}})
    store.close()


def _ran(state: Path, number: int, pid: int = 1) -> None:
    """Leave what the worker of a job leaves that has run."""
    place = state / "jobs" / f"{number:09}"
    place.mkdir(parents=True)
    (place / "begun").write_text(json.dumps({"pid": pid, "at": 1_000.0}))
    (place / "rid").write_text("41")
    (place / "log").write_text("said by the first\n")
    (place / "outcome.json").write_text(json.dumps({"exit_code": 0, "path": None, "error": None, "at": 1_010.0}))


def test_what_ran_after_the_backup_is_not_run_again_nor_taken_for_another_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    _queue(state)
    copies.backup(state, tmp_path / "copy.db")
    _ran(state, 1)
    _ran(state, 7)  # submitted after the backup, by somebody else
    copies.restore(state, tmp_path / "copy.db", "ada")
    sequence = sqlite3.connect(state / FILE).execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    assert sequence == (7,)

    def spawned(*_: Any) -> Any:
        raise AssertionError("a job that had run was begun again")

    monkeypatch.setattr(LocalLab, "_spawn", spawned)

    async def scene() -> None:
        app = application.make(Config((LabConfig("default", make_lab(tmp_path)),)), state)
        service = app.state.service
        headers = {"authorization": f"Bearer {service.tokens.issue('ben', 'user', 60.0)}"}
        async with app.router.lifespan_context(app):
            job = await soon(lambda: (found := service.store.job(1))["state"] not in ("PENDING", "RUNNING") and found)
            assert (job["state"], job["rid"], job["started_at"], job["ended_at"]) == ("DONE", 41, 1_000.0, 1_010.0)
            service.dispatcher.drain("default", True)
            new = (await ask(app, "POST", "/v1/jobs", JOB, headers)).json
            assert new["id"] == 8
            assert (await ask(app, "GET", "/v1/jobs/8/log", None, headers)).body == b""

    run(scene())


def test_a_new_database_beside_old_jobs_counts_on_above_them(tmp_path: Path) -> None:
    state = tmp_path / "state"
    _ran(state, 5)
    app = application.make(Config((LabConfig("default", make_lab(tmp_path)),)), state)
    store = app.state.service.store
    assert store.submit(store.open_session("ann")["id"], "ann", "default", "experiment", {})["id"] == 6
    store.close()


def _newer(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    database.close()


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE jobs (id INTEGER)")
    database.close()


@pytest.mark.parametrize(("spoil", "words"), [
    (_newer, "a newer atomlink"), (_damaged, "damaged|no backup"), (_foreign, "no backup of a service"),
    (lambda path: path.write_bytes(b"x" * 5000), "no backup of a service"), (lambda path: path.unlink(), "is no file"),
])  # fmt: skip
def test_only_a_sound_copy_takes_the_place_of_the_database(tmp_path: Path, spoil: Any, words: str) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy.db"
    _queue(state)
    copies.backup(state, copy)
    spoil(copy)
    before = (state / FILE).read_bytes()
    with pytest.raises(UsageError, match=words) as refused:
        copies.restore(state, copy, "ada")
    assert "\n" not in str(refused.value)
    assert (state / FILE).read_bytes() == before
    assert not [each for each in state.iterdir() if "tmp" in each.name]


def test_restore_leaves_nothing_of_the_old_log_and_holds_the_lock_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    _queue(state)
    copies.backup(state, tmp_path / "copy.db")
    killed = Store(state)  # as a killed service: its log is not emptied
    killed.submit("user:ann", "ann", "default", "experiment", {"late": True})
    assert (state / f"{FILE}-wal").stat().st_size > 0
    replace, seen = copies.os.replace, []

    def watched(source: Any, target: Any) -> None:
        with pytest.raises(UsageError, match="another service runs"):
            only_one(state)
        seen.append((state / f"{FILE}-wal").exists())
        replace(source, target)

    killed._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    monkeypatch.setattr("os.replace", watched)
    copies.restore(state, tmp_path / "copy.db", "ada")
    assert seen
    store = Store(state)
    assert [job["id"] for job in store.jobs()] == [1]
    said = [(line["who"], line["action"], line["detail"]) for line in store.audited()]
    assert said == [("ada", "restore", str(tmp_path / "copy.db"))]
    store.close()
    killed._db.close()


def test_nothing_is_restored_while_a_job_runs_that_the_copy_may_not_know(tmp_path: Path) -> None:
    state = tmp_path / "state"
    _queue(state)
    copies.backup(state, tmp_path / "copy.db")
    _ran(state, 4)
    before = (state / FILE).read_bytes()
    with open(state / "jobs" / f"{4:09}" / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a worker that lives
        with pytest.raises(UsageError, match="job 4 still runs"):
            copies.restore(state, tmp_path / "copy.db", "ada")
    assert (state / FILE).read_bytes() == before
    copies.restore(state, tmp_path / "copy.db", "ada")


@pytest.mark.parametrize("there", [False, True])
def test_a_job_that_ran_when_the_copy_was_made_is_not_begun_again_where_its_folder_is_gone(
    tmp_path: Path, there: bool
) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    _queue(state)
    store = Store(state)
    store.move(1, "RUNNING", started_at=1.0)
    store.close()
    copies.backup(state, tmp_path / "copy.db")
    if there:  # made, and its worker ended before it began: it may be begun
        (elsewhere / "jobs" / f"{1:09}").mkdir(parents=True)
    copies.restore(elsewhere, tmp_path / "copy.db", "ada")
    store = Store(elsewhere)
    job = store.job(1) or {}
    assert job["state"] == ("RUNNING" if there else "ERROR") and (there or "its folder is gone" in job["error"])
    store.close()


def test_the_database_itself_is_no_copy_that_loses_anything(tmp_path: Path) -> None:
    state = tmp_path / "state"
    _queue(state)
    killed = Store(state)
    killed.submit("user:ann", "ann", "default", "experiment", {"late": True})  # in the log alone
    copies.restore(state, state / FILE, "ada")
    store = Store(state)
    assert [job["id"] for job in store.jobs()] == [2, 1]
    store.close()
    killed._db.close()


def test_a_backup_is_for_its_owner_alone_and_changes_nothing(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy.db"
    _queue(state)
    older = sqlite3.connect(state / FILE)
    older.execute("PRAGMA user_version = 1")  # as a service of an older version has it
    older.close()
    copies.backup(state, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    for file in (state / FILE, copy):
        assert sqlite3.connect(file).execute("PRAGMA user_version").fetchone() == (1,), "the backup has upgraded it"
    assert not [each for each in tmp_path.iterdir() if each.name.startswith((".copy", "copy.db-"))]
    with pytest.raises((UsageError, DataError), match="cannot be"):
        copies.backup(state, tmp_path / "none" / "copy.db")
    with pytest.raises(UsageError, match="name the folder"):
        copies.backup(tmp_path, copy)
