"""Output events with known delays between them, submitted at once: the hot path of kernels.

A burst looks once whether nothing can happen to its events but that they wait for their time: all far enough ahead of
the counter, later than everything pending, each in a later coarse clock than the one before, room for all in the
lane. If so they go to the bus together. If not, nothing is done, and the kernel submits them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from .bus import Bus, Effect
from .lanes import Lanes


class Step(NamedTuple):
    """A delay, and the output event after it; the last step of a burst may have none."""

    delay_mu: int
    target: int | None = None
    data: int = 0


def burst(bus: Bus, steps: Sequence[Step]) -> Callable[[], bool]:
    """Return a function that submits the events and moves the cursor, or returns False and leaves all as it was."""
    after = list(accumulate(step.delay_mu for step in steps))
    offsets = [t_mu for t_mu, step in zip(after, steps, strict=True) if step.target is not None]
    targets = [(step.target, step.data) for step in steps if step.target is not None]
    first, last, length, n = offsets[0], offsets[-1], after[-1], len(offsets)
    event_mu, fine, known, events = bus.costs.event_mu, bus.ref_multiplier - 1, bus.known, bus.events
    # With this slack at the start no event is close enough to underflow.
    needed = max(bus.clear_mu - t_mu + (i + 1) * event_mu for i, t_mu in enumerate(offsets))
    cost = n * event_mu
    effects: list[Effect] = []
    lanes = Lanes()
    room = lanes.depth - n

    def submit() -> bool:
        nonlocal lanes, room
        start, counter = bus.now, bus.counter
        if (
            bus.routes is not known  # somebody observes or records
            or start - counter < needed
            or start + first <= bus.beyond
            or start + first <= lanes.barrier
            or bus.event_mu != event_mu
            or len(lanes.queue) >= room
        ):
            return False
        if not effects:
            if not all(target in known for target, _ in targets):
                return False
            lanes = known[targets[0][0]][3]
            room = lanes.depth - n
            effects.extend((known[target][0], known[target][1], data, known[target][2]) for target, data in targets)
            return submit()
        times = list(map(start.__add__, offsets))
        lanes.queue.extend(times)
        events.extend(zip(times, effects))  # noqa: B905 - strict costs as much as an event
        lanes.barrier = bus.beyond = (start + last) | fine
        bus.counter = counter + cost
        bus.now = start + length
        return True

    return submit
