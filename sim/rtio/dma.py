"""Direct memory access: recorded sequences of output events, played back at a fraction of their cost.

A trace persists across kernels until it is erased or recorded again. The drivers keep the rule that handles die with
any later record or erase; here a pointer simply no longer exists. Source: ARTIQ 8, behaviour of its firmware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artiq.coredevice.exceptions import DMAError

if TYPE_CHECKING:
    from .bus import Bus

Event = tuple[int, int, int | list[int]]  # (mu since the start of the trace, target, data)


class Dma:
    """The traces, and what is being recorded."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._traces: dict[str, tuple[int, int, bool]] = {}
        self._events: dict[int, list[Event]] = {}
        self._recording: str | None = None
        self._next = 64

    @property
    def recording(self) -> bool:
        """Whether output events go into a trace."""
        return self._recording is not None

    def record_start(self, name: str) -> None:
        """Send output events into a new trace from now on."""
        if self._recording is not None:
            raise DMAError("DMA is already recording")
        self._recording = name
        self._bus.record([])

    def record_stop(self, duration: int, enable_ddma: bool) -> None:
        """End the trace, which replaces one of the same name."""
        if self._recording is None:
            raise DMAError("DMA is not recording")
        events = self._bus.record(None)
        self._forget(self._recording)
        self._traces[self._recording] = (duration, self._next, enable_ddma)
        self._events[self._next] = events or []
        self._next += 64
        self._recording = None

    def erase(self, name: str) -> None:
        """Remove a trace, if there is one."""
        self._forget(name)

    def _forget(self, name: str) -> None:
        old = self._traces.pop(name, None)
        if old is not None:
            del self._events[old[1]]

    def retrieve(self, name: str) -> tuple[int, int, bool]:
        """Return duration, pointer, and whether satellites play their own part."""
        self._bus.spend(self._bus.costs.dma_retrieve_mu)
        if name not in self._traces:
            raise DMAError("DMA trace not found")
        return self._traces[name]

    def playback(self, timestamp_mu: int, pointer: int, uses_ddma: bool) -> None:
        """Submit the events of a trace, `timestamp_mu` being its start."""
        events = self._events.get(pointer)
        if events is None:
            raise DMAError("DMA trace not found")
        self._bus.play(timestamp_mu, events)

    def end_kernel(self) -> None:
        """Drop a recording that its kernel left without ending it."""
        if self._recording is not None:
            self._bus.record(None)
            self._recording = None
