"""Serve a twin whose protocol is requests and replies of text, each with an ending, over TCP.

One connection may send requests one after the other without waiting; their replies come in order. A request that is
longer than any of the protocol's ends the connection, as a full input buffer does. This is the way that most requests
take, so it is a bare `asyncio.Protocol`: with asyncio's streams on top, a query takes half as long again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from .supervise import Guard
from .tcp import LONGEST_REQUEST, MOST_CLIENTS

logger = logging.getLogger(__name__)
_AT_ONCE = 64  # requests of one client before others have their turn


class LineServer:
    """One TCP port. `handle(text)` returns the reply without its ending, or None for silence. `visa`: its driver takes
    a VISA resource.
    """

    def __init__(self, name: str, handle: Callable[[Any], Any], request_ending: str = "\n", ending: str = "\n",
                 greeting: str = "", visa: bool = False) -> None:  # fmt: skip
        self.name, self.handle, self._visa = name, handle, visa
        self.request_ending, self.ending = request_ending.encode(), ending.encode()
        self.greeting = greeting.encode()
        self.clients: set[Line] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which is a free one for port 0."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Line(self), host, port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close every connection and the port."""
        for client in list(self.clients):
            client.transport.abort()
        if self._server is not None:
            self._server.close()
        self._server = None

    def address(self, host: str, port: int) -> str:
        """Return a VISA resource, or HOST:PORT."""
        return f"TCPIP::{host}::{port}::SOCKET" if self._visa else f"{host}:{port}"


class Line(asyncio.Protocol):
    """One connection: half a request, and requests that wait for their turn or for the client to read."""

    def __init__(self, server: LineServer) -> None:
        self._server, self._handle = server, server.handle
        self._request_ending, self._ending = server.request_ending, server.ending
        self._guard = Guard(server.name)
        self._rest = b""
        self._waiting: deque[bytes] = deque()
        self._may_write = True
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self.transport = transport
        if len(self._server.clients) >= MOST_CLIENTS:
            logger.info("%s: a client was refused: %d are connected already", self._server.name, MOST_CLIENTS)
            self.transport.abort()
            return
        self._server.clients.add(self)
        if self._server.greeting:
            self.transport.write(self._server.greeting)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget what has not been answered, and half a request, as instruments do."""
        self._server.clients.discard(self)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        requests = (self._rest + data if self._rest else data).split(self._request_ending)
        self._rest = requests.pop()
        if len(self._rest) > LONGEST_REQUEST:
            logger.info("%s: a client broke off: %d bytes without an end", self._server.name, len(self._rest))
            self.transport.abort()
        elif len(requests) == 1 and not self._waiting and self._may_write:
            self._answer(requests[0])
        elif requests:
            self._waiting += requests
            self.transport.pause_reading()
            self._work()

    def pause_writing(self) -> None:
        """Wait until the client reads."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Go on."""
        self._may_write = True
        self._work()

    def _work(self) -> None:
        """Answer some of the requests that wait."""
        for _ in range(min(len(self._waiting), _AT_ONCE)):
            if not self._may_write or self.transport.is_closing():
                return
            self._answer(self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._work)
        else:
            self.transport.resume_reading()

    def _answer(self, request: bytes) -> None:
        reply = None
        with self._guard:
            reply = self._handle(request.decode("latin-1"))
        if self._guard.failure is not None:  # the lab refuses (a drift out of range), or has a fault
            self.transport.abort()
        if reply is not None:
            self.transport.write(reply.encode("latin-1", "replace") + self._ending)
