"""The schedule of one process: what experiments submit runs as under ARTIQ's master, by its rules of order.

Key of a run: (priority, -due date, -rid), the largest first; a run is prepared ahead of its turn, one at a time for
each pipeline, unless another that is prepared comes before it; a flushing one waits until nothing of its priority or
above is under way. Where ARTIQ has processes, there is one here: a run is prepared and others take their turn when the
one that runs calls `pause` (`check_pause` and `get_status` prepare, the latter lets other pipelines run), and when it
ends.
Source: ARTIQ 8, behaviour of its master.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

from sim.artiq_runtime import pyon

logger = logging.getLogger(__name__)
_PATIENCE_S = 10.0  # for a run that was asked to end, before it is interrupted
_GRACE_S = 2.0  # between two interrupts, so that the first one's `finally` gets to where signals are held
_NAP_S = 0.1  # between looks at the clock while everything waits for its due date


class Job(Protocol):
    """The stages of a run; one that fails raises."""

    def prepare(self, entry: Entry) -> None:
        """Build the experiment and prepare it."""

    def run(self) -> None:
        """Run it."""

    def analyze(self) -> None:
        """Analyze it and write its results."""

    def close(self) -> None:
        """Let go of everything; called once, whatever happened."""


class Deleted(BaseException):
    """The run was deleted: it ends wherever it is. No `Exception`, so that experiments do not catch it."""


@dataclass(eq=False)
class Entry:
    """One run in the schedule."""

    rid: int
    pipeline_name: str
    expid: dict[str, Any]
    priority: int
    due_date: float | None
    flush: bool
    status: str = "pending"
    termination_requested: bool = False
    job: Job | None = None

    @property
    def key(self) -> tuple[int, float, int]:
        """Return what decides who comes first, once the due date has passed."""
        return self.priority, -(self.due_date or 0), -self.rid

    def described(self) -> dict[str, Any]:
        """Return the run in the form of ARTIQ's schedule."""
        return {"pipeline": self.pipeline_name, "expid": self.expid, "priority": self.priority,
                "due_date": self.due_date, "flush": self.flush, "status": self.status, "repo_msg": None}  # fmt: skip


@dataclass(eq=False)
class Pipeline:
    """The runs of one pipeline: one is prepared at a time; of those that run, all but the last are paused."""

    runs: dict[int, Entry] = field(default_factory=dict)
    preparing: Entry | None = None
    busy: bool = False  # an experiment is being prepared right now
    stack: list[Entry] = field(default_factory=list)

    def prepared(self) -> Entry | None:
        """Return the prepared run that comes first."""
        return max((e for e in self.runs.values() if e.status == "prepare_done"), key=lambda e: e.key, default=None)

    def next_to_prepare(self, now_s: float) -> Entry | None:
        """Return the run to be prepared now: the first one due, unless a prepared one comes before it."""
        due = [e for e in self.runs.values() if e.status == "pending" and (e.due_date or 0) < now_s]
        first, prepared = max(due, key=lambda e: e.key, default=None), self.prepared()
        return first if first is not None and (prepared is None or first.key > prepared.key) else None

    def flushed(self, entry: Entry) -> bool:
        """Say whether nothing is under way that a flushing run must wait for."""
        return all(e is entry or e.priority < entry.priority or e.status in ("pending", "deleting")
                   for e in self.runs.values())  # fmt: skip


