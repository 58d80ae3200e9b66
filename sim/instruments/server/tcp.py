"""What servers of twins over TCP have in common: a port, its clients, and how a client that misbehaves is let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

from .supervise import Guard

logger = logging.getLogger(__name__)
LONGEST_REQUEST = 1 << 16  # bytes
MOST_CLIENTS = 32  # of one port; instruments take fewer
POLL_S = 0.05  # between two looks at what an instrument says by itself
_ATTEMPTS = 50  # to find ports that lie as far apart as the instrument's own


class Server(Protocol):
    """One instrument's port or ports."""

    async def start(self, host: str, port: int) -> int:
        """Listen; return the first port, which is a free one for port 0. OSError where one of them is taken."""

    async def stop(self) -> None:
        """Close every connection and every port; it can be started again."""

    def address(self, host: str, port: int) -> str:
        """Return what the driver's `connect()` takes."""


class TcpServer:
    """One TCP port; a subclass says in `converse` what happens on each connection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which is a free one for port 0."""
        self._server = await asyncio.start_server(self._client, host, port, limit=LONGEST_REQUEST)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close every connection and the port."""
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._server = None

    def address(self, host: str, port: int) -> str:
        """Return HOST:PORT."""
        return f"{host}:{port}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with one client until it goes."""
        raise NotImplementedError(f"{type(self).__name__} has no converse()")

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        try:
            with Guard(self.name):  # the lab refuses (a drift out of range), or has a fault: the port lives on
                await self._conversed(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _conversed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._clients) > MOST_CLIENTS:
                raise ConnectionError(f"{MOST_CLIENTS} others are connected already")
            await self.converse(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            # It has gone, perhaps in the middle of a request, which instruments forget; or the server stops: asyncio's
            # streams report a cancelled task as an error.
            pass
        except (ConnectionError, asyncio.LimitOverrunError) as error:
            logger.info("%s: a client broke off: %s", self.name, error)


async def start_pair(first: Server, second: Server, offset: int, host: str, port: int) -> int:
    """Start two servers whose ports lie `offset` apart; return the first's port."""
    for left in reversed(range(1 if port else _ATTEMPTS)):
        found = await first.start(host, port)
        try:
            await second.start(host, found + offset)
            return found
        except (OSError, OverflowError) as error:
            await first.stop()
            if not left:
                raise OSError(f"port {found + offset} is taken") from error
    raise AssertionError("the last attempt returns or raises")
