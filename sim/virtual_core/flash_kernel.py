"""Kernels of the configuration, which no host has sent: `startup_kernel` at the start, `idle_kernel` in between.

They take the time that they would take on a real device. Where one asks for a host it is aborted. Source: ARTIQ 8
firmware, session.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from atomlink.errors import LabError

from .cpu import Stopped
from .elf import LoadError
from .exceptions import Uncaught
from .kernel import Kernel
from .stream import ProtocolError

if TYPE_CHECKING:
    from .device import Device

logger = logging.getLogger(f"{__package__}.session")
_AGAIN_S = 0.05  # it is stopped again: it may just have begun


class FlashKernel:
    """One run of a kernel of the configuration; `name` is `startup` or `idle`."""

    def __init__(self, device: Device, name: str, library: bytes) -> None:
        self.who, self.name = f"the {name} kernel", name
        self._device, self._library = device, library
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._kernel: Kernel | None = None
        self.running = False

    def start(self) -> None:
        """Run it in a thread; it leaves the device at its end."""
        self._thread.start()

    def stop(self) -> None:
        """Interrupt it, from another thread, and wait until it has left."""
        self._stopping.set()
        while self._thread.is_alive():
            kernel = self._kernel
            if kernel is not None:
                kernel.cpu.stop()
            self._thread.join(_AGAIN_S)

    def over(self, patience_s: float) -> bool:
        """Wait for its end; say whether it came in time."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def hung_up(self) -> bool:
        """It has no client."""
        return False

    def _run(self) -> None:
        logger.info("running %s kernel", self.name)
        well = False
        try:
            with self._device.turns.turn():
                engine = self._device.core.engine
            self._kernel = Kernel(engine, self, self._library, self._device.analyzer, self._pace)
            if self._stopping.is_set():
                raise Stopped
            self.running = True
            with self._device.serving(self._kernel) as engine:
                self._begin_mu, self._begin_s = engine.bus.counter, time.monotonic()
                try:
                    self._kernel.run()
                except Uncaught as uncaught:
                    logger.error("exception in flash kernel: %s", uncaught.text)
            logger.info("%s kernel finished%s", self.name, ", standing by" if self.name == "idle" else "")
            well = True
        except Stopped:
            logger.info("%s kernel interrupted", self.name)
            well = True
        except (LabError, LoadError) as error:
            logger.error("%s kernel aborted: %s", self.name, error)
        finally:
            self.running = False
            if self._kernel is not None:
                self._kernel.close()
            self._device.leave(self, safely=well)

    def _pace(self) -> None:
        """Wait until as much time has passed as the core device would have needed."""
        engine = self._device.core.engine
        passed_s = (engine.bus.counter - self._begin_mu) * engine.ref_period
        ahead_s = passed_s - (time.monotonic() - self._begin_s)
        if ahead_s > 0:
            with self._device.turns.away():
                self._stopping.wait(ahead_s)

    # What it cannot ask for

    def call(self, message: bytes, asynchronous: bool) -> NoReturn:
        """Refuse a remote procedure call."""
        raise ProtocolError(f"unexpected {'background ' if asynchronous else ''}RPC in flash kernel: it has no host")

    def answer(self) -> tuple[str, None] | tuple[None, tuple[Any, ...]]:
        """Refuse to wait for an answer."""
        raise ProtocolError("unexpected RPC in flash kernel: it has no host")

    def read(self, size: int) -> bytes:
        """Refuse to read an answer."""
        raise ProtocolError("unexpected RPC in flash kernel: it has no host")
