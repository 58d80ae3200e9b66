"""Instruments of the simulated lab in the experiment's own process: what their rows of device_db.py become.

`open_row` gives the driver over its twin. VISA instruments go through PyVISA itself, by the backend `@atomlink`; the
rest through what their twin puts in the transport's place. Before each request the lab reaches the RTIO counter, so a
set point acts there.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Callable
from typing import Any

from atomlink.errors import DeviceError
from drivers.instruments import Instrument, driver_class
from drivers.interlock_log import run_log

from .catalog import make_twin
from .twin import Twin

_paths: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_numbers = itertools.count(1)


def open_row(dmgr: Any, name: str, driver: str, device: str) -> Instrument:
    """Return the driver of a row of device_db.py over its twin, opened."""
    core = dmgr.get("core")
    made = connect(core, core.world, name, driver, device)
    made.rid = run_number(dmgr)
    if made.rid is not None:
        made.on_record = run_log(made.rid, simulated=True).record  # opening may set the device's own limits
    return logged(made.open())


def connect(lab: Any, world: Any, name: str, kind: str, device: str) -> Instrument:
    """Return a driver over the twin of a row, not yet open. `lab.sync()` lets lab time reach the RTIO counter.

    The twin lives as long as the world does, so runs that share a lab find the instrument as the last one left it.
    """
    cls = driver_class(kind)
    twin = world.twins.get(name) or world.twins.setdefault(name, make_twin(world, name, kind))
    handle = _after(weakref.ref(lab), twin.handle)
    transport = twin.in_process(handle)
    if transport is None:
        transport = cls.connect(device, _library(lab, device, twin, handle))
    made = cls(name, transport)
    made.simulated = True
    return made


def open_alone(name: str, kind: str, device: str) -> Instrument:
    """Return a driver over a twin in a lab of its own, opened: nobody runs experiments there."""
    lab = Alone()
    made = connect(lab, lab.world, name, kind, device)
    made.keeps = lab
    return made.open()


class Alone:
    """A lab whose time is the wall clock's, since no RTIO counter drives it; scenario and seed from the environment."""

    def __init__(self) -> None:
        from sim import target
        from sim.world.scenario import load_scenario
        from sim.world.world import World

        self.world = World(load_scenario(target.scenario(os.environ)), target.seed(os.environ))
        self._start_ns = time.monotonic_ns()

    def sync(self) -> None:
        """Let lab time reach the wall clock's."""
        self.world.reach(time.monotonic_ns() - self._start_ns)


def library_path(lab: object) -> str:
    """Return PATH of the lab's `ResourceManager("PATH@atomlink")`: `lab` for the first of a process, then `lab-2` …"""
    if lab not in _paths:
        _paths[lab] = "lab" if (number := next(_numbers)) == 1 else f"lab-{number}"
        weakref.finalize(lab, _forget, _paths[lab])
    return _paths[lab]


def _library(lab: object, device: str, twin: Twin, handle: Callable[[Any], Any]) -> Any:
    """Register a twin as a VISA resource and return PyVISA's library of this lab."""
    from . import visa_backend

    path = library_path(lab)
    served = visa_backend.Served(handle, twin.REQUEST_ENDING.encode(), twin.ENDING.encode())
    visa_backend.register(path, device, served)
    return visa_backend.TwinLibrary(path)


def run_number(dmgr: Any) -> int | None:
    """Return the number of the run that opens a device, for the log."""
    rid: int | None = getattr(getattr(dmgr, "virtual_devices", {}).get("scheduler"), "rid", None)
    return rid


def logged(opened: Instrument) -> Instrument:
    """Log what a run does to an instrument beside its results."""
    if opened.rid is not None:
        run_log(opened.rid, simulated=True).watch(opened)
    return opened


def _forget(path: str) -> None:
    from . import visa_backend

    visa_backend.forget(path)


def _after(lab: weakref.ref[Any], handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let lab time reach the counter before each request; weakly, since a registered twin must not keep a lab alive."""

    def synchronised(request: Any) -> Any:
        present = lab()
        if present is None:
            raise DeviceError("The simulated lab of this instrument is gone: open it again.")
        present.sync()
        return handle(request)

    return synchronised
