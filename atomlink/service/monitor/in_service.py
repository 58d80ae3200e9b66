"""The monitor as part of a service: its calls in the table of all calls, and what a token, or none, lets see.

The cookie is for these pages alone, which only read: no other call looks at it.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from atomlink.service.api import Route
from atomlink.service.experiments import wanted
from atomlink.service.identity import Identity
from atomlink.service.monitor.looker import Lookers
from atomlink.service.monitor.pages import COOKIE, PAGES, Monitor, Page
from atomlink.service.monitor.source import OfService, Viewer
from atomlink.service.problems import Problem
from atomlink.service.requests import Call, Handler, Json, Service, identify

REMEMBERED_S = 7 * 86400  # the cookie; the token may expire earlier


def monitor_of(service: Service) -> Monitor:
    """Return the monitor of a service."""
    def viewer(request: Request) -> Viewer:
        return _viewer(service, request)

    return Monitor(OfService(service), Lookers(service.config.labs), viewer)


def _viewer(service: Service, request: Request) -> Viewer:
    who = _identity(service, request)
    sees = service.config.monitor.without_token
    if who is not None:
        sees = "all" if who.may("operator") or sees == "all" else "own"
    return Viewer(who.user if who else "", sees)


def _identity(service: Service, request: Request) -> Identity | None:
    client = request.client.host if request.client else "-"
    if "authorization" in request.headers or "x-munge-cred" in request.headers:
        return identify(service, request, client)
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    try:
        who = service.tokens.identity(token)
    except Problem:  # expired meanwhile: nobody, who can still give another
        service.strangers.take(f"unknown {client}")
        return None
    service.rates.take(who.user)
    return who


async def remember(call: Call) -> Response:
    """Keep a token in a cookie for the monitor's pages alone, or forget it (an empty one)."""
    if call.request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "forbidden", "a page from elsewhere asks", "open the monitor itself")
    token: str = wanted(call.body, "token", str, None)
    who = call.service.tokens.identity(token) if token else None
    answer = Json({"user": who.user if who else None})
    if who is None:
        answer.delete_cookie(COOKIE, path="/monitor", httponly=True, samesite="strict")
    else:
        answer.set_cookie(COOKIE, token, max_age=REMEMBERED_S, path="/monitor", httponly=True, samesite="strict",
                          secure=call.request.url.scheme == "https")  # fmt: skip
    return answer


def _handler(page: Page) -> Handler:
    async def handler(call: Call) -> Response:
        monitor: Monitor = call.request.app.state.monitor
        return await page(monitor, call.request, monitor.viewer(call.request))

    handler.__doc__ = page.__doc__
    return handler


ROUTES: tuple[Route, ...] = (
    *(Route("GET", path, _handler(page), None, summary, query=query, answer=answer)
      for path, page, summary, query, answer in PAGES),
    Route("POST", "/monitor/token", remember, None, "Keep a token for the monitor", {"type": "object"}),
)  # fmt: skip
