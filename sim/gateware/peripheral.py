"""What every RTIO peripheral of the twin is: registers that take output events, and an input FIFO.

See README.md beside this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

FIFO_DEPTH = 64

LevelPort = Callable[[int, int], None]
ClicksPort = Callable[[int, int], list[int]]
FramesPort = Callable[[int, int], list[tuple[int, Any]]]


class WorldPorts(Protocol):
    """The part of the world that gateware reaches."""

    def output(self, port: str, kind: str) -> Any:
        """Return the function (or object) that takes the signals of an output port."""

    def clicks(self, port: str) -> ClicksPort:
        """Return the function that lists the rising edges at an input port."""

    def frames(self, port: str) -> FramesPort:
        """Return the function that lists the camera frames at a grabber: (read out at, image)."""


class Peripheral:
    """A peripheral without registers or inputs: the base of all."""

    fifo_depth: int = FIFO_DEPTH
    # False: it is never `running`, and poll() does nothing while `due_mu` is None. The bus then asks less.
    may_run: bool = True
    # Events that met it busy and did nothing, since the bus last reported them.
    lost: int = 0

    def __init__(self) -> None:
        self.fifo: deque[tuple[int, int]] = deque()
        self.overflow = False
        self.running = False

    @property
    def due_mu(self) -> int | None:
        """Return when an input event may come without a further output event; None: never."""
        return None

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Let an output event take effect."""
        raise NotImplementedError

    def writer(self, address: int) -> Callable[[int, int, int], None]:
        """Return what takes the writes of one register: a short cut where one is written very often."""
        return self.write

    def gate(self, address: int, edges: int, last: int) -> Callable[[int, int], bool] | None:
        """Return a short cut for two successive writes to a register that open and shut an input; None: there is none.

        It is called with the two times while the input is shut (`due_mu` None; `may_run` False). Where no event comes
        between them, it says True and both writes are done; else the events wait in `fifo` and the second is not done.
        """
        return None

    def write_wide(self, t_mu: int, address: int, data: list[int]) -> None:
        """Let an output event of several words take effect."""
        if len(data) != 1:
            raise NotImplementedError(f"{type(self).__name__} has no register wider than 32 bits")
        self.write(t_mu, address, data[0])

    def poll(self, t_mu: int) -> None:
        """Bring the input FIFO up to date to `t_mu` (inclusive)."""

    def probe(self, number: int) -> int:
        """Return what the core device's monitor reads at a probe; 0 where there is none."""
        return 0

    def injected(self, number: int) -> int:
        """Return an override as the injector holds it; 0 where there is none."""
        return 0

    def inject(self, t_mu: int, number: int, value: int) -> None:
        """Set an override; nothing happens where there is none, as in the gateware."""

    def power_up(self, t_mu: int) -> None:
        """Return to the state in which the core device's gateware starts; chips on the card keep theirs."""

    def settle(self, counter_mu: int) -> None:
        """Drop what arrived up to the counter beyond the FIFO's depth: nobody had read it in time."""
        fifo = self.fifo
        depth = self.fifo_depth
        if len(fifo) <= depth or fifo[depth][0] > counter_mu:
            return
        self.overflow = True
        kept = [event for i, event in enumerate(fifo) if i < depth or event[0] > counter_mu]
        fifo.clear()
        fifo.extend(kept)
