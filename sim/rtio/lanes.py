"""Scalable event dispatcher: eight lanes of 128 events, into which output events are sorted by a simple rule.

An event whose coarse time is later than that of the event before stays in the lane, any other goes to the next lane;
it must be later than that lane's last event, or it is lost (sequence error). A full lane blocks the CPU until its
oldest event is due. With `spread` the lane after a full one is used next. Source: ARTIQ 8,
`gateware/rtio/sed/lane_distributor.py`, as measured on its simulation.
"""

from __future__ import annotations

from collections import deque

LANES = 8
DEPTH = 128
_NEVER = 1 << 62


class Lanes:
    """The lanes of one destination: `queue` is the current one, `barrier` the time that an event must exceed to stay.

    Times are in mu; the barrier is the end of the last event's coarse clock.
    """

    def __init__(self, n_lanes: int = LANES, depth: int = DEPTH, spread: bool = False) -> None:
        self.depth, self.spread = depth, spread
        self._queues: list[deque[int]] = [deque() for _ in range(n_lanes)]
        self._last = [-_NEVER] * n_lanes
        self._current = 0
        self.queue = self._queues[0]
        self.barrier = -_NEVER

    def switch(self, end_mu: int) -> deque[int] | None:
        """Go on to the next lane, which an event that cannot stay must take."""
        if self.barrier != _NEVER:
            self._last[self._current] = self.barrier
        following = (self._current + 1) % len(self._queues)
        if end_mu <= self._last[following]:
            return None
        self._current = following
        self.queue = self._queues[following]
        self.barrier = end_mu
        return self.queue

    def full(self, counter_mu: int) -> int | None:
        """Forget events of the current lane that are due; return when a place comes free if it is still full."""
        queue = self.queue
        while queue and queue[0] <= counter_mu:
            queue.popleft()
        if len(queue) < self.depth:
            return None
        return queue[0]

    def overfull(self) -> None:
        """Note that the current lane has been full: with `spread`, the next event goes to the next lane."""
        if self.spread:
            self._last[self._current] = self.barrier
            self.barrier = _NEVER

    def clear(self) -> None:
        """Forget everything, as a reset of the RTIO core does."""
        for queue in self._queues:
            queue.clear()
        self._last = [-_NEVER] * len(self._queues)
        self._current, self.queue, self.barrier = 0, self._queues[0], -_NEVER
