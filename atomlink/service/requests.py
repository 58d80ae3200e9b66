"""From a request to a checked call: who asks, how often, how large, and problems instead of errors."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from atomlink.errors import brief
from atomlink.service.config import Config
from atomlink.service.dispatch import Dispatcher
from atomlink.service.identity import Identity, Munge, Tokens, refused
from atomlink.service.metrics import Metrics
from atomlink.service.problems import MEDIA_TYPE, Problem, bad_request
from atomlink.service.store import Row, Store

logger = logging.getLogger(__name__)
MOST_KNOWN = 10_000  # users, or addresses, whose rate is remembered
DEEPEST = 32         # levels of a body


@dataclass
class Service:
    """What every call needs."""

    config: Config
    store: Store
    dispatcher: Dispatcher
    tokens: Tokens
    munge: Munge | None
    metrics: Metrics
    rates: Rates       # of users
    strangers: Rates   # of addresses: beside the users', so that many addresses push no user's bucket out
    streams: Counter[str] = field(default_factory=Counter)  # open ones, by user
    stopping: bool = False


@dataclass(frozen=True)
class Call:
    """A request, checked: who asks, the values in its path, its body."""

    service: Service
    request: Request
    who: Identity
    body: Any = None

    @property
    def store(self) -> Store:
        """Return the store."""
        return self.service.store

    def audit(self, action: str, about: str, detail: str = "") -> None:
        """Write down what the call does."""
        self.store.audit(f"{self.who.user} ({self.who.via})", action, about, detail)


NOBODY = Identity("", "user", "none")
Handler = Callable[[Call], Awaitable[Response]]


class Rates:
    """A bucket of requests for each user: full at `burst`, filled with `rate_hz`."""

    def __init__(self, rate_hz: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz, self._burst, self._clock = rate_hz, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Take one request out of a bucket; Problem where it is empty."""
        now = self._clock()
        left, at = self._buckets.pop(key, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._rate_hz)
        self._buckets[key] = left - 1.0 if left >= 1.0 else left, now  # a refusal takes nothing
        if len(self._buckets) > MOST_KNOWN:
            self._buckets.popitem(last=False)
        if left < 1.0:
            wait_s = (1.0 - left) / self._rate_hz
            raise Problem(429, "too-many-requests", f"more than {self._rate_hz:g} requests a second",
                          f"wait {wait_s:.2g} s", {"Retry-After": str(math.ceil(wait_s))})  # fmt: skip


def endpoint(service: Service, handler: Handler, scope: str | None, has_body: bool) -> Callable[[Request], Any]:
    """Return what Starlette calls for a route; `scope` None: anybody may."""

    async def answer(request: Request) -> Response:
        began = time.perf_counter()
        try:
            response = await _answer(request)
        except Problem as problem:
            response = as_response(problem)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody reads it
        except sqlite3.OperationalError as error:
            logger.error("the database refuses: %s", error)
            full = "full" in str(error)
            response = as_response(Problem(507 if full else 503, "no-room" if full else "busy",
                                           "nothing can be written down now, so nothing is taken",
                                           "free the disk" if full else "try again"))  # fmt: skip
        except Exception:  # anything: the others are still served
            logger.exception("%s %s failed", brief(request.method), brief(request.url.path))
            response = as_response(Problem(500, "internal", "the service failed", "see its log; it is a fault of ours"))
        service.metrics.request(request.method, response.status_code, time.perf_counter() - began)
        return response

    async def _answer(request: Request) -> Response:
        host_is_ours(service.config, request)
        client = request.client.host if request.client else "-"
        if scope is None:
            service.strangers.take(f"open {client}")  # not the bucket below: a watchdog is not to go hungry
            who = NOBODY
        else:
            who = identify(service, request, client)
            if not who.may(scope):
                raise Problem(403, "forbidden", f"this needs the scope {scope}, {who.user} has {who.scope}",
                              "ask the administrator")  # fmt: skip
        return await handler(Call(service, request, who, await _body(service, request) if has_body else None))

    return answer


