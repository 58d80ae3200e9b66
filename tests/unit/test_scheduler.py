"""The schedule of one process: ARTIQ's rules of order, of pausing and of ending (its master, release 8)."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from typing import Any

import pytest

from sim.artiq_runtime import install

install()

from sim.command.scheduler import Deleted, Entry, Schedule  # noqa: E402 - it imports artiq

Script = Callable[["Lab", int], None]


class Lab:
    """A schedule with a clock that only sleeping moves, and runs that do what the test says, noting each stage."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.log: list[str] = []
        self.failures: dict[int, BaseException] = {}
        self.scripts: dict[str, dict[str, Script]] = {}
        self._rid = -1
        self.schedule = Schedule(self._job, self._next, self._failed, lambda: self.now_s, self._sleep)

    def _next(self) -> int:
        self._rid += 1
        return self._rid

    def _sleep(self, duration_s: float) -> None:
        self.now_s += duration_s

    def _failed(self, entry: Entry, error: BaseException) -> None:
        self.failures[entry.rid] = error

    def _job(self, entry: Entry) -> Job:
        return Job(self, entry.expid["class_name"], self.scripts.get(entry.expid["class_name"], {}))

    def submit(self, name: str, pipeline: str = "main", **how: Any) -> int:
        rid = self.schedule.submit(pipeline, {"class_name": name}, **how)
        assert rid is not None
        return rid

    def on(self, name: str, **stages: Script) -> None:
        """Let the stages of the runs called `name` do something."""
        self.scripts[name] = stages

    def status(self) -> dict[str, str]:
        return {row["expid"]["class_name"]: row["status"] for row in self.schedule.get_status().values()}

    def ran(self) -> list[str]:
        return [line.removeprefix("run ") for line in self.log if line.startswith("run ")]


class Job:
    def __init__(self, lab: Lab, name: str, stages: dict[str, Script]) -> None:
        self.lab, self.name, self.stages = lab, name, stages
        self.rid = -1

    def prepare(self, entry: Entry) -> None:
        self.rid = entry.rid
        self._stage("prepare")

    def run(self) -> None:
        self._stage("run")

    def analyze(self) -> None:
        self._stage("analyze")

    def close(self) -> None:
        self.lab.log.append(f"close {self.name}")

    def _stage(self, stage: str) -> None:
        self.lab.log.append(f"{stage} {self.name}")
        script = self.stages.get(stage)
        if script is not None:
            script(self.lab, self.rid)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def pause(lab: Lab, rid: int) -> None:
    lab.log.append(f"paused {lab.schedule.pause(rid)}")


# Order


def test_the_higher_priority_comes_first_then_the_earlier_due_date_then_the_lower_number(lab: Lab) -> None:
    for name, how in {
        "low": {}, "late": {"priority": 1, "due_date": 900.0}, "early": {"priority": 1, "due_date": 800.0},
        "high": {"priority": 2}, "undated": {"priority": 1}, "low too": {},
    }.items():  # fmt: skip
        lab.submit(name, **how)
    lab.schedule.run_all()
    # "low" was being prepared before the others came, as in ARTIQ; it is run in its turn all the same.
    assert lab.ran() == ["high", "undated", "early", "late", "low", "low too"]
    assert lab.log[0] == "prepare low"


def test_one_run_is_prepared_ahead_and_what_comes_after_it_waits(lab: Lab) -> None:
    def look(lab: Lab, rid: int) -> None:
        lab.submit("second")
        lab.submit("third")
        assert not lab.schedule.check_pause(rid)
        assert lab.status() == {"first": "running", "second": "prepare_done", "third": "pending"}
        lab.submit("above", priority=1)
        assert lab.schedule.check_pause(rid)
        assert lab.status()["above"] == "prepare_done"

    lab.on("first", run=look)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.ran() == ["first", "above", "second", "third"]


def test_a_run_does_not_start_before_its_due_date(lab: Lab) -> None:
    times = []
    lab.on("dated", prepare=lambda lab, _: times.append(lab.now_s), run=lambda lab, _: times.append(lab.now_s))
    lab.submit("dated", due_date=1060.0, priority=5)
    lab.submit("other")
    lab.schedule.run_all()
    assert lab.ran() == ["other", "dated"]
    assert all(1060.0 < t < 1060.2 for t in times)


