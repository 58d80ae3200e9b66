"""`atomlink lab`: keep one simulated lab alive, for runs and for the instruments' own clients."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sim.daemon.daemon import Daemon
from sim.daemon.service import Service
from sim.world.scenario import load_scenario
from sim.world.world import World

_TICK_S = 0.05


def serve(args: argparse.Namespace, scenario: str, seed: int) -> int:
    """Serve until stopped; return the exit code."""
    rows: Mapping[str, Mapping[str, Any]] = {}
    world = World(load_scenario(scenario), seed)
    daemon = Daemon(Service(world, scenario), args.bind, args.port, rows)
    asyncio.run(_serve(daemon, args.realtime))
    print("lab stopped; shutters closed")
    return 0


async def _serve(daemon: Daemon, realtime: bool) -> None:
    clock = asyncio.create_task(_follow_wall_clock(daemon)) if realtime else None
    try:
        await daemon.serve_until_signal(lambda: _announce(daemon, realtime))
    finally:
        if clock is not None:
            clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await clock


def _announce(daemon: Daemon, realtime: bool) -> None:
    world = daemon.world
    print(f"lab: scenario {world.scenario.name}, seed {world.seed}, "
          f"time {'follows the wall clock between runs' if realtime else 'stands still between runs'}, "
          f"pid {os.getpid()}; Ctrl-C stops it")  # fmt: skip
    for name, what, address in _table(daemon):
        print(f"  {name:<20} {what:<14} {address}")
    print(f"runs: atomlink run FILE --lab {_own(daemon)}    or set ATOMLINK_LAB={_own(daemon)} for ARTIQ", flush=True)


def _table(daemon: Daemon) -> Iterator[tuple[str, str, str]]:
    yield "(runs)", "RTIO", _own(daemon)
    for name, address in daemon.service.addresses.items():
        yield name, str(daemon.rows[name]["driver"]), address


def _own(daemon: Daemon) -> str:
    host = f"[{daemon.host}]" if ":" in daemon.host else daemon.host
    return f"{host}:{daemon.port}"


async def _follow_wall_clock(daemon: Daemon) -> None:
    """Let lab time pass while no run holds the timeline."""
    last = time.monotonic()
    while True:
        await asyncio.sleep(_TICK_S)
        now = time.monotonic()
        if daemon.service.holder is None:
            daemon.world.reach(daemon.world.now_mu + round((now - last) * 1e9))
        last = now
