"""Serve a twin whose protocol is requests and replies of text, each with an ending, over TCP.

One connection may send requests one after the other without waiting; their replies come in order. A request that is
longer than any of the protocol's ends the connection, as a full input buffer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

from atomlink.errors import LabError

logger = logging.getLogger(__name__)
LONGEST_REQUEST = 1 << 16  # bytes


class LineServer:
    """One TCP port. `handle(text)` returns the reply without its ending, or None for silence."""

    def __init__(self, name: str, handle: Callable[[Any], Any], request_ending: str = "\n", ending: str = "\n",
                 greeting: str = "") -> None:  # fmt: skip
        self.name, self._handle = name, handle
        self._request_ending, self._ending = request_ending.encode(), ending.encode()
        self._greeting = greeting.encode()
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

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            writer.write(self._greeting)
            await self._answer(reader, writer)
        except asyncio.IncompleteReadError:
            pass  # the client has gone, perhaps in the middle of a request: instruments forget it
        except (ConnectionError, asyncio.LimitOverrunError) as error:
            logger.warning("%s: a client broke off: %s", self.name, error)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readuntil(self._request_ending)
            try:
                reply = self._handle(request[: -len(self._request_ending)].decode("latin-1"))
            except LabError as error:  # the lab refuses (a drift out of range): the instrument goes silent, the log says why
                logger.error("%s: %s", self.name, error)
                continue
            if reply is not None:
                writer.write(str(reply).encode("latin-1") + self._ending)
                await writer.drain()
