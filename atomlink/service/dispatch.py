"""Which job is next, and on which lab: one at a time on each, labs side by side; jobs that run when the service comes
up are taken up, never begun again.

Order (`Store.next_of`): priority, then fair share by session, then the number of the job.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from atomlink.service.problems import Problem
from atomlink.service.states import CANCELED, DONE, ERROR, PENDING, RUNNING
from atomlink.service.store import Row, Store

logger = logging.getLogger(__name__)
LOOK_S = 0.05    # between looks at a job that runs
IDLE_S = 1.0     # between looks where nothing runs; a new job wakes it
SYNC_S = 1.0     # between fsyncs of the database
EXPIRE_S = 60.0  # between looks for idle sessions
TRIES = 5        # to start a worker that ends before it touches the lab
RETRY_S = 1.0    # between two of them


class JobLab(Protocol):
    """Where the jobs of one lab are carried out."""

    def start(self, job: Row) -> None:
        """Begin a job; the store has it as running already."""

    def ended(self, job: Row) -> dict[str, Any] | None:
        """Return how a job ended, None while it runs."""

    def rid(self, job: Row) -> int | None:
        """Return the number of its run, None while it has none."""

    def stop(self, job: Row) -> None:
        """Ask a job that runs to end."""

    def log(self, job: Row, most: int, since: int | None = None) -> tuple[int, bytes]:
        """Return at most so many bytes of what it printed, from `since` on (None: the last), and where they begin."""

    def result(self, job: Row) -> dict[str, Any]:
        """Return what it found."""


class Dispatcher:
    """Brings jobs to labs, and their ends to the store."""

    def __init__(self, store: Store, labs: Mapping[str, JobLab], session_idle_s: float) -> None:
        self.store, self.labs, self.session_idle_s = store, labs, session_idle_s
        self.drained: set[str] = set(store.recall("drained", []))
        self._wake = {name: asyncio.Event() for name in labs}
        self.ready = False

    def wake(self, lab: str) -> None:
        """Say that there is something to do for a lab."""
        if lab in self._wake:
            self._wake[lab].set()

    def drain(self, lab: str, drained: bool) -> None:
        """Let a lab begin no more jobs, or let it begin them again; what runs goes on."""
        (self.drained.add if drained else self.drained.discard)(lab)
        self.store.remember("drained", sorted(self.drained))
        self.wake(lab)

    def cancel(self, job: Row) -> Row:
        """Cancel a job that waits, ask one that runs to end; Problem where it has ended."""
        if job["state"] == RUNNING and job["lab"] not in self.labs:
            raise Problem(409, "no-lab", f"job {job['id']} runs on lab {job['lab']}, which is not served now",
                          "serve it again, then cancel")  # fmt: skip
        if job["state"] == RUNNING:
            self.store.note(job["id"], cancel_requested=1)
            self.labs[job["lab"]].stop(job)
            return self.store.job(job["id"]) or job
        return self.store.move(job["id"], CANCELED, ended_at=time.time(), error="cancelled before it began")

    async def run(self) -> None:
        """Serve every lab until cancelled; not `ready` any more when this ends, however it does."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in self.labs:
                    group.create_task(self._serve(name))
                group.create_task(self._keep())
                self.ready = True
        finally:
            self.ready = False

    async def _keep(self) -> None:
        checked = time.monotonic()
        while True:
            await asyncio.sleep(SYNC_S)
            try:
                await asyncio.to_thread(self.store.sync)
                if time.monotonic() - checked > EXPIRE_S:
                    checked = time.monotonic()
                    for session in self.store.expire(self.session_idle_s):
                        self.store.audit("service", "session-expired", f"session/{session}")
            except Exception:  # a full disk: said, and tried again; the labs go on
                logger.exception("the queue cannot be brought to the disk; trying again")

    async def _serve(self, name: str) -> None:
        lab = self.labs[name]
        while True:
            try:
                busy = await self._step(name, lab)
            except Exception:  # a full disk, a lab that is away: said, and tried again; the others go on
                logger.exception("lab %s: cannot go on; trying again", name)
                busy = False
                await asyncio.sleep(IDLE_S)
            if not busy:
                self._wake[name].clear()
                with suppress(TimeoutError):  # not `wait_for`, which loses a cancellation in Python 3.11
                    async with asyncio.timeout(IDLE_S):
                        await self._wake[name].wait()

    async def _step(self, name: str, lab: JobLab) -> bool:
        """Bring one lab on by one step; say whether it is busy."""
        running = [job for job in self.store.running() if job["lab"] == name]
        for job in running:
            await self._look_at(lab, job)
        if running:
            await asyncio.sleep(LOOK_S)
            return True
        chosen = None if name in self.drained else self.store.next_of(name)
        if chosen is None:
            return False
        # Written down before anything is begun: whoever finds it after a kill does not begin it again.
        job = self.store.move(chosen["id"], RUNNING, started_at=time.time(), attempt=chosen["attempt"] + 1)
        try:
            await asyncio.to_thread(lab.start, job)
        except OSError as error:
            logger.error("job %d cannot be started (%s): waiting for the lab", job["id"], error)
            self.store.move(job["id"], PENDING, started_at=None, attempt=chosen["attempt"])
            return False
        return True

    async def _look_at(self, lab: JobLab, job: Row) -> None:
        ended = await asyncio.to_thread(lab.ended, job)
        if ended is None:
            if job["rid"] is None and (rid := lab.rid(job)) is not None:
                self.store.note(job["id"], rid=rid)
            if job["cancel_requested"]:
                lab.stop(job)  # again: it may have been asked before it could hear, or by a service that was killed
            return
        number = job["id"]
        if not ended["begun"]:
            await self._not_begun(job)
            return
        whole = ended["exit_code"] == 0 and (ended.get("complete", True) or not job["cancel_requested"])
        state = DONE if whole else CANCELED if job["cancel_requested"] else ERROR
        values = {"ended_at": ended.get("at") or time.time(), "rid": ended["rid"], "path": ended["path"],
                  "error": ended["error"]}  # fmt: skip
        if ended.get("begun_at") is not None:  # earlier than we know where the queue is an older copy
            values["started_at"] = min(job["started_at"], ended["begun_at"])
        if state == DONE:
            values["results"] = json.dumps({"estimates": ended.get("estimates", {})})
        if ended.get("shots") is not None:
            values["shots"] = ended["shots"]
        self.store.move(number, state, **values)

    async def _not_begun(self, job: Row) -> None:
        """Let a job whose worker ended before it touched the lab wait again, a few times."""
        number, session = job["id"], self.store.session(job["session"])
        if job["cancel_requested"]:
            self.store.move(number, CANCELED, ended_at=time.time(), error="cancelled before it began")
        elif session is not None and session["revoked_at"] is not None:
            self.store.move(number, CANCELED, ended_at=time.time(), error="its session was ended before it began")
            self.store.audit("service", "cancel", f"job/{number}", "its session was ended")
        elif job["attempt"] >= TRIES:
            self.store.move(number, ERROR, ended_at=time.time(), error=f"its worker ended {job['attempt']} times "
                            "before it touched the lab: see its log")  # fmt: skip
        else:
            self.store.audit("service", "not-begun", f"job/{number}", "its worker ended before it touched the lab; it "
                             "waits again")  # fmt: skip
            self.store.move(number, PENDING, started_at=None)
            await asyncio.sleep(RETRY_S)
