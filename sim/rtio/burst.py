"""Output events with known delays between them, submitted at once: the hot path of kernels.

A burst looks once whether nothing can happen to its events but that they wait for their time: all far enough ahead of
the counter, later than everything pending, each in a later coarse clock than the one before, room for all in the
lane (in those of each destination, where there are several). If so they go to the bus together. If not, nothing is
done, and the kernel submits them one by one.
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


class Share(NamedTuple):
    """What of a burst goes to one destination: the times of its first and last event, after the start."""

    lanes: Lanes
    first: int
    last: int
    part: Burst

    def fits(self, start_mu: int, counter_mu: int) -> bool:
        """Say whether all of it stays in the current lane, where there is room without waiting."""
        lanes = self.lanes
        if lanes.n >= lanes.depth - self.part.n:
            lanes.full(counter_mu)
        return lanes.n < lanes.depth - self.part.n and start_mu + self.first > lanes.barrier

    def put(self, start_mu: int, fine: int) -> None:
        """Note it in the lane."""
        self.lanes.queue.append((start_mu + self.first, self.part))
        self.lanes.n += self.part.n
        self.lanes.barrier = (start_mu + self.last) | fine


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
    shares: list[Share] = []  # where there are several destinations
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
        if len({id(route[3]) for route in routes}) > 1:
            shares.extend(_shares(parts, [route[3] for route in routes], first))
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
            or shares
            and not all(share.fits(start, counter) for share in shares)
        ):
            if together is None and all(target in known for _, target, _ in planned):
                make()
            return False
        entry = first_mu, together
        bus.beyond = end = (start + last) | fine
        if shares:
            for share in shares:
                share.put(start, fine)
        else:  # as `Share.put` does it, a tenth faster
            lanes.queue.append(entry)
            lanes.n += n
            lanes.barrier = end
        if bus.first_burst < 0:
            bus.first_burst = len(events)
        events.append(entry)
        bus.counter = counter + cost
        bus.now = start + length
        return True

    return submit


def _shares(parts: list[Any], lanes: list[Lanes], first: int) -> list[Share]:
    """Return what of a burst goes to each destination."""
    made = []
    for each in {id(one): one for one in lanes}.values():
        own = [part for part, one in zip(parts, lanes, strict=True) if one is each]
        begin, end = own[0][0], own[-1][0]
        made.append(Share(each, first + begin, first + end, Burst([(part[0] - begin, *part[1:]) for part in own])))
    return made


def _gate(bus: Bus, parts: list[Any]) -> Any:
    """Return the peripheral's short cut where the last two events open and shut an input used by no event before."""
    if len(parts) < 2:
        return None
    (_, _, opening, edges, channel), (_, _, shutting, last, same) = parts[-2:]
    if (channel, opening) != (same, shutting) or any(part[4] == channel for part in parts[:-2]):
        return None
    peripheral = bus.gateware.channels[channel]
    return peripheral.gate(opening, edges, last) if hasattr(peripheral, "gate") else None
