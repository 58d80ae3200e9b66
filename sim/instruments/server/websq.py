"""Serve a WebSQ: JSON on the control port, and counts at the end of each measurement period on the counts port.

Periods follow the clock on the wall, as clients wait for them; what is counted is the last period of lab time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.instruments.websq import CONTROL_PORT, COUNTS_PORT
from sim.instruments.twin import Handle
from sim.instruments.websq import COUNTS, SEPARATOR, Twin, take

from .tcp import TcpServer, start_pair

_LONGEST_REQUEST = 10_000  # characters of one JSON object


class WebSqServer:
    """Both ports of one WebSQ."""

    def __init__(self, name: str, twin: Twin, handle: Handle, _shared: dict[str, Any]) -> None:
        self._control, self._counts = ControlServer(name, handle), CountsServer(name, twin, handle)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the control port."""
        return await start_pair(self._control, self._counts, COUNTS_PORT - CONTROL_PORT, host, port)

    async def stop(self) -> None:
        """Close both ports."""
        await self._counts.stop()
        await self._control.stop()

    def address(self, host: str, port: int) -> str:
        """Return HOST:PORT of the control port."""
        return f"{host}:{port}"


class ControlServer(TcpServer):
    """JSON objects one after the other; each message of a reply ends in 0x17."""

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name)
        self._handle = handle

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each object as soon as it is whole."""
        rest = ""
        while data := await reader.read(1 << 12):
            objects, rest = take(rest + data.decode("latin-1"))
            for text in objects:
                writer.write(str(self._handle(text)).encode("latin-1", "replace") + SEPARATOR.encode())
                await writer.drain()
            if len(rest) > _LONGEST_REQUEST:
                raise ConnectionError(f"{len(rest)} characters without a whole JSON object")


class CountsServer(TcpServer):
    """One line per measurement period, to everybody who listens."""

    def __init__(self, name: str, twin: Twin, handle: Handle) -> None:
        super().__init__(f"{name} counts")
        self._twin, self._handle = twin, handle

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a line at the end of each period until the client goes."""
        gone = asyncio.ensure_future(_until_closed(reader))
        try:
            while not gone.done():
                await asyncio.wait([gone], timeout=1e-3 * self._twin.element.period_ms)
                if not gone.done():
                    writer.write(str(self._handle(COUNTS)).encode() + b"\r\n")
                    await writer.drain()
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 12):
        pass  # nothing that is said here is heard
