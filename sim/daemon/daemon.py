"""The daemon behind `atomlink lab`: one world, one port for runs, and a port for each instrument.

Everything happens in one thread, in the order in which requests arrive, so the world needs no locks. A client that
breaks off, or talks nonsense, loses its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from atomlink.errors import LabError, UsageError
from sim.daemon import messages
from sim.daemon.clock import WallClock
from sim.daemon.instruments import FIRST, Instruments
from sim.daemon.service import Service, Session
from sim.daemon.watchdog import Watchdog
from sim.instruments.server.supervise import Guard, attempt

logger = logging.getLogger(__name__)
MOST_CLIENTS = 64  # of the lab's own port: runs, and cameras and AWGs of controllers


class Daemon:
    """Serve one world. `service.scenario` says which; `rows`: instruments of device_db by name; `port` 0 takes any free
    ones; `realtime`: lab time follows the wall clock while no run holds the timeline; `heartbeat_s`: a run that holds
    it and is silent for longer loses it.
    """

    def __init__(self, service: Service, host: str, port: int, rows: Mapping[str, Mapping[str, Any]],
                 realtime: bool = False, heartbeat_s: float | None = None) -> None:  # fmt: skip
        self.service, self.world = service, service.world
        self.host, self.port = host, port
        self.clock = WallClock(service) if realtime else None
        self._watchdog = None if heartbeat_s is None else Watchdog(service, heartbeat_s)
        self.instruments = Instruments(self.world, rows, self._sync if realtime else service.sync)
        self._server: asyncio.Server | None = None
        self._ticking: list[asyncio.Task[None]] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind every port; UsageError where the lab's own is taken."""
        try:
            self._server = await asyncio.start_server(self._client, self.host, self.port, limit=messages.LONGEST_LINE)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UsageError(f"the lab cannot listen at {self.host}:{self.port} ({reason}): another lab may be "
                             "running; stop it, or choose another --port") from None
        given, self.port = self.port, self._server.sockets[0].getsockname()[1]
        await self.instruments.start(self.host, given and given + FIRST)
        self.service.addresses = lambda host: self.instruments.addresses(host, f"{host}:{self.port}")
        self.service.instrument = self.instruments.ask
        self._ticking = [asyncio.create_task(each.run()) for each in (self.clock, self._watchdog) if each is not None]

    async def stop(self) -> None:
        """Close the shutters, every connection and every port, whatever goes wrong with one of them."""
        self.service.close_shutters()
        tasks = [*self._clients, *self._ticking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.instruments.stop()
        if self._server is not None:
            self._server.close()

    async def serve_until_signal(self, started: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; `started` is called when every port is bound."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            await self.start()
            started()
            await stop.wait()
        finally:
            await self.stop()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session, task = Session(writer.get_extra_info("sockname")[0]), asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        try:
            await self._converse(session, reader, writer)
        finally:
            attempt("a client's leave", lambda: self.service.leave(session))
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._clients) > MOST_CLIENTS:
                raise ConnectionError(f"{MOST_CLIENTS} others are connected already")
            while line := await reader.readline():
                writer.write(self._reply(session, line))
                await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: a line longer than any message
            logger.info("a client of the lab broke off: %s", error)
        except asyncio.CancelledError:
            pass  # the lab stops: asyncio's streams report a cancelled task as an error

    def _sync(self) -> None:
        assert self.clock is not None
        self.service.sync()
        self.clock.follow()

    def _reply(self, session: Session, line: bytes) -> bytes:
        """Return the line that answers one; a fault of the lab's own is an answer, too, and the lab lives on."""
        with Guard("a request to the lab") as guard:
            try:
                reply = self.service.handle(session, messages.decode(line))
            except LabError as error:
                reply = {"error": str(error)}
            return messages.encode(reply)
        return messages.encode({"error": f"the lab failed at this request ({guard.failure!r}): its log says more"})