def test_a_due_date_of_higher_priority_does_not_hold_up_what_can_run(lab: Lab) -> None:
    def advance(lab: Lab, rid: int) -> None:
        assert not lab.schedule.check_pause(rid)
        lab.now_s = 1061.0
        assert lab.schedule.check_pause(rid)
        pause(lab, rid)

    lab.on("long", run=advance)
    lab.submit("dated", due_date=1060.0, priority=1)
    lab.submit("long")
    lab.schedule.run_all()
    assert lab.ran() == ["long", "dated"]
    assert lab.log.index("analyze dated") < lab.log.index("analyze long")


# Pausing


def test_a_prepared_run_of_higher_priority_runs_within_the_pause(lab: Lab) -> None:
    def interrupted(lab: Lab, rid: int) -> None:
        lab.submit("above", priority=1)
        lab.submit("above that", priority=2)
        lab.submit("below", priority=-1)
        lab.submit("equal")
        pause(lab, rid)
        lab.log.append("going on")

    lab.on("first", run=interrupted)
    lab.on("above", run=lambda lab, _: lab.log.append(f"first is {lab.status()['first']}"))
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.ran() == ["first", "above that", "above", "equal", "below"]
    assert "first is paused" in lab.log
    assert lab.log.index("analyze above") < lab.log.index("paused False") < lab.log.index("run equal")
    assert lab.log.index("analyze first") < lab.log.index("run equal")


def test_runs_pause_one_within_the_other(lab: Lab) -> None:
    def submits(name: str, priority: int) -> Script:
        def run(lab: Lab, rid: int) -> None:
            lab.submit(name, priority=priority)
            pause(lab, rid)

        return run

    lab.on("a", run=submits("b", 1))
    lab.on("b", run=submits("c", 2))
    lab.submit("a")
    lab.schedule.run_all()
    assert [line for line in lab.log if line.startswith("analyze")] == ["analyze c", "analyze b", "analyze a"]


def test_an_equal_priority_waits_for_the_end(lab: Lab) -> None:
    def resubmit(lab: Lab, rid: int) -> None:
        if rid < 3:
            lab.submit("again")
        assert not lab.schedule.check_pause(rid)
        pause(lab, rid)

    lab.on("again", run=resubmit)
    lab.submit("again")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.log.count("analyze again") == 4
    assert [line.split()[0] for line in lab.log if not line.startswith(("paused", "close"))][:5] == [
        "prepare", "run", "prepare", "analyze", "run",
    ]  # fmt: skip


def test_another_pipeline_runs_within_a_pause_whatever_its_priority(lab: Lab) -> None:
    def run(lab: Lab, rid: int) -> None:
        other = lab.submit("elsewhere", "other", priority=-3)
        assert not lab.schedule.check_pause(rid)
        pause(lab, rid)
        assert lab.schedule.entry(other) is None

    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.ran() == ["first", "elsewhere"]


def test_waiting_for_another_pipeline_by_its_status_ends(lab: Lab) -> None:
    def run(lab: Lab, _rid: int) -> None:
        other = lab.submit("elsewhere", "other")
        looks = 0
        while other in lab.schedule.get_status():
            looks += 1
            assert looks < 10

    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.ran() == ["first", "elsewhere"]


# Flushing


def test_a_flushing_run_is_prepared_when_nothing_of_its_priority_is_under_way(lab: Lab) -> None:
    def run(lab: Lab, rid: int) -> None:
        lab.submit("flushing", flush=True)
        lab.submit("above", priority=1)
        assert lab.status()["flushing"] == "flushing"
        # Preparing waits for the flush, and so does what was submitted later, as in ARTIQ.
        assert not lab.schedule.check_pause(rid)
        assert lab.status()["above"] == "pending"

    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.log.index("analyze first") < lab.log.index("prepare flushing")
    assert lab.ran() == ["first", "above", "flushing"]


def test_a_flush_does_not_wait_for_lower_priorities(lab: Lab) -> None:
    def run(lab: Lab, rid: int) -> None:
        lab.submit("flushing", flush=True, priority=1)
        assert lab.schedule.check_pause(rid)
        pause(lab, rid)

    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.log.index("analyze flushing") < lab.log.index("analyze first")


# Ending


def test_termination_is_seen_by_check_and_pause_and_then_forgotten(lab: Lab) -> None:
    def run(lab: Lab, rid: int) -> None:
        lab.schedule.request_termination(rid)
        assert lab.schedule.check_pause(rid) and lab.schedule.check_termination(rid)
        pause(lab, rid)
        assert not lab.schedule.check_pause(rid) and not lab.schedule.check_termination(rid)
        pause(lab, rid)

    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert [line for line in lab.log if line.startswith("paused")] == ["paused True", "paused False"]


