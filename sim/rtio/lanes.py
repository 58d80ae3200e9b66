"""Scalable event dispatcher: eight lanes of 128 events, into which output events are sorted by a simple rule.

An event whose coarse time is later than that of the event before stays in the lane, any other goes to the next lane;
it must be later than that lane's last event, or it is lost (sequence error). A full lane blocks the CPU until its
oldest event is due. With `spread` the lane after a full one is used next. Source: ARTIQ 8,
`gateware/rtio/sed/lane_distributor.py`, as measured on its simulation.
"""

from __future__ import annotations

from collections import deque
from typing import Any

LANES = 8
DEPTH = 128
_NEVER = 1 << 62


class Burst:
    """Events that were submitted together, as one entry (time of the first, burst) among pending events and in a lane.

    `parts`: (time after the first, write, address, data, channel) of each. `gate`: the last two open and shut an input
    (see `Peripheral.gate`); they are those of `gated`, at `opens_mu` and the end.
    """

    __slots__ = ("before_gate", "channels", "effects", "gate", "gated", "n", "opens_mu", "parts", "span_mu")

    def __init__(self, parts: list[tuple[int, Any, int, Any, int]], gate: Any = None) -> None:
        self.parts, self.n, self.span_mu = tuple(parts), len(parts), parts[-1][0]
        self.effects = [(part[0], part[1:]) for part in parts]
        self.channels = frozenset(part[4] for part in parts)
        self.gate, self.gated = gate, -1
        self.before_gate, self.opens_mu = self.parts[:-2], 0
        if gate is not None:
            self.gated, self.opens_mu = parts[-1][4], parts[-2][0]

    def times(self, first_mu: int) -> list[int]:
        """Return the time of each event."""
        return [first_mu + part[0] for part in self.parts]

    def events(self, first_mu: int, done: int = 0) -> list[Any]:
        """Return the events as the bus has them when they come one by one, without those done."""
        return [(first_mu + offset, effect) for offset, effect in self.effects[done:]]


def _last_mu(entry: Any) -> int:
    """Return the time of the last event of a lane's entry."""
    return entry[0] + entry[1].span_mu if isinstance(entry, tuple) else entry


class Lanes:
    """The lanes of one destination: `queue` is the current one, `barrier` the time that an event must exceed to stay.

    Times are in mu; the barrier is the end of the last event's coarse clock. A queue holds times and bursts; `n` is
    the number of events in the current one, those that have become due since it was last full included.
    """

    def __init__(self, n_lanes: int = LANES, depth: int = DEPTH, spread: bool = False) -> None:
        self.depth, self.spread = depth, spread
        self._queues: list[deque[Any]] = [deque() for _ in range(n_lanes)]
        self._last = [-_NEVER] * n_lanes
        self._n = [0] * n_lanes
        self._current = 0
        self.queue, self.n = self._queues[0], 0
        self.barrier = -_NEVER

    def switch(self, end_mu: int) -> deque[Any] | None:
        """Go on to the next lane, which an event that cannot stay must take."""
        if self.barrier != _NEVER:
            self._last[self._current] = self.barrier
        following = (self._current + 1) % len(self._queues)
        if end_mu <= self._last[following]:
            return None
        self._n[self._current] = self.n
        self._current = following
        self.queue, self.n = self._queues[following], self._n[following]
        self.barrier = end_mu
        return self.queue

    def full(self, counter_mu: int) -> int | None:
        """Forget events of the current lane that are due; return when a place comes free if it is still full."""
        queue = self.queue
        if queue and _last_mu(queue[-1]) <= counter_mu:  # so are those before it
            queue.clear()
            self.n = 0
        while queue:
            oldest = queue[0]
            if isinstance(oldest, tuple):
                first_mu, burst = queue.popleft()
                if first_mu + burst.span_mu <= counter_mu:
                    self.n -= burst.n
                else:
                    queue.extendleft(reversed(burst.times(first_mu)))
            elif oldest <= counter_mu:
                queue.popleft()
                self.n -= 1
            else:
                break
        return queue[0] if self.n >= self.depth else None

    def overfull(self) -> None:
        """Let the oldest event go, for which the CPU has waited; with `spread`, the next goes to the next lane."""
        self.queue.popleft()
        self.n -= 1
        if self.spread:
            self._last[self._current] = self.barrier
            self.barrier = _NEVER

    def clear(self) -> None:
        """Forget everything, as a reset of the RTIO core does."""
        for queue in self._queues:
            queue.clear()
        self._last = [-_NEVER] * len(self._queues)
        self._n = [0] * len(self._queues)
        self._current, self.queue, self.n, self.barrier = 0, self._queues[0], 0, -_NEVER
