"""Serve a twin whose protocol is requests and replies of text, each with an ending, over TCP.

One connection may send requests one after the other without waiting; their replies come in order. A request that is
longer than any of the protocol's ends the connection, as a full input buffer does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .tcp import TcpServer


class LineServer(TcpServer):
    """One TCP port. `handle(text)` returns the reply without its ending, or None for silence. `visa`: its driver takes
    a VISA resource.
    """

    def __init__(self, name: str, handle: Callable[[Any], Any], request_ending: str = "\n", ending: str = "\n",
                 greeting: str = "", visa: bool = False) -> None:  # fmt: skip
        super().__init__(name)
        self._handle, self._visa = handle, visa
        self._request_ending, self._ending = request_ending.encode(), ending.encode()
        self._greeting = greeting.encode()

    def address(self, host: str, port: int) -> str:
        """Return a VISA resource, or HOST:PORT."""
        return f"TCPIP::{host}::{port}::SOCKET" if self._visa else super().address(host, port)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, then answer each request."""
        writer.write(self._greeting)
        while True:
            request = await reader.readuntil(self._request_ending)
            reply = self._handle(request[: -len(self._request_ending)].decode("latin-1"))
            if reply is not None:
                writer.write(str(reply).encode("latin-1", "replace") + self._ending)
                await writer.drain()