def identify(service: Service, request: Request, client: str) -> Identity:
    """Return who asks; what is not known is counted against the address it comes from."""
    authorization, credential = request.headers.get("authorization", ""), request.headers.get("x-munge-cred")
    try:
        if credential is not None:
            if service.munge is None:
                raise refused("MUNGE credentials are not taken here", "add the table [munge] to the service's file")
            who = service.munge.identity(credential)
        elif authorization[:7].lower() == "bearer ":
            who = service.tokens.identity(authorization[7:].strip())
        else:
            raise refused("nobody is named", "send `Authorization: Bearer TOKEN` (atomlink serve token USER) or "
                          "`X-Munge-Cred: $(munge -n)`")  # fmt: skip
    except Problem:
        service.strangers.take(f"unknown {client}")
        raise
    service.rates.take(who.user)
    return who


def host_is_ours(config: Config, request: Request) -> None:
    """Refuse a request under a name that is not ours: a page elsewhere that has its name point here."""
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.strip("[]").lower() not in {"localhost", "127.0.0.1", "::1", *(h.lower() for h in config.hosts)}:
        raise Problem(421, "wrong-host", f"this is not {brief(name)}", "add it to `hosts` in the service's file")


async def _body(service: Service, request: Request) -> Any:
    most = service.config.limits.body_bytes
    too_large = Problem(413, "too-large", f"the body has more than {most} bytes", "send less")
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and len(length) < 19 and int(length) > most:
        raise too_large
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise too_large
    if not data:
        return {}
    try:
        body = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON ({brief(str(error))})", "send one JSON object in UTF-8") from None
    check_plain(body)
    if not isinstance(body, dict):
        raise bad_request(f"the body is {brief(body)}", "send one JSON object")
    return body


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def check_plain(value: Any, depth: int = 0) -> None:
    """Refuse what no database or terminal takes: lone surrogates, zero bytes, nests without end."""
    if depth > DEEPEST:
        raise bad_request(f"the body is nested more than {DEEPEST} deep", "send a flatter one")
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise bad_request("a text of the body has a zero byte or half a surrogate pair", "send plain UTF-8 text")
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        check_plain(key, depth + 1)
        check_plain(each, depth + 1)


class Json(Response):
    """A JSON answer; nothing of it is ever taken for HTML."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None,
                 media_type: str | None = None) -> None:  # fmt: skip
        super().__init__(json.dumps(content, allow_nan=False, default=str).encode(), status_code,
                         {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **(headers or {})},
                         media_type)  # fmt: skip


def as_response(problem: Problem) -> Response:
    """Return the answer that a problem is."""
    return Json(problem.body(), problem.status, problem.headers, MEDIA_TYPE)


def number_in(text: str, what: str) -> int:
    """Return a number of a path or a query; not found where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(404, "not-found", f"{brief(text)} is no number of a {what}", "give a whole number")
    return int(text)


def own_job(call: Call, text: str) -> Row:
    """Return a job that whoever asks may see: their own, an operator any."""
    job = call.store.job(number_in(text, "job"))
    if job is None or job["user"] != call.who.user and not call.who.may("operator"):
        raise Problem(404, "not-found", f"there is no job {brief(text)} of yours", "see `atomlink jobs`")
    return job


def shown(job: Row) -> dict[str, Any]:
    """Return a job as its owner sees it."""
    spec = json.loads(job["spec"])
    keys = ("id", "state", "kind", "lab", "user", "session", "priority", "created_at", "started_at", "ended_at", "rid",
            "error", "attempt", "retry_of", "shots")  # fmt: skip
    own = {key: spec.get(key) for key in ("file", "class_name", "arguments", "seed")}
    return {**{key: job[key] for key in keys}, **own, "cancel_requested": bool(job["cancel_requested"])}
