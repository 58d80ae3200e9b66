"""`atomlink virtual-core`: serve a core device that executes compiled kernels against the simulated lab."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.command.examine import load_device_db
from sim.command.lab import find_lab
from sim.gateware.build import inert
from sim.gateware.row import resolved
from sim.rtio.core import Core
from sim.virtual_core.cpu import require_unicorn
from sim.virtual_core.device import Device
from sim.virtual_core.server import Server


class _Rows:
    """A device database, as the simulated core asks for it."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self._rows = rows

    def get_device_db(self) -> dict[str, Any]:
        return self._rows


def serve(args: argparse.Namespace, lab: str, facts: dict[str, Any]) -> int:
    """Serve until stopped; return the exit code. The environment names the hardware, whose rows are wanted.

    `args` are those of `words.virtual_core_parser`; `lab` is HOST:PORT of one that `atomlink lab` keeps, empty for one
    of this process's own; `facts` its scenario, seed and costs.
    """
    device = device_of(Path.cwd(), facts, lab, args.configuration)
    if not lab:
        _ = device.core.world  # a scenario that is not valid is refused now, not at the first kernel
    return _until_signal(Server(device, args.bind, args.port), facts, lab)


def device_of(folder: Path, facts: dict[str, Any], lab: str = "", configuration: Path | None = None) -> Device:
    """Return the virtual core of the lab whose files are in or above a folder; `configuration` as for `Device`."""
    require_unicorn()
    rows = load_device_db(find_lab(folder)).get_device_db()
    rows.update(inert(rows, resolved(rows, "core")))
    stated = rows[resolved(rows, "core")]["arguments"]
    clock = {name: stated[name] for name in ("ref_period", "ref_multiplier") if name in stated}
    return Device(lambda: Core(_Rows(rows), **clock, **facts, lab=lab), facts, configuration)


def _until_signal(server: Server, facts: dict[str, Any], lab: str) -> int:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s:%(name)s:%(message)s")
    terminal = logging.getLogger().handlers[0]
    terminal.setLevel(logging.WARNING)
    server.device.log.terminal = terminal
    server.start()
    which = f"in the lab at {lab}" if lab else f"scenario {facts['scenario']}, seed {facts['seed']}"
    print(f"virtual core: {which}, costs {facts['costs']}, pid {os.getpid()}; Ctrl-C stops it")
    print(f"kernels: {server.host}:{server.port} (cortexa9, rv32g)  set ATOMLINK_TARGET=virtual for ARTIQ")
    others = (f"{what} {server.ports[what].port}" for what in ("management", "analyzer", "moninj"))
    print(f"beside it: {', '.join(others)}", flush=True)
    over.wait()
    server.close()
    print("virtual core stopped; shutters closed")
    return 0


def facts_of(lab: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return scenario, seed and costs of the lab that settings name (see `sim.target.resolved`)."""
    from sim.target import of_lab

    if lab:
        return {**of_lab(lab), "costs": settings["ATOMLINK_COSTS"]}
    return {"scenario": settings["ATOMLINK_SCENARIO"], "seed": int(settings["ATOMLINK_SEED"]),
            "costs": settings["ATOMLINK_COSTS"]}  # fmt: skip
