"""The virtual core device: one lab and one RTIO bus, for one client at a time.

A real core device lets a new client end the kernel of the one before; here the second is refused by name, so that
nobody's run is lost by a slip. Everybody may ask who the device is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from atomlink.errors import DeviceError
from sim.daemon.service import Service
from sim.instruments.server.supervise import attempt
from sim.rtio.core import Core
from sim.rtio.engine import Engine

from .identity import ident

if TYPE_CHECKING:
    from .session import Session

logger = logging.getLogger(__name__)


class Device:
    """`make` makes the simulated core with the lab below it; `facts` are the lab's scenario, seed and costs."""

    def __init__(self, make: Callable[[], Core], facts: dict[str, Any]) -> None:
        self._make, self._facts = make, facts
        self.ident = ident(facts)
        self.finished_cleanly = True
        self._core: Core | None = None
        self._holder: Session | None = None
        self._lock = threading.Lock()

    @property
    def holder(self) -> Session | None:
        """The client whose kernels run here."""
        return self._holder

    def take(self, session: Session) -> Engine:
        """Give a client the core, until it leaves; DeviceError where another has it."""
        with self._lock:
            if self._holder not in (None, session):
                assert self._holder is not None
                raise DeviceError(f"the core device is in use by {self._holder.who}; one client at a time runs kernels:"
                                  " wait until it has closed its connection, or stop it")  # fmt: skip
            self._holder = session
        return self.core.engine

    @property
    def core(self) -> Core:
        """The simulated core, made when it is first wanted."""
        if self._core is None:
            self._core = self._make()
        return self._core

    @contextmanager
    def serving(self) -> Iterator[Engine]:
        """Hold the timeline while a kernel runs."""
        with self.core.serving() as engine:
            yield engine

    def leave(self, session: Session, safely: bool) -> None:
        """Let a client go. What is on the timeline still happens; after a broken-off kernel the shutters close."""
        if self._holder is not session:
            return
        try:
            if self._core is not None:
                self._settle(self._core, safely)
        finally:
            self._holder = None

    def _settle(self, core: Core, safely: bool) -> None:
        went_well = attempt("what was on the timeline", core.notify_run_end)
        core.bus.errors = dict.fromkeys(core.bus.errors, 0)
        if safely and went_well:
            core.comm.close()
            return
        self.finished_cleanly = False
        logger.warning("a kernel was broken off: the shutters close")
        core.engine.dma.end_kernel()
        core.engine.cache.end_kernel()
        if core.comm.lab is not None:
            core.comm.lab.hang_up()  # the lab closes them, as for any run that vanishes
            self._core = None
        else:
            Service(core.world, str(self._facts["scenario"])).close_shutters()
