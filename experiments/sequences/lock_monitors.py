"""What a run can watch: lasers, cavity locks, detectors and the fibre switch; how each is read and brought back.

Each becomes a `LockMonitor`: 0 says that it is as it must be, infinity that it is not; a cavity lock says how far off.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from atomlink.at_port import node_of, row
from drivers.fibre_routes import connect
from drivers.instruments import Instrument
from drivers.interlock import DetectorGuard, LockLimits, LockMonitor, Reading, Shutter
from drivers.interlock_log import InterlockLog

PERIOD_S = 0.5  # of a cavity lock's telemetry while it is watched
HOLDS = LockLimits(degraded=0.5, lost=1.0, stale_s=10.0)  # it does (0) or not
CAVITY = LockLimits(degraded=0.1, lost=0.5, stale_s=10.0)  # part of the light behind the cavity that is missing

Device = Callable[[str], Any]


def monitors(device: Device, bright_v: Mapping[str, float], routes: Mapping[int, int], shutter: Shutter,
             log: InterlockLog) -> list[LockMonitor]:  # fmt: skip
    """Open the instruments; return a monitor of each. `bright_v`: light behind a locked cavity, V, by node; `routes`:
    what the fibre switch must connect, input: output.

    `shutter` keeps the light off while the bias of a detector changes.
    """

    def opened(name: str) -> Any:
        instrument = device(name)
        if isinstance(instrument, Instrument):  # one that a controller serves logs there
            log.simulated = instrument.simulated
            if instrument.on_record is None:  # it may log already, as in simulation
                log.watch(instrument)
        return instrument

    found = []
    for atom in bright_v:
        found.append(_laser(opened(row(atom, "laser")), node_of(atom), log))
        found.append(_cavity(opened(row(atom, "cavity_lock")), atom, bright_v, log))
    found.append(_detectors(opened("snspd_electronics"), shutter, log))
    found.append(_switch(opened("fibre_switch"), routes, log))
    return found


def _laser(laser: Any, node: str, log: InterlockLog) -> LockMonitor:
    def read() -> Reading:
        return _reading("" if laser.is_locked() else "it is not locked")

    return LockMonitor(f"{node}_laser", HOLDS, read, laser.relock, log=log)


def _cavity(cavity: Any, atom: str, bright_v: Mapping[str, float], log: InterlockLog) -> LockMonitor:
    cavity.set_telemetry_period_s(PERIOD_S)

    def read() -> Reading:
        # A servo that was held when the lock was lost does not lock, however bright the cavity is by chance.
        missing = 1 - cavity.transmission_v() / bright_v[atom] if cavity.mode() != "Hold" else math.inf
        return Reading(missing, time.monotonic())

    def relock() -> bool:
        return bool(cavity.relock(0.5 * bright_v[atom]))

    return LockMonitor(row(atom, "cavity_lock"), CAVITY, read, relock, cavity.hold, log)


def _detectors(electronics: Any, shutter: Shutter, log: InterlockLog) -> LockMonitor:
    guard = DetectorGuard(electronics, shutter, log=log)

    def read() -> Reading:
        blind = ", ".join(map(str, guard.blind()))
        return _reading(blind and f"detector {blind} has latched or has no bias")

    return LockMonitor("snspd_electronics", HOLDS, read, guard.delatch, log=log)


def _switch(switch: Any, routes: Mapping[int, int], log: InterlockLog) -> LockMonitor:
    def read() -> Reading:
        connections = switch.connections()
        wrong = [f"port {source} leads to {connections.get(source, 'nothing')}, must to {sink}"
                 for source, sink in routes.items() if connections.get(source) != sink]  # fmt: skip
        return _reading("; ".join(wrong))

    def route() -> bool:
        connect(switch, routes)  # DeviceError where that does not read back
        return True

    return LockMonitor("fibre_switch", HOLDS, read, route, log=log)


def _reading(why: str) -> Reading:
    """Return a reading that is bad for a reason, or good without."""
    return Reading(math.inf if why else 0.0, time.monotonic(), why)
