"""Watch the lasers and cavity locks of both nodes during a run, and veto the data of the time when one was lost.

shots --[ every lock read ]-- all hold --> shots
               +-- one lost --> dark, shutters closed --[ relock, a bounded number ]--> shots, or the end of the run
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from artiq.experiment import BooleanValue, HasEnvironment, TBool, TInt64, kernel, rpc

from drivers import parameters
from drivers.instruments import Instrument
from drivers.interlock import LockLimits, LockMonitor, LockState, LostTime, Reading
from drivers.interlock_log import InterlockLog

NODES = ("alice", "bob")
PERIOD_S = 0.5  # of a cavity lock's telemetry while it is watched
LASER = LockLimits(degraded=0.5, lost=1.0, stale_s=10.0)  # it holds (0) or does not
CAVITY = LockLimits(degraded=0.1, lost=0.5, stale_s=10.0)  # part of the light behind the cavity that is missing

Veto = Callable[[list[tuple[int, int]]], None]


class Locks(HasEnvironment):
    """Four locks, if the run's argument `watch_locks` asks for it; without it nothing is opened and nothing asked."""

    kernel_invariants = {"core", "watching"}

    def build(self) -> None:
        self.core = self.get_device("core")
        self.setattr_argument(
            "watch_locks",
            BooleanValue(False),
            "Interlocks",
            "Read the laser and cavity locks between shots: a lost lock closes the shutters and vetoes its shots.",
        )

    def prepare(self) -> None:
        """Read what the lab believes of the light behind a locked cavity."""
        self.watching = bool(self.watch_locks)
        self.monitors: list[LockMonitor] = []
        self.bright_v = {node: parameters.get(self, f"param.{node}.v_transmitted_v") for node in NODES if self.watching}

    def open(self, veto: Veto) -> None:
        """Open the instruments; `veto` is told the times (mu) that are vetoed at every check."""
        self._veto, self._lost_time = veto, LostTime()
        if not self.watching:
            return
        scheduler = self.get_device("scheduler")
        log = InterlockLog(Path.cwd() / f"{int(scheduler.rid):09}.interlock.jsonl", int(scheduler.rid))
        for node in NODES:
            laser, cavity = self.get_device(f"{node}_laser"), self.get_device(f"{node}_cavity_lock")
            cavity.set_telemetry_period_s(PERIOD_S)
            for instrument in (laser, cavity):
                if isinstance(instrument, Instrument):  # one that a controller serves logs there
                    log.simulated = instrument.simulated
                    log.watch(instrument)
            bright_v = self.bright_v[node]
            self.monitors += [
                LockMonitor(f"{node}_laser", LASER, _laser(laser), laser.relock, log=log),
                LockMonitor(f"{node}_cavity_lock", CAVITY, _cavity(cavity, bright_v), _relock(cavity, bright_v),
                            cavity.hold, log),
            ]  # fmt: skip
        self.log = log

    @kernel
    def hold(self) -> TBool:
        """Return whether every watched lock holds; uses up the slack if any is watched."""
        good = True
        if self.watching:
            good = self.check(self.core.get_rtio_counter_mu())
        return good

    @rpc
    def check(self, t_mu) -> TBool:
        """Read every lock at RTIO time t_mu; veto what is not known to be good; return whether all hold."""
        now = time.monotonic()
        good = LockState.LOST not in [monitor.check(now) for monitor in self.monitors]
        self._lost_time.note(int(t_mu), good)
        self._veto(self._lost_time.intervals_mu())
        return good

    @kernel
    def counter_mu(self) -> TInt64:
        """Return the RTIO counter."""
        return self.core.get_rtio_counter_mu()

    def recover(self) -> None:
        """Relock what is lost; DeviceError in one line if that does not help. Close the shutters first."""
        for monitor in self.monitors:
            if monitor.recover(time.monotonic()) is LockState.LOST:
                monitor.latch.require()
        self.check(self.counter_mu())

    def check_last(self) -> None:
        """Look once more when the shots are taken, so that the last of them are known to be good or not."""
        if self.watching:
            self.check(self.counter_mu())
            self.log.close()


def _laser(laser: Any) -> Callable[[], Reading]:
    return lambda: Reading(0.0 if laser.is_locked() else math.inf, time.monotonic())


def _cavity(cavity: Any, bright_v: float) -> Callable[[], Reading]:
    def read() -> Reading:
        # A servo that was held when the lock was lost does not lock, however bright the cavity is by chance.
        missing = 1 - cavity.transmission_v() / bright_v if cavity.mode() != "Hold" else math.inf
        return Reading(missing, time.monotonic())

    return read


def _relock(cavity: Any, bright_v: float) -> Callable[[], bool]:
    return lambda: bool(cavity.relock(0.5 * bright_v))
