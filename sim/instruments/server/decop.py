"""Serve the twin of a DLC pro on its two ports: the command line, and the monitoring line, which speaks by itself.

A client of the monitoring line says what it watches and is told of changes, also of those that the lab makes (a lock
that is lost): the twin is asked every 50 ms, twice as often as the instrument looks unless told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from atomlink.errors import LabError
from sim.instruments.dlc_pro import Monitor, Twin
from sim.instruments.twin import Handle

from .lines import LONGEST_REQUEST, LineServer

logger = logging.getLogger(__name__)
POLL_S = 0.05


class DecopServer:
    """Two ports next to each other on one host."""

    def __init__(self, name: str, handle: Handle) -> None:
        self.name, self._handle = name, handle
        self._commands = LineServer(name, handle, Twin.REQUEST_ENDING, Twin.ENDING, Twin.GREETING)
        self._monitoring: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self.monitoring_port = 0

    async def start(self, host: str, port: int, monitoring_port: int | None = None) -> int:
        """Listen; return the port of the command line. The monitoring line is at the next one, unless told."""
        commands = await self._commands.start(host, port)
        wanted = (port + 1 if port else 0) if monitoring_port is None else monitoring_port
        self._monitoring = await asyncio.start_server(self._client, host, wanted, limit=LONGEST_REQUEST)
        self.monitoring_port = self._monitoring.sockets[0].getsockname()[1]
        return commands

    async def stop(self) -> None:
        """Close every connection and both ports."""
        await self._commands.stop()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._monitoring is not None:
            self._monitoring.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        monitor = Monitor(self._handle)
        teller = asyncio.create_task(self._tell(monitor, writer))
        try:
            while line := await reader.readline():
                self._write(writer, monitor.handle(line.decode("latin-1")))
        except (ConnectionError, ValueError, LabError) as error:  # ValueError: a line longer than any of the protocol's
            logger.warning("%s: a monitoring client broke off: %s", self.name, error)
        except asyncio.CancelledError:
            pass  # the server stops; asyncio's streams would report a cancelled task as an error
        finally:
            teller.cancel()
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _tell(self, monitor: Monitor, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            await asyncio.sleep(POLL_S)
            try:
                self._write(writer, monitor.changes())
            except LabError as error:  # the lab refuses: the instrument goes silent, the log says why
                logger.error("%s: %s", self.name, error)

    def _write(self, writer: asyncio.StreamWriter, lines: list[str]) -> None:
        if lines and not writer.is_closing():
            writer.write("".join(f"{line}\r\n" for line in lines).encode("latin-1"))
