"""A lab of this machine: whom it starts, whom it stops, and what it finds of a job."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_lab import make_lab, until

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from atomlink.service.config import LabConfig
from atomlink.service.local import LocalLab

JOB = {"id": 3, "spec": json.dumps({"file": "experiments/tick.py"})}


@pytest.fixture
def lab(tmp_path: Path) -> LocalLab:
    return LocalLab(LabConfig("default", make_lab(tmp_path)), tmp_path / "jobs")


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that goes on until it is told otherwise."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def _begun(lab: LocalLab, pid: int) -> Path:
    place = lab.place(JOB)
    place.mkdir(parents=True)
    (place / "begun").write_text(json.dumps({"pid": pid, "at": 1_000.0}))
    (place / "lock").touch()
    return place


def test_stop_touches_no_process_that_has_only_the_number_of_a_worker_that_is_gone(
    lab: LocalLab, other: Any
) -> None:
    place = _begun(lab, other.pid)
    lab.stop(JOB)
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(0.2)
    with open(place / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a worker that lives
        lab.stop(JOB)
        assert other.wait(20) == -15


def test_a_worker_that_cannot_begin_says_so_and_one_that_has_begun_is_not_begun_again(lab: LocalLab) -> None:
    spawned: list[list[str]] = []
    lab._spawn = lambda place, words, keep: spawned.append(words) or subprocess.Popen(["false"])  # type: ignore[method-assign,func-returns-value,assignment]
    lab.start(JOB)
    assert until(lambda: lab.ended(JOB)) == {"begun": False}
    lab.start(JOB)
    assert spawned == [[], []]
    place = lab.place(JOB)
    (place / "begun").write_text(json.dumps({"pid": 1, "at": 1_000.0}))
    (place / "outcome.json").write_text(json.dumps({"exit_code": 0, "path": None, "error": None}))
    lab._children.clear()
    lab.start(JOB)
    assert spawned == [[], []]
    assert lab.ended(JOB) == {"begun": True, "begun_at": 1_000.0, "rid": None, "exit_code": 0, "path": None,
                              "error": None}  # fmt: skip
