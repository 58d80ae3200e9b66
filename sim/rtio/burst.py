"""Output events with known delays between them, submitted at once: the hot path of kernels.

A burst looks once whether nothing can happen to its events but that they wait for their time: all far enough ahead of
the counter, later than everything pending, each in a later coarse clock than the one before, room for all in the
lane. If so they go to the bus together. If not, nothing is done, and the kernel submits them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from .bus import Bus
from .lanes import Burst, Lanes

_NEVER = 1 << 62


class Step(NamedTuple):
    """A delay, and the output event after it; the last step of a burst may have none."""

    delay_mu: int
    target: int | None = None
    data: int = 0


def burst(bus: Bus, steps: Sequence[Step]) -> Callable[[], bool]:
    """Return a function that submits the events and moves the cursor, or returns False and leaves all as it was."""
    after = list(accumulate(step.delay_mu for step in steps))
    planned = [
        (t_mu, step.target, step.data) for t_mu, step in zip(after, steps, strict=True) if step.target is not None
    ]
    offsets = [t_mu for t_mu, _, _ in planned]
    first, last, length, n = offsets[0], offsets[-1], after[-1], len(offsets)
    event_mu, fine, known, events = bus.costs.event_mu, bus.ref_multiplier - 1, bus.known, bus.events
    cost = n * event_mu
    # With this slack at the start no event is close enough to the counter to underflow. Never, until it is made.
    needed = _NEVER
    lanes, together = Lanes(), None
    most = lanes.depth - n - 1  # before them, so that no event waits for room

    def make() -> None:
        """Look up where the events go, once all of them have gone there one by one."""
        nonlocal needed, lanes, most, together
        if any(bus.may_run(target >> 8) for _, target, _ in planned):
            most = -1  # what it goes on to do is looked at event by event
            return
        routes = [known[target] for _, target, _ in planned]
        parts = [
            (t_mu - first, write, address, data, channel)
            for (t_mu, _, data), (write, address, channel, _) in zip(planned, routes, strict=True)
        ]
        together = Burst(parts, _gate(bus, parts))
        lanes = routes[0][3]
        most = lanes.depth - n - 1
        needed = max(bus.clear_mu - t_mu + (i + 1) * event_mu for i, t_mu in enumerate(offsets))

    def submit() -> bool:
        if lanes.n > most:
            if lanes.barrier > bus.counter:
                return False
            lanes.full(bus.counter)  # all that is in the lane is due
        start, counter = bus.now, bus.counter
        first_mu = start + first
        if (
            start - counter < needed
            or first_mu <= bus.beyond
            or first_mu <= lanes.barrier
            or bus.event_mu != event_mu
            or bus.routes is not known  # somebody observes or records
        ):
            if together is None and all(target in known for _, target, _ in planned):
                make()
            return False
        entry = first_mu, together
        lanes.queue.append(entry)
        lanes.n += n
        if bus.first_burst < 0:
            bus.first_burst = len(events)
        events.append(entry)
        lanes.barrier = bus.beyond = (start + last) | fine
        bus.counter = counter + cost
        bus.now = start + length
        return True

    return submit


def _gate(bus: Bus, parts: list[Any]) -> Any:
    """Return the peripheral's short cut where the last two events open and shut an input used by no event before."""
    if len(parts) < 2:
        return None
    (_, _, opening, edges, channel), (_, _, shutting, last, same) = parts[-2:]
    if (channel, opening) != (same, shutting) or any(part[4] == channel for part in parts[:-2]):
        return None
    peripheral = bus.gateware.channels[channel]
    return peripheral.gate(opening, edges, last) if hasattr(peripheral, "gate") else None