def test_a_run_that_has_not_started_is_deleted_by_a_request_to_end(lab: Lab) -> None:
    def run(lab: Lab, rid: int) -> None:
        prepared, waiting = lab.submit("prepared"), lab.submit("waiting")
        assert not lab.schedule.check_pause(rid)
        for number in (prepared, waiting, 4711):
            lab.schedule.request_termination(number)
            lab.schedule.delete(number)
        assert lab.status() == {"first": "running"}

    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert lab.ran() == ["first"]
    assert "prepare prepared" in lab.log and lab.log.count("close prepared") == 1


def test_a_paused_run_is_ended_by_the_one_that_interrupts_it(lab: Lab) -> None:
    def run(lab: Lab, rid: int) -> None:
        lab.submit("above", priority=1)
        pause(lab, rid)

    lab.on("first", run=run)
    lab.on("above", run=lambda lab, _: lab.schedule.request_termination(0))
    lab.submit("first")
    lab.schedule.run_all()
    assert "paused True" in lab.log


@pytest.mark.parametrize("by", ["itself", "another"])
def test_a_deleted_run_ends_at_once_and_is_not_analyzed(lab: Lab, by: str) -> None:
    def run(lab: Lab, rid: int) -> None:
        lab.submit("above", priority=1)
        if by == "itself":
            lab.schedule.delete(rid)
        pause(lab, rid)
        raise AssertionError("went on")

    lab.on("first", run=run)
    lab.on("above", run=lambda lab, _: lab.schedule.delete(0))
    lab.submit("first")
    lab.schedule.run_all()
    assert isinstance(lab.failures[0], Deleted)
    assert "analyze first" not in lab.log and lab.log.count("close first") == 1
    assert "analyze above" in lab.log


@pytest.mark.parametrize("stage", ["prepare", "run", "analyze"])
def test_a_failure_does_not_stop_the_others(lab: Lab, stage: str) -> None:
    def fail(_lab: Lab, _rid: int) -> None:
        raise ValueError("broken")

    lab.on("bad", **{stage: fail})
    lab.submit("bad", priority=1)
    lab.submit("good")
    lab.schedule.run_all()
    assert [str(error) for error in lab.failures.values()] == ["broken"]
    assert "analyze good" in lab.log and lab.log.count("close bad") == 1
    assert lab.schedule.get_status() == {}


def test_pause_check_of_an_unknown_run_is_an_error(lab: Lab) -> None:
    with pytest.raises(KeyError, match="RID not found"):
        lab.schedule.check_pause(7)
    assert lab.schedule.check_termination(7) is False


def test_a_signal_ends_what_runs_and_starts_nothing_more(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(lab: Lab, rid: int) -> None:
        lab.submit("above", priority=1)
        lab.submit("later", due_date=2000.0)
        lab.schedule.on_signal(signal.SIGINT, None)
        assert lab.schedule.submit("main", {"class_name": "too late"}) is None
        pause(lab, rid)
        lab.schedule.on_signal(signal.SIGINT, None)  # not within the experiment's own code: it waits
        with pytest.raises(KeyboardInterrupt), lab.schedule.interrupts():
            pytest.fail("not interrupted")
        with lab.schedule.interrupts(math.inf):
            lab.schedule.on_signal(signal.SIGINT, None)  # writes its results: it waits for good
        with pytest.raises(KeyboardInterrupt), lab.schedule.interrupts():
            pytest.fail("not interrupted")

    monkeypatch.setattr("sim.command.scheduler._GRACE_S", 0.0)
    lab.on("first", run=run)
    lab.submit("first")
    lab.schedule.run_all()
    assert lab.failures == {}
    assert "paused True" in lab.log
    assert lab.ran() == ["first"]
    assert [entry.expid["class_name"] for entry in lab.schedule.left()] == ["above", "later"]


def test_what_is_submitted_is_a_copy(lab: Lab) -> None:
    expid = {"class_name": "first", "arguments": {"n": 1}}
    lab.schedule.submit("main", expid)
    expid["arguments"]["n"] = 2  # type: ignore[index]
    entry = lab.schedule.entry(0)
    assert entry is not None and entry.expid["arguments"] == {"n": 1}
    with pytest.raises(TypeError):
        lab.schedule.submit("main", {"class_name": object()})
