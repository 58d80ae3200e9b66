"""`atomlink lab`: keep one simulated lab alive, for runs and for the instruments' own clients."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import math
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError
from atomlink.topology import topology_of
from sim.command.examine import load_device_db
from sim.command.lab import find_lab
from sim.daemon.daemon import Daemon
from sim.daemon.service import Service
from sim.world.scenario import load_scenario
from sim.world.world import World


def serve(args: argparse.Namespace, scenario: str, seed: int) -> int:
    """Serve until stopped; return the exit code. The environment names the hardware, whose rows are wanted."""
    _check(args)
    device_db = load_device_db(find_lab(Path.cwd())).get_device_db()
    rows = instrument_rows(device_db)
    world = World(load_scenario(scenario, topology_of(device_db)), seed)
    daemon = Daemon(Service(world, scenario), args.bind, args.port, rows, args.realtime, args.heartbeat)
    asyncio.run(daemon.serve_until_signal(lambda: _announce(daemon)))
    print("lab stopped; shutters closed")
    return 0


def instrument_rows(device_db: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the rows of a device_db that name a driver of `drivers/instruments`."""
    return {name: row for name, row in device_db.items() if isinstance(row, Mapping) and "driver" in row}


def _check(args: argparse.Namespace) -> None:
    try:
        ipaddress.IPv4Address(args.bind)
    except ValueError:
        raise UsageError(f"--bind is {args.bind!r}, must be an IPv4 address (VISA's sockets know no other): 127.0.0.1 "
                         "for this machine alone, 0.0.0.0 for everybody") from None  # fmt: skip
    if args.heartbeat is not None and not 0 < args.heartbeat < math.inf:
        raise UsageError(f"--heartbeat is {args.heartbeat} s, must be more than 0: how long a run may be silent")
    if not 0 <= args.port < 65536:
        raise UsageError(f"--port is {args.port}, must be 0 (any) to 65535")


def _announce(daemon: Daemon) -> None:
    world = daemon.world
    print(f"lab: scenario {world.scenario.name}, seed {world.seed}, "
          f"time {'stands still' if daemon.clock is None else 'follows the wall clock'} between runs, "
          f"pid {os.getpid()}; Ctrl-C stops it")  # fmt: skip
    host = socket.gethostname() if daemon.host == "0.0.0.0" else daemon.host
    own = f"{host}:{daemon.port}"
    for name, kind, address in (("(runs)", "RTIO", own), *daemon.instruments.table(host, own)):
        print(f"  {name:<20} {kind:<14} {address}")
    print(f"runs: atomlink run FILE --lab {own}    or set ATOMLINK_LAB={own} for ARTIQ", flush=True)
