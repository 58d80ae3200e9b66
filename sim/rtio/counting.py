"""Counting the input events of a channel up to a time: a loop of `Bus.input_timestamp` in one call, the hot path of
kernels that gate and count.

It costs what the loop costs and does what the loop does, read by read; what is saved are the calls. Whatever is not
the usual case is left to the bus: something that runs by itself, events that share a coarse clock, an observer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bus import Bus
from .lanes import Burst


def counting(bus: Bus, channel: int) -> Callable[[int], int]:
    """Return a function that reads the input events of `channel` up to a time-out and returns how many there were."""

    def one_by_one(timeout_mu: int) -> int:
        n = 0
        while bus.input_timestamp(timeout_mu, channel) >= 0:
            n += 1
        return n

    if channel not in bus.gateware.channels:
        return one_by_one  # the read says what is wrong
    inlet = bus.inlet(channel)
    peripheral, fifo, depth = inlet.peripheral, inlet.fifo, inlet.depth
    poll, passive = peripheral.poll, not getattr(peripheral, "may_run", True)
    input_mu, known, events = bus.costs.input_mu, bus.known, bus.events

    def count(timeout_mu: int) -> int:
        if timeout_mu < 0 or bus.routes is not known:
            return one_by_one(timeout_mu)
        n = 0
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
                if bus.running or not gather(timeout_mu if timeout_mu > counter else counter):
                    bus.wait_for_input(inlet, timeout_mu)
                if not fifo:
                    return n
            t_mu = fifo.popleft()[0]
            if t_mu > bus.counter:
                bus.counter = t_mu
            n += 1

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
