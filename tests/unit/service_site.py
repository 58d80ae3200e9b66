"""A service with some users and labs that do nothing, called without a network; it needs the extra `service`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service_lab import Answer, ask, make_lab, soon

from atomlink.service import app as application
from atomlink.service.config import Config, LabConfig, Limits
from atomlink.service.identity import Tokens
from atomlink.service.store import Store

JOB = {"experiment": "tick", "arguments": {"mark": 3}}


class Still:
    """A lab that does nothing until told how a job ends."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.ends: dict[int, dict[str, Any]] = {}
        self.printed = b"<script>alert(1)</script>"
        self.looks = 0  # at what it printed
        self.asked = 0  # whether a job has ended

    def start(self, job: Any) -> None:
        self.started.append(job["id"])

    def ended(self, job: Any) -> dict[str, Any] | None:
        self.asked += 1
        return self.ends.get(job["id"])

    def rid(self, job: Any) -> int | None:
        return 7

    def stop(self, job: Any) -> None:
        self.ends[job["id"]] = {"begun": True, "exit_code": 143, "rid": 7, "path": None, "error": "stopped"}

    def log(self, job: Any, most: int, since: int | None = None) -> tuple[int, bytes]:
        self.looks += 1
        start = max(0, len(self.printed) - most) if since is None else since
        return start, self.printed[start : start + most]

    def result(self, job: Any) -> dict[str, Any]:
        return {"estimates": {}}


class Site:
    """A service with some users."""

    def __init__(self, app: Any, labs: dict[str, Still]) -> None:
        self.app, self.labs = app, labs
        tokens: Tokens = app.state.service.tokens
        self.tokens = {name: tokens.issue(name, scope, 60.0)
                       for name, scope in (("ann", "user"), ("ben", "user"), ("oda", "operator"), ("ada", "admin"))}

    async def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return await ask(self.app, method, path, body, {"authorization": f"Bearer {self.tokens[who]}", **given})

    async def reaches(self, number: int, state: str) -> None:
        """Wait until a job is in a state."""
        await soon(lambda: (self.store.job(number) or {}).get("state") == state)

    @property
    def store(self) -> Store:
        store: Store = self.app.state.service.store
        return store


@asynccontextmanager
async def site(folder: Path, limits: Limits | None = None, labs: int = 1) -> AsyncIterator[Site]:
    root = make_lab(folder) if not (folder / "lab").exists() else folder / "lab"
    still = {f"lab{n}": Still() for n in range(labs)}
    before, application.make_lab = application.make_lab, lambda config, _: still[config.name]  # type: ignore[assignment]
    try:
        configured = tuple(LabConfig(name, root) for name in still)
        made = application.make(Config(configured, limits or Limits(requests_per_s=1e6, burst=10**6)), folder / "state")
    finally:
        application.make_lab = before
    async with made.router.lifespan_context(made):
        yield Site(made, still)
