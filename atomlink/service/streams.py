"""What a job prints: its log as text, and log and states as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import codecs
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from atomlink.service.problems import Problem
from atomlink.service.requests import Call, Service, own_job, shown
from atomlink.service.states import FINAL
from atomlink.service.store import Row

STREAM_S = 0.3        # between looks of a stream
STREAM_END_S = 3600.0  # after which a stream ends, and the client comes again
_TEXT = "text/plain; charset=utf-8"


async def log(call: Call) -> Response:
    """Return the end of what a job printed, as plain text."""
    text = await log_of(call, own_job(call, call.request.path_params["id"]))
    return Response(text, media_type=_TEXT, headers={"X-Content-Type-Options": "nosniff"})


async def log_of(call: Call, found: Row) -> str:
    """Return the end of what a job printed."""
    return (await _printed(call, found, None))[1].decode("utf-8", "replace")


async def _printed(call: Call, found: Row, since: int | None) -> tuple[int, bytes]:
    lab = call.service.dispatcher.labs.get(found["lab"])
    if lab is None:
        return since or 0, b""
    return await asyncio.to_thread(lab.log, found, call.service.config.limits.log_bytes, since)


async def events(call: Call) -> Response:
    """Stream a job as server-sent events until it has ended: `state`, `log` (its end, then all that comes)."""
    found = own_job(call, call.request.path_params["id"])
    who, service, limits = call.who.user, call.service, call.service.config.limits
    if service.streams[who] >= limits.streams_per_user or service.streams.total() >= limits.streams:
        raise Problem(429, "too-many-streams", f"{who} has {service.streams[who]} streams open, all "
                      f"{service.streams.total()}", f"{limits.streams_per_user} each and {limits.streams} together are "
                      "the most: close one, or ask again and again instead", {"Retry-After": "10"})  # fmt: skip
    return _Events(service, who, _stream(call, found["id"]))


class _Events(StreamingResponse):
    """A stream of a user, counted from when it is answered until it ends, however it does."""

    def __init__(self, service: Service, who: str, content: AsyncIterator[str]) -> None:
        super().__init__(content, media_type="text/event-stream",
                         headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})  # fmt: skip
        self._service, self._who = service, who
        service.streams[who] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._service.streams[self._who] -= 1
            self._service.streams += Counter()  # forgets who has none


async def _stream(call: Call, number: int) -> AsyncIterator[str]:
    service, since, state = call.service, None, None
    letters = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be cut between two looks
    until = time.monotonic() + STREAM_END_S
    while time.monotonic() < until and not service.stopping:
        now = call.store.job(number)
        assert now is not None
        at, printed = await _printed(call, now, since)
        since = at + len(printed)
        if text := letters.decode(printed):
            yield _event("log", text)
        if (changed := shown(now)) != state:
            state = changed
            yield _event("state", changed)
        if len(printed) >= service.config.limits.log_bytes:
            continue  # there is more
        if now["state"] in FINAL:
            return
        await asyncio.sleep(STREAM_S)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"  # JSON has no line ends of its own
