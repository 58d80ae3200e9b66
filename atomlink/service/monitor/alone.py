"""`atomlink run --monitor`: the same pages for one plain run, on loopback, for as long as it runs."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atomlink.service.config import Config, LabConfig
from atomlink.service.monitor import live
from atomlink.service.monitor.looker import Lookers
from atomlink.service.monitor.pages import PAGES, Monitor, Page
from atomlink.service.monitor.source import Job, Viewer
from atomlink.service.problems import Problem
from atomlink.service.requests import as_response, host_is_ours
from atomlink.service.states import PENDING, RUNNING

logger = logging.getLogger(__name__)
OWNER = Viewer("", "all")  # whoever started the run: the page is on their machine, and ends with it


class OfRun:
    """One run, and what it submits."""

    def __init__(self, run: Any, lab: LabConfig) -> None:
        self.labs: tuple[LabConfig, ...] = (lab,)
        self._run = run

    def state(self, lab: str) -> tuple[str, str]:
        """Return that the lab works for this run."""
        return "online", "for this run alone"

    def jobs(self, lab: str, viewer: Viewer) -> list[Job]:
        """Return the runs of the schedule."""
        session = self._run.session
        entries = [] if session is None else session.schedule.seen().items()
        return [Job(rid, lab, PENDING if each["status"] == "pending" else RUNNING, "",
                    str(each["expid"].get("class_name")), each["expid"].get("arguments") or {}, rid, each["priority"],
                    self._run.start_time, self._run.start_time, None, None) for rid, each in entries]  # fmt: skip

    def live(self, lab: str, viewer: Viewer) -> dict[str, Any]:
        """Return what the run shows."""
        return {"link": self._run.arguments.get("link"), **live.plots_of(self._run)}

    def rids(self, viewer: Viewer) -> list[int] | None:
        """Return that all runs may be seen."""
        return None


@contextmanager
def opened(run: Any) -> Iterator[str]:
    """Serve the pages of a run on a free port of the loopback in a thread of their own; give their URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config((_lab_of(run.lab.root),))
    lookers = Lookers(config.labs, run.results)
    monitor = Monitor(OfRun(run, config.labs[0]), lookers, lambda _request: OWNER)
    app = Starlette(routes=[Route(path, _endpoint(config, monitor, page)) for path, page, *_ in PAGES])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False,
                                           proxy_headers=False, timeout_graceful_shutdown=1, ws="none"))  # fmt: skip

    async def serve() -> None:
        keeping = asyncio.create_task(lookers.keep())
        try:
            await server.serve(sockets=[listener])
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    # Signals are the run's: uvicorn takes them in a main thread only.
    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="monitor", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/monitor"
    finally:
        server.should_exit = True
        thread.join(3.0)
        listener.close()


def _lab_of(root: Path) -> LabConfig:
    """Return the lab that the environment of a run says."""
    kept, hardware = os.environ.get("ATOMLINK_LAB") or None, os.environ.get("ATOMLINK_TARGET") == "hardware"
    scenario = None if hardware or kept else os.environ.get("ATOMLINK_SCENARIO")
    return LabConfig("lab", root, scenario=scenario, lab=kept, hardware=hardware)


def _endpoint(config: Config, monitor: Monitor, page: Page) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            host_is_ours(config, request)
            return await page(monitor, request, OWNER)
        except Problem as problem:
            return as_response(problem)
        except Exception:  # the run goes on, whatever a page asks for
            logger.exception("the monitor failed")
            return as_response(Problem(500, "internal", "the monitor failed", "see what the run prints"))

    return answer
