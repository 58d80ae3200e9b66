"""Serve a DLC pro: its command line, and the monitoring line one port above it, as 1998 and 1999 are."""

from __future__ import annotations

import asyncio
from typing import Any

from sim.instruments.dlc_pro import Monitor
from sim.instruments.twin import Handle, Twin

from .lines import LineServer
from .tcp import POLL_S, TcpServer, start_pair


class DlcProServer:
    """Both lines of one controller."""

    def __init__(self, name: str, twin: Twin, handle: Handle, _shared: dict[str, Any]) -> None:
        greeting = getattr(twin, "GREETING", "")
        self._commands = LineServer(name, handle, twin.REQUEST_ENDING, twin.ENDING, greeting)
        self._monitor = MonitorServer(name, handle)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the command line's port."""
        return await start_pair(self._commands, self._monitor, 1, host, port)

    async def stop(self) -> None:
        """Close both lines."""
        await self._monitor.stop()
        await self._commands.stop()

    def address(self, host: str, port: int) -> str:
        """Return HOST:PORT of the command line."""
        return f"{host}:{port}"


class MonitorServer(TcpServer):
    """The monitoring line: each client hears of changes of what it watches."""

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(f"{name} monitor")
        self._handle = handle

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take requests, and look for changes in between."""
        monitor = Monitor(self._handle)
        line = asyncio.ensure_future(reader.readuntil(b"\n"))
        try:
            while True:
                await asyncio.wait([line], timeout=POLL_S)
                lines = []
                if line.done():
                    lines = monitor.handle(line.result().decode("latin-1"))
                    line = asyncio.ensure_future(reader.readuntil(b"\n"))
                for text in [*lines, *monitor.changes()]:
                    writer.write(text.encode("latin-1", "replace") + b"\r\n")
                await writer.drain()
        finally:
            line.cancel()
            await asyncio.gather(line, return_exceptions=True)
