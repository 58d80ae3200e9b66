"""What the monitor asks of whoever runs experiments: which labs, what waits and runs, what a run shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from atomlink.service.config import LabConfig
from atomlink.service.local import LocalLab
from atomlink.service.monitor import live
from atomlink.service.requests import Service
from atomlink.service.states import FINAL, PENDING
from atomlink.service.store import Row

MOST_SHOWN = 25  # jobs that have ended, or wait


@dataclass(frozen=True)
class Viewer:
    """Who looks: nothing | lab (without users, arguments, results) | own (their own jobs, too) | all."""

    user: str
    sees: str

    def may_see(self, owner: str) -> bool:
        """Say whether they may see what belongs to a user."""
        return self.sees == "all" or self.sees == "own" and self.user == owner


@dataclass(frozen=True)
class Job:
    """A job as the monitor shows it; `what` and `arguments` are empty to those who may not see them."""

    number: int
    lab: str
    state: str
    user: str
    what: str
    arguments: Mapping[str, Any]
    rid: int | None
    priority: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    error: str | None


class Source(Protocol):
    """Whoever runs experiments."""

    labs: tuple[LabConfig, ...]

    def state(self, lab: str) -> tuple[str, str]:
        """Return the state of a lab, and why."""

    def jobs(self, lab: str, viewer: Viewer) -> list[Job]:
        """Return what runs, what waits in its order of arrival, then what has ended, the newest first."""

    def live(self, lab: str, viewer: Viewer) -> dict[str, Any]:
        """Return what the running experiment shows: `live.plots_of`; nothing where none runs or may be seen."""

    def rids(self, viewer: Viewer) -> list[int] | None:
        """Return the numbers of the runs that somebody may see, None for all."""


class OfService:
    """The jobs of a service."""

    def __init__(self, service: Service) -> None:
        self.labs = service.config.labs
        self._service = service

    def state(self, lab: str) -> tuple[str, str]:
        """Return whether a lab begins jobs."""
        return ("drained", "begins no jobs") if lab in self._service.dispatcher.drained else ("online", "")

    def jobs(self, lab: str, viewer: Viewer) -> list[Job]:
        """Return the jobs of a lab."""
        store = self._service.store
        running = [job for job in store.running() if job["lab"] == lab]
        waiting = store.jobs(lab=lab, state=PENDING, most=MOST_SHOWN)[::-1]
        ended = [job for job in store.jobs(lab=lab, most=2 * MOST_SHOWN) if job["state"] in FINAL][:MOST_SHOWN]
        return [_shown(job, viewer) for job in (*running, *waiting, *ended)]

    def live(self, lab: str, viewer: Viewer) -> dict[str, Any]:
        """Return what the job that runs on a lab has written down last."""
        where = self._service.dispatcher.labs.get(lab)
        running = [job for job in self._service.store.running() if job["lab"] == lab]
        if not running or not viewer.may_see(running[0]["user"]) or not isinstance(where, LocalLab):
            return {}
        arguments = json.loads(running[0]["spec"]).get("arguments") or {}
        shown = live.read(where.place(running[0]) / live.FILE)
        return {"job": running[0]["id"], "link": arguments.get("link"), **shown}

    def rids(self, viewer: Viewer) -> list[int] | None:
        """Return the runs of a user's own jobs."""
        if viewer.sees == "all":
            return None
        return self._service.store.rids_of(viewer.user) if viewer.sees == "own" else []


def _shown(job: Row, viewer: Viewer) -> Job:
    spec, mine = json.loads(job["spec"]), viewer.may_see(job["user"])
    return Job(
        job["id"], job["lab"], job["state"], job["user"] if mine else "",
        str(spec.get("class_name") or Path(spec.get("file") or job["kind"]).stem) if mine else "",
        (spec.get("arguments") or {}) if mine else {}, job["rid"] if mine else None, job["priority"],
        job["created_at"], job["started_at"], job["ended_at"], job["error"] if mine else None,
    )  # fmt: skip
