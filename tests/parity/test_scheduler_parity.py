"""Our schedule and the scheduler of real ARTIQ carry the same random schedules out in the same order.

Compared is what the runs see: their order, what check_pause and pause say, the status of every run, and the order
in which they are prepared. Needs an interpreter with real ARTIQ, see `real_artiq`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import real_artiq
from scheduler_scripts import act, expid, script

from sim.artiq_runtime import install

install()

from sim.command.scheduler import Entry, Schedule  # noqa: E402 - it imports artiq

SEEDS = 100
OVER = ("run_done", "analyzing", "deleting")  # ARTIQ analyzes beside the next run, we before it


class Job:
    """The stages of a run that carries out its script."""

    def __init__(self, schedule: Schedule, log: list[Any]) -> None:
        self.schedule, self.log = schedule, log

    def prepare(self, entry: Entry) -> None:
        self.rid, self.script = entry.rid, entry.expid["script"]
        self.log.append(["prepare", self.rid])

    def run(self) -> None:
        self.log.append(["run", self.rid])
        for action in self.script:
            if action[0] == "pause":
                self.log.append(["resumed", self.rid, self.schedule.pause(self.rid)])
            else:
                self.log.append([action[0], self.rid, act(self.schedule, self.rid, action)])
        self.log.append(["ended", self.rid])

    def analyze(self) -> None:
        pass

    def close(self) -> None:
        pass


def ours(seed: int) -> list[Any]:
    log: list[Any] = []
    numbers = iter(range(1000))

    def failed(entry: Entry, error: BaseException) -> None:
        raise AssertionError(f"run {entry.rid} of seed {seed} failed") from error

    schedule = Schedule(lambda _: Job(schedule, log), lambda: next(numbers), failed)
    schedule.submit("main", expid(script(seed)))
    schedule.run_all()
    assert not schedule.left()
    return log


def seen(log: list[Any]) -> list[Any]:
    """Return what runs see, in order."""
    lines = [list(line) for line in log if line[0] != "prepare"]
    for line in lines:
        if line[0] == "status":
            line[2] = {rid: status for rid, status in line[2].items() if status not in OVER}
    return lines


def prepared(log: list[Any]) -> list[int]:
    """Return in which order those were prepared that ran; what is deleted soon we may not prepare at all."""
    ran = {line[1] for line in log if line[0] == "run"}
    return [line[1] for line in log if line[0] == "prepare" and line[1] in ran]


def test_random_schedules_go_as_under_artiqs_master(tmp_path: Path) -> None:
    words = [str(Path(__file__).with_name("scheduler_scripts.py")), "0", str(SEEDS)]
    logs = json.loads(real_artiq.run(words, tmp_path).splitlines()[-1])
    assert len(logs) == SEEDS and sum(len(log) for log in logs) > 20 * SEEDS
    for seed, real in enumerate(logs):
        found = json.loads(json.dumps(ours(seed)))
        assert seen(found) == seen(real), f"seed {seed}"
        assert prepared(found) == prepared(real), f"seed {seed}"
