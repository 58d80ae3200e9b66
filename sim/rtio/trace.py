"""A bounded record of what was submitted to the bus, for tests and for looking at."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .bus import Bus


class Submitted(NamedTuple):
    """One output event, in the order of submission."""

    t_mu: int
    target: int
    data: int | list[int]


class Trace:
    """Keep the last `size` output events of a bus."""

    def __init__(self, bus: Bus, size: int = 100_000) -> None:
        self.events: deque[Submitted] = deque(maxlen=size)
        self.dropped = 0
        bus.on_event = self._add

    def _add(self, t_mu: int, target: int, data: int | list[int]) -> None:
        if len(self.events) == self.events.maxlen:
            self.dropped += 1
        self.events.append(Submitted(t_mu, target, data))
