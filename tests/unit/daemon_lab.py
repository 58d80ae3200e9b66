"""A lab that is kept alive in a thread of the test's process, with its instruments on loopback."""

from __future__ import annotations

import asyncio
import os
import runpy
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sim.command.serve import instrument_rows
from sim.daemon.daemon import Daemon
from sim.daemon.in_lab import lab_addresses
from sim.daemon.service import Service
from sim.world.scenario import load_scenario
from sim.world.world import World

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class Kept:
    """A lab that is served: its address, its daemon, and a way to look at the world in between two requests."""

    def __init__(self, daemon: Daemon, loop: asyncio.AbstractEventLoop) -> None:
        self.daemon, self.world, self._loop = daemon, daemon.world, loop
        self.address = f"127.0.0.1:{daemon.port}"

    def do(self, work: Callable[[], T]) -> T:
        """Call a function in the lab's own thread, as a request would be carried out."""

        async def call() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(60)

    def addresses(self) -> dict[str, str]:
        """Return what the lab answers to a client."""
        return lab_addresses(self.address)

    def port(self, name: str) -> int:
        """Return the first port of an instrument."""
        return self.daemon.instruments.served[name].port


@contextmanager
def kept(world: World | None = None, rows: Mapping[str, Mapping[str, Any]] | None = None, port: int = 0,
         realtime: bool = False) -> Iterator[Kept]:  # fmt: skip
    """Serve a world and these rows (default: all of device_db.py) on free loopback ports."""
    world = World(load_scenario("default"), 1) if world is None else world
    service, loop, ready = Service(world, world.scenario.name), asyncio.new_event_loop(), threading.Event()
    daemon = Daemon(service, "127.0.0.1", port, hardware_rows() if rows is None else rows, realtime)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            loop.run_until_complete(daemon.start())
        except BaseException as error:
            problems.append(error)
        ready.set()
        if not problems:
            loop.run_forever()
        loop.run_until_complete(daemon.stop())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(60)
    if problems:
        raise problems[0]
    try:
        yield Kept(daemon, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


def quiet_port() -> int:
    """Return a port below those that the system gives to clients, so that what follows it is likely to be free: of
    processes that started together, each has its own thousand.
    """
    return 16_000 + os.getpid() * 1009 % 12_000


def hardware_rows(*names: str) -> dict[str, Mapping[str, Any]]:
    """Return instrument rows of device_db.py as the real lab has them (default: all)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATOMLINK_TARGET", "hardware")
        rows = instrument_rows(runpy.run_path(str(ROOT / "device_db.py"))["device_db"])
    return {name: rows[name] for name in names or rows}