class Schedule:
    """Every run of the process. `make_job` is asked for a run's stages when it is to be prepared."""

    def __init__(
        self,
        make_job: Callable[[Entry], Job],
        next_rid: Callable[[], int],
        failed: Callable[[Entry, BaseException], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._make_job, self._next_rid, self._failed = make_job, next_rid, failed
        self._clock, self._sleep = clock, sleep
        self._pipelines: dict[str, Pipeline] = {}
        self._active: list[Entry] = []  # one within the other; the last one runs
        self._noticed = False  # the run knows that it is to end
        self.stop_signal: int | None = None
        self._interruptible_s = math.inf  # from when on a further signal interrupts (monotonic)
        self._interrupt_due = False  # one came while nothing might be interrupted

    # What experiments ask for

    def submit(
        self, pipeline_name: str, expid: dict[str, Any], priority: int = 0, due_date: float | None = None,
        flush: bool = False, job: Job | None = None,
    ) -> int | None:  # fmt: skip
        """Put a run into the schedule and return its number; None once the command was told to stop."""
        if self.stop_signal is not None:
            return None
        copy = pyon.decode(pyon.encode(expid))  # as it reaches ARTIQ's master, in another process
        entry = Entry(self._next_rid(), pipeline_name, copy, priority, due_date, flush, job=job)
        pipeline = self._pipelines.setdefault(pipeline_name, Pipeline())
        pipeline.runs[entry.rid] = entry
        self._choose(pipeline)
        return entry.rid

    def delete(self, rid: int) -> None:
        """Take a run out of the schedule, whatever it does; an unknown one is ignored."""
        entry = self.entry(rid)
        if entry is None:
            return
        if entry in self._active:
            entry.status = "deleting"
            if entry is self._active[-1]:
                raise Deleted(f"run {rid} was deleted")
            return  # it ends when its turn comes again
        self._end(entry)

    def request_termination(self, rid: int) -> None:
        """Ask a run to end; one that does not run yet is deleted."""
        entry = self.entry(rid)
        if entry is None:
            return
        if entry.status in ("running", "paused"):
            entry.termination_requested = True
        else:
            self.delete(rid)

    def get_status(self) -> dict[int, dict[str, Any]]:
        """Return the runs in the schedule, in ARTIQ's form; other pipelines take their turn meanwhile."""
        if self._active and self._active[-1].status == "running":
            for pipeline in list(self._pipelines.values()):
                if pipeline.stack:
                    self._prepare(pipeline)
                else:
                    self._take_turns(pipeline)
        return {e.rid: e.described() for p in self._pipelines.values() for e in p.runs.values()}

    def seen(self) -> dict[int, dict[str, Any]]:
        """Return the runs in the schedule for who only looks on, from another thread, too: nobody takes a turn."""
        return {e.rid: e.described() for p in list(self._pipelines.values()) for e in list(p.runs.values())}

    def check_pause(self, rid: int) -> bool:
        """Say whether `pause` would do something: an end was asked for, or a prepared run comes before this one."""
        entry = self.entry(rid)
        if entry is None:
            raise KeyError("RID not found")
        if entry.status != "running":
            return False
        pipeline = self._pipelines[entry.pipeline_name]
        self._prepare(pipeline)
        if entry.termination_requested:
            self._noticed = True
            return True
        prepared = pipeline.prepared()
        return prepared is not None and prepared.key > entry.key

    def check_termination(self, rid: int) -> bool:
        """Say whether a run was asked to end."""
        entry = self.entry(rid)
        return entry is not None and entry.termination_requested

    def pause(self, rid: int) -> bool:
        """Let others take their turn; return whether the run was asked to end, and forget that it was."""
        entry = self.entry(rid)
        if entry is None or not self._active or entry is not self._active[-1] or entry.status != "running":
            return False
        self._noticed = self._noticed or entry.termination_requested
        entry.status = "paused"
        try:
            for pipeline in list(self._pipelines.values()):
                self._take_turns(pipeline)
        finally:
            deleted = entry.status == "deleting"
            entry.status = "deleting" if deleted else "running"
        if deleted:
            raise Deleted(f"run {rid} was deleted")
        requested, entry.termination_requested = entry.termination_requested, False
        return requested

    def entry(self, rid: int) -> Entry | None:
        """Return the run with a number, None where it is not in the schedule (any more)."""
        return next((p.runs[rid] for p in self._pipelines.values() if rid in p.runs), None)

    # Carrying out

    def run_all(self) -> None:
        """Carry everything out until nothing is left; wait for due dates. Interrupts pass through."""
        while self.stop_signal is None:
            ready = False
            for pipeline in list(self._pipelines.values()):
                ready |= self._take_turns(pipeline)
            if ready:
                continue
            due = [e.due_date for p in self._pipelines.values() for e in p.runs.values() if e.due_date is not None]
            if not due:
                return
            self._wait(min(due))

    def left(self) -> list[Entry]:
        """Return the runs that are still in the schedule."""
        return [e for p in self._pipelines.values() for e in p.runs.values()]

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Ask what runs to end at the first signal, and start nothing more; interrupt it at the second, or if it does
        not look for a while whether it should end: a kernel in an endless loop never does.

        Only an experiment's own code is interrupted (`interrupts`), never what writes its results.
        """
        if self.stop_signal is not None:
            self._interrupt_due = True
            self._interrupt_if_due()
            return
        self.stop_signal = number
        for entry in self._active:
            entry.termination_requested = True
        # In a thread, because what was interrupted may be just writing to the terminal.
        threading.Thread(target=self._watch_over_the_end, args=(number,), daemon=True).start()

    @contextmanager
    def interrupts(self, after_s: float = 0.0) -> Iterator[None]:
        """Let signals interrupt this block, once it has lasted so long; `math.inf`: never."""
        before = self._interruptible_s
        try:
            self._interruptible_s = time.monotonic() + after_s
            self._interrupt_if_due()
            yield
        finally:
            self._interruptible_s = before
        self._interrupt_if_due()

    def _interrupt_if_due(self) -> None:
        now_s = time.monotonic()
        if self._interrupt_due and now_s >= self._interruptible_s:
            self._interrupt_due = False
            self._interruptible_s = now_s + _GRACE_S
            raise KeyboardInterrupt

    def _watch_over_the_end(self, number: int) -> None:
        logger.warning(
            "asked to stop: the experiment ends at its next check; one that does not check is interrupted in %g s "
            "(once more interrupts it now)",
            _PATIENCE_S,
        )
        time.sleep(_PATIENCE_S)
        self._insist(number)

    def _insist(self, number: int) -> None:
        if self._active and not self._noticed:
            os.kill(os.getpid(), number)

    def _wait(self, until_s: float) -> None:
        logger.info("nothing to do for %.1f s: waiting for a due date", until_s - self._clock())
        while self.stop_signal is None and self._clock() <= until_s:
            self._sleep(min(_NAP_S, max(0.001, until_s - self._clock())))

    def _choose(self, pipeline: Pipeline) -> Entry | None:
        """Return the run to be prepared now; one that flushes is held until it may."""
        if pipeline.preparing is None and self.stop_signal is None:
            chosen = pipeline.preparing = pipeline.next_to_prepare(self._clock())
            if chosen is not None:
                chosen.status = "flushing" if chosen.flush else "preparing"
        held = pipeline.preparing
        if held is not None and held.status == "flushing":
            if not pipeline.flushed(held):
                return None
            held.status = "preparing"
        return held

    def _prepare(self, pipeline: Pipeline) -> None:
        """Prepare what ARTIQ would have prepared by now."""
        while not pipeline.busy and self.stop_signal is None:
            entry = self._choose(pipeline)
            if entry is None:
                return
            pipeline.busy = True
            try:
                entry.job = entry.job or self._make_job(entry)
                entry.job.prepare(entry)
            except Exception as error:  # noqa: BLE001 - handed on, as ARTIQ's master does; the others go on
                self._failed(entry, error)
                self._end(entry)
            else:
                if entry.status == "preparing":  # not deleted meanwhile
                    entry.status = "prepare_done"
            finally:
                pipeline.busy = False
                pipeline.preparing = None

    def _take_turns(self, pipeline: Pipeline) -> bool:
        """Carry out what comes before the run that is paused in a pipeline; say whether there was something.

        A paused run goes on as soon as nothing that is prepared comes before it; what would only now be prepared has
        to wait for its next pause, as in ARTIQ, where preparing takes its time.
        """
        self._prepare(pipeline)
        ready = False
        while self.stop_signal is None:
            below = pipeline.stack[-1] if pipeline.stack else None
            if below is None and pipeline.prepared() is None:
                self._prepare(pipeline)
            entry = pipeline.prepared()
            if entry is None or below is not None and entry.key <= below.key:
                break
            self._carry_out(pipeline, entry)
            ready = True
        return ready

    def _carry_out(self, pipeline: Pipeline, entry: Entry) -> None:
        assert entry.job is not None
        pipeline.stack.append(entry)
        self._active.append(entry)
        try:
            entry.status = "running"
            self._prepare(pipeline)  # in ARTIQ this happens beside the run, now and later
            entry.job.run()
            self._prepare(pipeline)
            entry.status = "analyzing"
            entry.job.analyze()
        except (Exception, Deleted) as error:  # noqa: BLE001 - handed on, as above
            self._failed(entry, error)
        finally:
            self._active.remove(entry)
            pipeline.stack.remove(entry)
            self._end(entry)

    def _end(self, entry: Entry) -> None:
        """Take a run out of the schedule and let go of what it holds."""
        entry.status = "deleting"
        pipeline = self._pipelines[entry.pipeline_name]
        if pipeline.runs.pop(entry.rid, None) is None:
            return
        if pipeline.preparing is entry and not pipeline.busy:
            pipeline.preparing = None
        self._choose(pipeline)
        if entry.job is not None:
            entry.job.close()
