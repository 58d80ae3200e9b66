"""kill -9 of service and workers: every acknowledged job ends in exactly one final state, and none is run twice."""

import http.client
import json
import os
import random
import signal
import sqlite3
import time
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from service_lab import Process, make_lab, until

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from atomlink.errors import LabError
from atomlink.service.states import DONE, ERROR, FINAL
from atomlink.service.store import Store
from sim import cli


def _workers(root: Path) -> list[int]:
    """Return the workers that have begun and have not ended, by what they wrote down."""
    places = (root / "service" / "jobs").glob("*")
    return [json.loads((place / "begun").read_text())["pid"] for place in places
            if (place / "begun").exists() and not (place / "outcome.json").exists()]  # fmt: skip


def _killed_at(root: Path, instants: int, seed: int) -> tuple[list[int], Store]:
    """Submit jobs while service and workers are killed; return the acknowledged ones and the queue at the end."""
    rng = random.Random(seed)
    acknowledged: list[int] = []
    killed_workers = 0
    for instant in range(instants):
        service = Process(root)
        client = service.client()
        end = time.monotonic() + rng.uniform(0.02, 0.7)
        body: dict[str, Any] = {"experiment": "tick", "arguments": {"t_sleep": 0.05}}
        while time.monotonic() < end:
            if len(acknowledged) <= instant:
                body["arguments"]["mark"] = len(acknowledged)
                with suppress(LabError):
                    acknowledged.append(client.call("POST", "/v1/jobs", body)["id"])
            time.sleep(0.01)
        if instant % 3 == 2:
            for pid in _workers(root)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed_workers += 1
        service.kill()
    service = Process(root)
    client = service.client()
    # One call for all: asking for each would soon be more than a user may ask in a second.
    until(lambda: all(job["state"] in FINAL for job in client.call("GET", "/v1/jobs?most=1000")["jobs"]), 280)
    for each in acknowledged:
        client.call("GET", f"/v1/jobs/{each}/result")
    service.stop()
    return acknowledged, Store(root / "service")


def _check(root: Path, acknowledged: list[int], store: Store) -> None:
    assert len(acknowledged) == len(set(acknowledged)) > 0
    marks = (root / "marks").read_text().split()
    assert len(marks) == len(set(marks)), "a job was run twice"
    jobs = {job["id"]: job for job in store.jobs(most=10_000)}
    assert set(acknowledged) <= set(jobs)
    done = [job for job in jobs.values() if job["state"] == DONE]
    for job in jobs.values():
        assert job["state"] in (DONE, ERROR)
        assert job["state"] == DONE or "killed" in job["error"], job
    assert {str(json.loads(job["spec"])["arguments"]["mark"]) for job in done} <= set(marks)
    assert all(job["path"] and Path(job["path"]).is_file() and job["rid"] is not None for job in done)
    assert len({job["rid"] for job in done}) == len(done)
    check = sqlite3.connect(store.path).execute("PRAGMA integrity_check").fetchone()
    assert check == ("ok",)
    assert all(row["waiting"] == 0 for row in store.sessions())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("instants", "seed"), [(10, 1), pytest.param(50, 2, marks=pytest.mark.slow)])
def test_no_acknowledged_job_is_lost_and_none_runs_twice(tmp_path: Path, instants: int, seed: int) -> None:
    root = make_lab(tmp_path)
    acknowledged, store = _killed_at(root, instants, seed)
    _check(root, acknowledged, store)


@pytest.mark.timeout(120)
def test_the_commands_submit_list_show_and_fetch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_lab(tmp_path)
    monkeypatch.chdir(root)
    assert cli.main(["submit", "tick"]) == 2
    assert "start it with `atomlink serve`" in capsys.readouterr().err
    service = Process(root)
    try:
        assert cli.main(["submit", "tick", "mark=7", "scan=1,2,5", "--wait"]) == 0
        assert "mark = 7.00 ± 0.50" in capsys.readouterr().out
        assert cli.main(["submit", "tick", "mark=x", "-w"]) == 1
        assert "job 2: ERROR: argument `mark`" in capsys.readouterr().out
        assert cli.main(["retry", "2"]) == 0 and cli.main(["jobs", "--filter", "DONE"]) == 0
        assert "experiments/tick.py mark=7" in capsys.readouterr().out
        assert cli.main(["logs", "1"]) == 0 and "results:" in capsys.readouterr().out
        assert cli.main(["result", "1", "-o", "copy.h5"]) == 0
        assert (root / "copy.h5").read_bytes() == next(root.glob("results/*/*/*.h5")).read_bytes()
        for words in (["cancel", "1"], ["result", "99"], ["submit", "tock"], ["submit", "tick", "mark"]):
            assert cli.main(words) == 2
            assert len(capsys.readouterr().err.splitlines()) == 1
        assert cli.main(["serve", "backup", "copy.db"]) == 0
        assert cli.main(["serve", "restore", "copy.db"]) == 2, "the service runs"
    finally:
        service.stop()
    assert cli.main(["serve", "restore", "copy.db"]) == 0
    assert Store(root / "service").job(1)["state"] == DONE  # type: ignore[index]
    for words in (["serve", "--bind", "0.0.0.0"], ["serve", "--port", "x"], ["serve", "token", "a b"],
                  ["serve", "restore", "device_db.py"], ["serve", "--config", "none.toml"]):  # fmt: skip
        assert cli.main(words) == 2, words


@pytest.mark.timeout(120)
def test_a_running_job_is_taken_up_by_the_next_service_and_cancelled_by_it(tmp_path: Path) -> None:
    root = make_lab(tmp_path)
    service = Process(root)
    body = {"experiment": "tick", "arguments": {"t_sleep": "60 s"}}
    number = service.client().call("POST", "/v1/jobs", body)["id"]
    until(lambda: (root / "marks").exists())
    stream = http.client.HTTPConnection(urllib.parse.urlsplit(service.url).netloc)
    stream.request("GET", f"/v1/jobs/{number}/events", headers={"Authorization": f"Bearer {service.token}"})
    answer = stream.getresponse()
    assert answer.readline() == b"event: state\n"
    began = time.monotonic()
    assert "goes on" in service.stop()
    assert time.monotonic() - began < 3.0, "an open stream holds the service up"
    assert answer.read().endswith(b"\n\n")
    stream.close()
    service = Process(root)
    assert service.client().call("GET", f"/v1/jobs/{number}")["state"] == "RUNNING"
    service.client().call("POST", f"/v1/jobs/{number}/cancel", {})
    job = until(lambda: (found := service.client().call("GET", f"/v1/jobs/{number}"))["state"] in FINAL and found)
    assert job["state"] == "DONE" or job["state"] == "CANCELED"
    assert job["attempt"] == 1 and job["rid"] == 0 and (root / "marks").read_text() == "0\n"
    assert service.client().call("GET", f"/v1/jobs/{number}/result")["estimates"]["mark"]["value"] == 0.0
    service.stop()
