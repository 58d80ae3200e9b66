"""Counting the input events of a channel up to a time: a loop of `Bus.input_timestamp` in one call, the hot path of
kernels that gate and count.

It costs what the loop costs and does what the loop does, read by read; what is saved are the calls. Whatever is not
the usual case is left to the bus: something that runs by itself, events that share a coarse clock, an observer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bus import Bus
from .kernel.numbers import MAX32
from .lanes import Burst


def counting(bus: Bus, channel: int, most: int = MAX32) -> Callable[[int, int], int]:
    """Return a function that reads the input events of `channel` up to a time-out and counts them, on from a number.

    As on the device, the lowest integer follows the highest, `most`.
    """

    def one_by_one(timeout_mu: int, n: int = 0) -> int:
        while bus.input_timestamp(timeout_mu, channel) >= 0:
            n = n + 1 if n < most else ~most
        return n

    if channel not in bus.gateware.channels:
        return one_by_one  # the read says what is wrong
    inlet = bus.inlet(channel)
    peripheral, fifo, depth = inlet.peripheral, inlet.fifo, inlet.depth
    poll, passive = peripheral.poll, not getattr(peripheral, "may_run", True)
    input_mu, known, events = bus.costs.input_mu, bus.known, bus.events

    def count(timeout_mu: int, n: int = 0) -> int:
        if timeout_mu < 0 or bus.routes is not known:
            return one_by_one(timeout_mu, n)
        while True:  # a read each
            bus.counter = counter = bus.counter + input_mu
            if inlet.polled_mu < counter:
                if bus.running or bus.head < len(events) and events[bus.head][0] <= counter:
                    bus.carry_out(counter)
                if peripheral.due_mu is not None or not passive:
                    poll(counter)
                inlet.polled_mu = counter
            if len(fifo) > depth or peripheral.overflow:
                bus.overflow(inlet, counter)
            if not fifo:
                limit = timeout_mu if timeout_mu > counter else counter
                # The usual case by itself, because that saves a tenth of such a loop: one burst is pending, and ends in
                # a gate of this channel.
                if (
                    len(events) == 1
                    and events[0][1].__class__ is Burst
                    and (pending := events[0][1]).gated == channel
                    and events[0][0] + pending.span_mu <= limit
                    and peripheral.due_mu is None
                    and not bus.running
                ):
                    if gate(events[0][0], pending):
                        inlet.polled_mu = bus.counter = limit
                        return n
                elif bus.running or not gather(limit):
                    bus.wait_for_input(inlet, timeout_mu)
                if not fifo:
                    return n
            t_mu = fifo.popleft()[0]
            if t_mu > bus.counter:
                bus.counter = t_mu
            n = n + 1 if n < most else ~most

    def gate(when: int, pending: Burst) -> bool:
        """Carry out the one burst that is pending, up to an input event; say whether there was none."""
        part: Any = None
        end_mu = when + pending.span_mu
        try:
            for part in pending.before_gate:
                offset, write, address, data, _ = part
                write(when + offset, address, data)
            shut: bool = pending.gate(when + pending.opens_mu, end_mu)
            events.clear()
        except BaseException:  # Ctrl-C, too; what raised has had its turn
            done = 0 if part is None else pending.before_gate.index(part) + 1
            events[:] = pending.events(when, done)
            raise
        finally:
            bus.first_burst = -1
        if not shut:
            events.append(pending.events(when)[-1])
            inlet.polled_mu = end_mu
        return shut

    def gather(limit: int) -> bool:
        """Carry out events until there is an input event or the time is `limit`; False: `wait_for_input` must go on.

        While the channel listens, it is looked at before every event, so that nothing later than an input event has
        happened.
        """
        head, n, done = bus.head, len(events), 0  # done: of the entry that was left half way
        listening = peripheral.due_mu is not None
        effect: Any = None
        part: Any = None
        parts: tuple[Any, ...] = ()
        try:
            while head < n:
                when, effect = events[head]
                if when > limit:
                    break
                if effect.__class__ is not Burst:
                    if bus.crowded or effect[3] in bus.runners:
                        return False
                    parts = ((0, *effect),)
                elif when + effect.span_mu > limit:
                    events[head : head + 1] = effect.events(when)
                    n = len(events)
                    continue
                else:
                    parts = effect.parts
                for part in parts:
                    offset, write, address, data, target = part
                    t_mu = when + offset
                    if listening:
                        poll(t_mu)
                        inlet.polled_mu = t_mu
                        if fifo:
                            done = parts.index(part)
                            return True
                    write(t_mu, address, data)
                    if target == channel:
                        if fifo:
                            done = parts.index(part) + 1
                            return True
                        listening = peripheral.due_mu is not None
                head, part = head + 1, None
        except BaseException:  # Ctrl-C too, which may come between two entries: then none is half done
            done = 0 if part is None else parts.index(part) + 1  # what raised has had its turn
            raise
        finally:
            if done:  # of this entry; the rest stays
                events[head : head + 1] = effect.events(when, done) if effect.__class__ is Burst else ()
            if head == len(events):  # `forget`, spelled out
                events.clear()
                bus.head, bus.crowded, bus.first_burst = 0, False, -1
            else:
                bus.forget(head)
        inlet.polled_mu = limit
        if listening or not passive:
            poll(limit)
        if not fifo:
            bus.counter = limit
        return True

    return count
