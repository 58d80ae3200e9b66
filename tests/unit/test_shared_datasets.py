"""The dataset database between processes: nobody takes back what another one has set, and what is not sure is said.

Another process is a real one: LMDB refuses to open a file twice in one.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.artiq_runtime import dataset_db
from sim.artiq_runtime.dataset_db import DatasetDB

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = """
import os, sys
from sim.artiq_runtime.dataset_db import DatasetDB
db = DatasetDB(sys.argv[1])
exec(sys.argv[2])
os._exit(0)  # killed: nothing is saved on the way out
"""


def elsewhere(path: Path, code: str) -> str:
    """Do something with the database in another process, which ends as if killed; return what it printed."""
    words = [sys.executable, "-c", ELSEWHERE, str(path), f"{code}; sys.stdout.flush()"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dataset_db.mdb"


@pytest.fixture
def db(path: Path) -> Iterator[DatasetDB]:
    database = DatasetDB(path)
    yield database
    database.close_db()


def on_disk(path: Path, key: str) -> str:
    return elsewhere(path, f"print(db.data.raw_view.get({key!r}, (0, None))[1])").strip()


def appended(key: str, value: Any) -> dict[str, Any]:
    return {"action": "append", "path": [key, 1], "x": value}


def test_what_is_set_is_there_for_others_at_once_and_after_a_kill(db: DatasetDB, path: Path) -> None:
    db.set("a", 1, persist=True)
    assert on_disk(path, "a") == "1"
    elsewhere(path, "db.set('a', 2); db.set('b', 3, persist=True)")
    assert (db.get("a"), db.get("b")) == (2, 3)
    db.delete("b")
    elsewhere(path, "db.delete('a')")
    assert on_disk(path, "b") == "None"
    with pytest.raises(KeyError):
        db.get("a")


def test_the_end_of_a_long_run_takes_nothing_back(db: DatasetDB, path: Path) -> None:
    """The fault that this is for: set here, set there, saved here."""
    db.set("a", 1, persist=True)
    elsewhere(path, "db.set('a', 9)")
    db.set("other", 5, persist=True)
    db.save()
    assert on_disk(path, "a") == "9" and db.get("a") == 9


def test_the_last_one_that_sets_wins(db: DatasetDB, path: Path) -> None:
    elsewhere(path, "db.set('a', 9, persist=True)")
    db.set("a", 2)
    assert on_disk(path, "a") == "2"
    assert db.data.raw_view["a"][0], "it stays persistent, as the other process has made it"


def test_a_change_in_part_yields_to_what_was_set_meanwhile_and_says_so(
    db: DatasetDB, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db.set("a", [1], persist=True)
    db.set("mine", [1], persist=True)
    db.update(appended("a", 2))
    db.update(appended("mine", 2))
    elsewhere(path, "db.set('a', [7])")
    assert db.get("a") == [1, 2], "until it is saved, this process goes on with its own"
    db.save()
    assert (on_disk(path, "a"), on_disk(path, "mine")) == ("[7]", "[1, 2]") and db.get("a") == [7]
    assert [record.message.split(":")[0] for record in caplog.records] == ["dataset `a`"]


def test_a_change_in_part_is_of_what_others_have_set(db: DatasetDB, path: Path) -> None:
    db.set("a", [1], persist=True)
    elsewhere(path, "db.set('a', [7])")
    db.update(appended("a", 2))
    db.save()
    assert on_disk(path, "a") == "[7, 2]"


def test_what_is_set_faster_than_a_disk_can_follow_waits_for_the_next_save(
    db: DatasetDB, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_db, "_WRITING_S", 0.0)
    monkeypatch.setattr(dataset_db, "_WRITING_SHARE", 0.0)
    for value in range(1000):
        db.set("a", value, persist=True)
    assert on_disk(path, "a") == "None"
    db.save()
    assert on_disk(path, "a") == "999"


def test_what_only_passes_by_never_touches_the_file(db: DatasetDB, path: Path) -> None:
    before = db.lmdb.info()["last_txnid"]
    db.set("live", 1)
    db.save()
    assert db.lmdb.info()["last_txnid"] == before and on_disk(path, "live") == "None"


def test_two_processes_that_count_together_lose_no_dataset(db: DatasetDB, path: Path) -> None:
    """Each sets its own 40, interleaved as the system likes; all 80 are there."""
    code = "[db.set(f'theirs.{k}', k, persist=True) for k in range(40)]"
    words = [sys.executable, "-c", ELSEWHERE, str(path), code]
    with subprocess.Popen(words, cwd=ROOT) as other:
        for k in range(40):
            db.set(f"mine.{k}", k, persist=True)
        assert other.wait(timeout=60) == 0
    assert all(db.get(f"{whose}.{k}") == k for whose in ("mine", "theirs") for k in range(40))
