"""The virtual core device: one lab and one RTIO bus, for one client's kernels at a time.

A real core device lets a new client end the kernel of the one before; here the second is refused by name, so that
nobody's run is lost by a slip. Everybody may ask who the device is, and look at it through the other ports.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from atomlink.errors import DeviceError, LabError
from sim.daemon.service import Service
from sim.instruments.server.supervise import attempt
from sim.rtio.core import Core
from sim.rtio.engine import Engine

from .analyzer import Analyzer
from .corelog import NAMES, CoreLog
from .flash import Flash
from .flash_kernel import FlashKernel
from .identity import ident
from .kernel import Kernel
from .memory import BASE, END
from .moninj import Place
from .stream import HungUp
from .turns import Turns, nobody

logger = logging.getLogger(__name__)
_LOOK_S = 0.2  # how often whoever waits for a start-up kernel is looked after


class Holder(Protocol):
    """Who has the core: a client's session, or a kernel of the configuration."""

    who: str
    running: bool

    def stop(self) -> None:
        """End its kernel, from another thread."""

    def hung_up(self) -> bool:
        """Say whether its client has gone."""


class Device:
    """`make` makes the simulated core with the lab below it; `facts` are the lab's scenario, seed and costs;
    `configuration` is the file that keeps its configuration, None: it is forgotten.
    """

    def __init__(self, make: Callable[[], Core], facts: dict[str, Any], configuration: Path | None = None) -> None:
        self._make, self._facts = make, facts
        self.ident = ident(facts)
        self.finished_cleanly = True
        self.turns, self.analyzer, self.log, self.flash = Turns(), Analyzer(), CoreLog(), Flash(configuration)
        self._core: Core | None = None
        self._holder: Holder | None = None
        self._kernel: Kernel | None = None
        self._lock = threading.Lock()
        self._over = False

    @property
    def holder(self) -> Holder | None:
        """Who has the core."""
        return self._holder

    @property
    def counter(self) -> int:
        """The RTIO counter, 0 before anybody has asked for the lab."""
        return 0 if self._core is None else self._core.bus.counter

    def take(self, holder: Holder) -> Engine:
        """Give a client the core, until it leaves; DeviceError where another has it. An idle kernel is interrupted, the
        end of a start-up kernel is waited for.
        """
        while True:
            with self._lock:
                before = self._holder
                if self._over:
                    raise DeviceError("the core device restarts at present; try again")
                if before in (None, holder):
                    self._holder = holder
                    break
            assert before is not None
            if not isinstance(before, FlashKernel):
                raise DeviceError(f"the core device is in use by {before.who}; one client at a time runs kernels:"
                                  " wait until it has closed its connection, or stop it")  # fmt: skip
            if _is_idle(before):
                before.stop()
            elif not before.over(_LOOK_S) and holder.hung_up():
                raise HungUp
        with self.turns.turn():
            return self.core.engine

    @property
    def core(self) -> Core:
        """The simulated core, made when it is first wanted; whoever asks has a turn."""
        if self._core is None:
            self._core = self._make()
            channels = self._core.bus.gateware.channels
            self.analyzer.log_channel = 1 + max((channel for channel in channels if channel < 127), default=0)
        return self._core

    @contextmanager
    def serving(self, kernel: Kernel) -> Iterator[Engine]:
        """Hold the timeline while a kernel runs; it gives way to whoever asks for a turn."""
        with self.turns.turn(), self.core.serving() as engine:
            kernel.cpu.give_way, self.turns.ask, self._kernel = self.turns.give_way, kernel.cpu.pause, kernel
            try:
                yield engine
            finally:
                self.turns.ask = nobody
                self._kernel = None

    def leave(self, holder: Holder, safely: bool) -> None:
        """Let a client go. What is on the timeline still happens; after a broken-off kernel the shutters close."""
        if self._holder is not holder:
            return
        try:
            with self.turns.turn():
                if self._core is not None:
                    self._settle(self._core, safely)
        finally:
            self._holder = None
        if not _is_idle(holder):
            self._stand_by()

    def _settle(self, core: Core, safely: bool) -> None:
        went_well = attempt("what was on the timeline", core.notify_run_end)
        core.bus.errors = dict.fromkeys(core.bus.errors, 0)
        core.engine.dma.end_kernel()
        core.engine.cache.end_kernel()
        if safely and went_well:
            core.comm.close()
            return
        self.finished_cleanly = False
        logger.warning("a kernel was broken off: the shutters close")
        if core.comm.lab is not None:
            core.comm.lab.hang_up()  # the lab closes them, as for any run that vanishes
            self._core = None
        else:
            Service(core.world, str(self._facts["scenario"])).close_shutters()
            attempt("shutters' channels", lambda: self._shut(core))

    def _shut(self, core: Core) -> None:
        """Let the channels of shutters know that these are closed, or the next kernel could not open them. An override
        that holds one open is let go of.
        """
        bus, shutters = core.bus, {f"{node}_shutter" for node in core.world.nodes}
        for channel, name in bus.gateware.names.items():
            if name in shutters:
                bus.gateware.channels[channel].power_up(bus.counter)

    # Start and end

    def boot(self) -> None:
        """Start: levels of the log, then the start-up kernel."""
        for key, apply in (("log_level", self._set_log_level), ("uart_log_level", self.log.set_terminal_level)):
            name = (self.flash.get(key) or b"").decode(errors="replace").upper()
            if name in NAMES:
                apply(NAMES.index(name))
        self._over = False
        if self._run_of_configuration("startup") is None:
            logger.info("no startup kernel found")
            self._stand_by()

    def reboot(self) -> None:
        """Start again: outputs go low, overrides, DMA traces, cache and log are lost; lab time goes on."""
        self.shut_down()
        with self.turns.turn():
            if self._core is not None:
                with self._core.serving() as engine:
                    engine.bus.finish()
                    engine.forget()
                    for peripheral in engine.bus.gateware.channels.values():
                        peripheral.power_up(engine.bus.counter)
                self._core.comm.close()
            self.analyzer.dump(self.counter)
        self.log.clear()
        self.finished_cleanly = True
        self.boot()

    def shut_down(self) -> None:
        """End what runs without a client, and start no more of it."""
        self._over = True
        holder = self._holder
        if isinstance(holder, FlashKernel):
            holder.stop()

    def _set_log_level(self, level: int) -> None:
        self.log.limit = level

    def _stand_by(self) -> None:
        """Run the idle kernel, where there is one, until somebody wants the core."""
        if not self._over:
            self._run_of_configuration("idle")

    def _run_of_configuration(self, name: str) -> FlashKernel | None:
        library = self.flash.get(f"{name}_kernel")
        if library is None:
            return None
        kernel = FlashKernel(self, name, library)
        with self._lock:
            if self._holder is not None:
                return None
            self._holder = kernel
            kernel.start()
        return kernel

    # Looking in

    def look(self, probes: list[Place], injections: list[Place]) -> tuple[list[int], list[int]]:
        """Return what probes and overrides, by channel and number, are now."""
        with self.turns.turn():
            if self._core is None:
                return [0] * len(probes), [0] * len(injections)
            bus = self._core.bus
            bus.carry_out(bus.counter)
            at = bus.gateware.channels
            return ([at[channel].probe(n) if channel in at else 0 for channel, n in probes],
                    [at[channel].injected(n) if channel in at else 0 for channel, n in injections])  # fmt: skip

    def inject(self, channel: int, number: int, value: int) -> None:
        """Set an override. Where the lab is another's at present, that is logged."""
        try:
            with self.turns.turn():
                core = self.core
                if self._kernel is not None:
                    self._inject(core, channel, number, value)
                    return
                with core.serving():
                    self._inject(core, channel, number, value)
                if self._holder is None:
                    core.comm.close()
        except LabError as error:
            logger.error("override of channel %#x is lost: %s", channel, error)

    def _inject(self, core: Core, channel: int, number: int, value: int) -> None:
        bus = core.bus
        bus.carry_out(bus.counter)
        peripheral = bus.gateware.channels.get(channel)
        if peripheral is not None:
            peripheral.inject(bus.counter, number, value)

    def memory_in_use(self) -> str:
        """Return how much of the core's memory a kernel has, in the firmware's words."""
        kernel, total = self._kernel, END - BASE
        busy = 0 if kernel is None else kernel.memory_in_use
        return f" === busy: {busy:#x} idle: {total - busy:#x} meta: 0x0 total: {total:#x}"


def _is_idle(holder: Holder) -> bool:
    """Say whether somebody may be interrupted by whoever wants the core."""
    return isinstance(holder, FlashKernel) and holder.name == "idle"
