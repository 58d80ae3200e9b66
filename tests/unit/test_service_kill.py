"""kill -9 of service and workers: every acknowledged job ends in exactly one final state, and none is run twice."""

import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time
import urllib.parse
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from service_lab import Process, make_lab, until

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from atomlink.errors import LabError
from atomlink.service.local import living
from atomlink.service.states import DONE, ERROR, FINAL
from atomlink.service.store import Store
from sim import cli


class Killed(NamedTuple):
    """What was done to a service: the marks of the acknowledged jobs, and those whose worker was killed."""

    acknowledged: dict[int, int]
    workers: set[int]
    results: dict[int, Any]
    store: Store


def _submitted(service: Process, mark: int, t_sleep: float) -> int | None:
    """Submit a job; return its number, None where it was not acknowledged."""
    body = {"experiment": "tick", "arguments": {"t_sleep": t_sleep, "mark": mark}}
    with suppress(LabError):
        return int(service.client().call("POST", "/v1/jobs", body)["id"])
    return None


def _kill_worker(root: Path, number: int, later_s: float) -> None:
    """Kill the worker of a job so long after it has begun."""
    begun = root / "service" / "jobs" / f"{number:09}" / "begun"
    pid = json.loads(until(lambda: begun.exists() and begun.read_text()))["pid"]
    time.sleep(later_s)
    os.kill(pid, signal.SIGKILL)


def _killed_at(root: Path, instants: int, seed: int) -> Killed:
    """Submit a job for each instant, and kill the service at it; at every third the job's worker, too, as it runs."""
    rng = random.Random(seed)
    acknowledged: dict[int, int] = {}
    workers: set[int] = set()
    for instant in range(instants):
        service = Process(root)
        number, killed = None, instant % 3 == 2
        delay_s = rng.uniform(0.0, 0.7)
        if killed or instant % 3:  # else the service may be killed while it takes the job
            number = _submitted(service, instant, 2.0 if killed else 0.05)
            assert number is not None
        else:
            late = threading.Timer(rng.uniform(0.0, 0.02), service.process.kill)
            late.start()
            number = _submitted(service, instant, 0.05)
            late.join()
        if number is not None:
            acknowledged[number] = instant
        if killed and number is not None:
            _kill_worker(root, number, delay_s / 2)
            workers.add(number)
        time.sleep(delay_s if number is not None else 0.0)
        service.kill()
    service = Process(root)
    client = service.client()
    # One call for all: asking for each would soon be more than a user may ask in a second.
    until(lambda: all(job["state"] in FINAL for job in client.call("GET", "/v1/jobs?most=1000")["jobs"]), 280)
    results = {number: client.call("GET", f"/v1/jobs/{number}/result") for number in acknowledged}
    service.stop()
    return Killed(acknowledged, workers, results, Store(root / "service"))


def _check(root: Path, instants: int, killed: Killed) -> None:
    store, acknowledged = killed.store, killed.acknowledged
    jobs = {job["id"]: job for job in store.jobs(most=10_000)}
    marks = {number: json.loads(job["spec"])["arguments"]["mark"] for number, job in jobs.items()}
    assert acknowledged.items() <= marks.items() and len(acknowledged) >= instants * 2 // 3
    assert len(jobs) <= instants and len(set(marks.values())) == len(marks), "each was submitted once"
    assert len(killed.workers) == instants // 3 > 0
    assert {number for number, job in jobs.items() if job["state"] == ERROR} == killed.workers
    assert all("killed" in jobs[number]["error"] for number in killed.workers)
    done = {number: job for number, job in jobs.items() if job["state"] == DONE}
    assert done.keys() == jobs.keys() - killed.workers, "every other job has been done"
    left = (root / "marks").read_text().split()
    assert len(left) == len(set(left)), "a job was run twice"
    assert {str(marks[number]) for number in done} <= set(left) <= {str(mark) for mark in marks.values()}
    said = Counter(line["object"] for line in store.audited(10_000) if line["action"] == "not-begun")
    assert all(job["attempt"] - 1 <= said[f"job/{number}"] for number, job in jobs.items()), "tried again in silence"
    for number in acknowledged.keys() & done.keys():
        found = killed.results[number]
        assert found["complete"] and found["estimates"]["mark"]["value"] == acknowledged[number]
        assert json.loads(done[number]["results"])["estimates"] == found["estimates"]
    assert all(Path(job["path"]).is_file() for job in done.values())
    assert len({job["rid"] for job in done.values()}) == len(done)
    assert sqlite3.connect(store.path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert all(row["waiting"] == 0 for row in store.sessions())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("instants", "seed"), [(10, 1), pytest.param(50, 2, marks=pytest.mark.slow)])
def test_no_acknowledged_job_is_lost_and_none_runs_twice(tmp_path: Path, instants: int, seed: int) -> None:
    root = make_lab(tmp_path)
    killed = _killed_at(root, instants, seed)
    _check(root, instants, killed)
    killed.store.close()


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
    until(lambda: not living(root / "service" / "jobs"))  # the retried one: restore waits for nobody
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
    assert time.monotonic() - began < 4.5, "an open stream holds the service up for 5 s"
    assert answer.read().endswith(b"\n\n")
    stream.close()
    service = Process(root)
    assert service.client().call("GET", f"/v1/jobs/{number}")["state"] == "RUNNING"
    service.client().call("POST", f"/v1/jobs/{number}/cancel", {})
    job = until(lambda: (found := service.client().call("GET", f"/v1/jobs/{number}"))["state"] in FINAL and found)
    assert job["state"] == DONE, "it paused when it was asked, and had all its data"
    assert job["attempt"] == 1 and job["rid"] == 0 and (root / "marks").read_text() == "0\n"
    assert service.client().call("GET", f"/v1/jobs/{number}/result")["estimates"]["mark"]["value"] == 0.0
    service.stop()
