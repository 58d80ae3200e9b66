"""The daemon behind `atomlink lab`: one world, one port for runs, and a port for each instrument.

Everything happens in one thread, in the order in which requests arrive, so the world needs no locks. A client that
breaks off, or talks nonsense, loses its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from atomlink.errors import LabError, UsageError
from sim.daemon import messages
from sim.daemon.service import Service, Session

logger = logging.getLogger(__name__)


class Daemon:
    """Serve one world. `service.scenario` says which; `instruments`: rows of device_db by name; `port` 0 takes any free
    one.
    """

    def __init__(self, service: Service, host: str, port: int, instruments: Mapping[str, Mapping[str, Any]]) -> None:
        self.service, world = service, service.world
        self.world, self.host, self.port, self.rows = world, host, port, instruments
        self._close: list[Callable[[], Awaitable[None]]] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind every port; UsageError where the lab's own is taken."""
        try:
            server = await asyncio.start_server(self._client, self.host, self.port, limit=messages.LONGEST_LINE)
        except OSError as error:
            raise UsageError(f"the lab cannot listen at {self.host}:{self.port} ({error.strerror}): another lab may be "
                             "running; stop it, or choose another --port") from None
        self.port = server.sockets[0].getsockname()[1]

        async def close() -> None:
            server.close()

        self._close.append(close)

    async def stop(self) -> None:
        """Close the shutters, every connection and every port."""
        self.service.close_shutters()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for close in reversed(self._close):
            await close()

    async def serve_until_signal(self, started: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; `started` is called when every port is bound."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await self.start()
        try:
            started()
            await stop.wait()
        finally:
            await self.stop()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session, task = Session(), asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        try:
            while line := await reader.readline():
                writer.write(messages.encode(self._reply(session, line)))
                await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: a line longer than any message
            logger.warning("a client of the lab broke off: %s", error)
        finally:
            self.service.leave(session)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _reply(self, session: Session, line: bytes) -> messages.Message:
        try:
            return self.service.handle(session, messages.decode(line))
        except LabError as error:
            return {"error": str(error)}
