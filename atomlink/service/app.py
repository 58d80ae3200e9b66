"""The parts of a service put together: an ASGI application, and what runs as long as it does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from atomlink.service import api, warden
from atomlink.service.config import Config, LabConfig
from atomlink.service.dispatch import Dispatcher, JobLab
from atomlink.service.experiments import Catalogue
from atomlink.service.identity import Munge, Tokens
from atomlink.service.local import LocalLab, highest_number
from atomlink.service.metrics import Metrics
from atomlink.service.monitor import in_service
from atomlink.service.problems import Problem
from atomlink.service.requests import Rates, Service, as_response, endpoint
from atomlink.service.store import Store, only_one


def make_lab(config: LabConfig, folder: Path) -> JobLab:
    """Return where the jobs of a lab are carried out."""
    return LocalLab(config, folder)


def make(config: Config, folder: Path) -> Starlette:
    """Return the application of a service whose state is in a folder; UsageError where another has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = only_one(folder)  # first: the database of a service that runs is not to be upgraded
    try:
        service = _service(config, folder)
    except BaseException:
        os.close(lock)
        raise

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(service.dispatcher.run())
        looking = asyncio.create_task(app.state.monitor.lookers.keep())
        try:
            yield
        finally:
            service.stopping = True
            task.cancel()
            looking.cancel()
            try:
                await asyncio.gather(looking, return_exceptions=True)
                with suppress(asyncio.CancelledError):
                    await task
            finally:
                service.store.close()
                os.close(lock)

    calls = (*api.ROUTES, *warden.ROUTES, *in_service.ROUTES)
    routes = [StarletteRoute(each.path, endpoint(service, each.handler, each.scope, each.body is not None),
                             methods=[each.method]) for each in calls]  # fmt: skip
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _routing})
    app.router.redirect_slashes = False
    app.state.service, app.state.calls = service, calls
    app.state.monitor = in_service.monitor_of(service)
    app.state.catalogues = {lab.name: Catalogue(lab) for lab in config.labs}
    return app


def server(app: Starlette) -> uvicorn.Server:
    """Return what serves an application; streams end when it is told to stop, for it waits for them."""
    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.service.stopping = True
            super().handle_exit(sig, frame)

    # X-Forwarded-For is anybody's to write: an address is whom the connection is from.
    return Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
                                 timeout_graceful_shutdown=5, ws="none", h11_max_incomplete_event_size=32768))


def _service(config: Config, folder: Path) -> Service:
    tokens = Tokens(folder, config.bearer)
    store = Store(folder)
    store.number_above(highest_number(folder / "jobs"))
    labs = {lab.name: make_lab(lab, folder / "jobs") for lab in config.labs}
    limits = config.limits
    return Service(
        config, store, Dispatcher(store, labs, limits.session_idle_s), tokens,
        Munge(store, config.munge.admins) if config.munge else None, Metrics(store, tuple(labs)),
        Rates(limits.requests_per_s, limits.burst), Rates(limits.requests_per_s, limits.burst),
    )  # fmt: skip


async def _routing(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        return as_response(Problem(405, "method", "this path has no such method", "see /openapi.json"))
    return as_response(Problem(status, "not-found", "there is no such path", "see /openapi.json"))
