"""The RTIO bus: the timeline cursor, the counter, output events on their way, input events to be read.

World time is the counter. Output events wait, ordered by time stamp, until the counter passes them; the CPU's costs, input reads, full
lanes and explicit waits move it. An output event less than 13 coarse clocks ahead of the counter underflows. Events on one channel and
coarse clock replace one another if address and fine time agree, otherwise they collide and all are lost. See docs/contracts.md, section 2.
"""

from __future__ import annotations

import logging
from bisect import insort
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from artiq.coredevice.exceptions import RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow

from atomlink.errors import TimingError

from .costs import Costs
from .lanes import Lanes

MARGIN_COARSE = 12  # an event must be more than this ahead of the counter; ARTIQ 8, gateware/rtio/core.py
_NEVER = 1 << 62
_core_log = logging.getLogger("core_log")
_time_of = itemgetter(0)


class Route:
    """Where the events of one target go: the channel's peripheral and address, and the lanes of its destination."""

    __slots__ = ("address", "channel", "lanes", "may_run", "peripheral", "write", "write_wide")

    def __init__(self, target: int, peripheral: Any, lanes: Lanes) -> None:
        self.channel, self.address, self.lanes, self.peripheral = target >> 8, target & 0xFF, lanes, peripheral
        self.write, self.write_wide = peripheral.write, peripheral.write_wide
        # A plain output never runs on by itself; only what names a due time has to be looked at.
        self.may_run = getattr(type(peripheral), "due_mu", None) is not None and _overrides(type(peripheral), "due_mu")


def _overrides(cls: type, name: str) -> bool:
    """Say whether a class further down than the base `Peripheral` defines `name`."""
    return any(name in base.__dict__ and base.__name__ != "Peripheral" for base in cls.__mro__)


class Bus:
    """Time and events between the kernels above and the gateware below."""

    def __init__(
        self, gateware: Any, costs: Costs | None = None, ref_multiplier: int = 8, spread: bool = False
    ) -> None:
        self.gateware, self.costs = gateware, costs or Costs()
        if ref_multiplier < 1 or ref_multiplier & (ref_multiplier - 1):
            raise TimingError(f"ref_multiplier is {ref_multiplier}; it must be a power of two, as in ARTIQ's gateware")
        self.ref_multiplier = ref_multiplier
        self._shift = ref_multiplier.bit_length() - 1
        self._spread = spread
        self.now = 0
        self.counter = 0
        self.event_mu = self.costs.event_mu
        self.errors = {"collision": 0, "busy error": 0, "sequence error": 0}
        self.on_event: Callable[[int, int, int | list[int]], None] | None = None
        self._routes: dict[int, Route] = {}
        self._lanes: dict[int, Lanes] = {}
        self._recording: list[tuple[int, int, int | list[int]]] | None = None
        # Pending output events (time, route, data) in order of time; those before `_head` have been carried out.
        self._events: list[tuple[int, Route, int | list[int]]] = []
        self._head = 0
        self._latest = -_NEVER
        self._running: list[Any] = []

    # Output

    def output(self, target: int, data: int | list[int]) -> None:
        """Submit an output event at the cursor; `target` is channel << 8 | address."""
        if self._recording is not None:
            self._recording.append((self.now, target, data))
            self.counter += self.costs.dma_record_mu
            return
        shift, t_mu = self._shift, self.now
        self.counter = counter = self.counter + self.event_mu
        coarse = t_mu >> shift
        route = self._routes.get(target)
        if route is None:
            route = self._route(target)
        if coarse <= (counter >> shift) + MARGIN_COARSE:
            raise self._underflow(target >> 8)
        lanes = route.lanes
        if coarse > lanes.barrier:
            lanes.barrier = coarse
            queue: Any = lanes.queue
        else:
            queue = lanes.switch(coarse)
            if queue is None:
                self._note("sequence error", route.channel)
                return
        queue.append(t_mu)
        if self.on_event is not None:
            self.on_event(t_mu, target, data)
        if t_mu >= self._latest:
            self._latest = t_mu
            self._events.append((t_mu, route, data))
        else:
            insort(self._events, (t_mu, route, data), self._head, key=_time_of)
        if len(queue) >= lanes.depth:
            self._wait_for_room(lanes)

    def output_wide(self, target: int, data: list[int]) -> None:
        """Submit an output event of several 32-bit words, least significant first."""
        self.output(target, list(data))

    def _route(self, target: int) -> Route:
        channel = target >> 8
        peripheral = self.gateware.channels.get(channel)
        if peripheral is None:
            raise RTIODestinationUnreachable(
                f"RTIO destination unreachable, output, at channel {self.name(channel)}, {self.now} mu"
            )
        destination = channel >> 16
        lanes = self._lanes.setdefault(destination, Lanes(spread=self._spread))
        route = self._routes[target] = Route(target, peripheral, lanes)
        return route

    def name(self, channel: int) -> str:
        """Return a channel as ARTIQ's messages name it."""
        return f"0x{channel:04x}:{getattr(self.gateware, 'names', {}).get(channel, 'unknown')}"

    def _underflow(self, channel: int) -> RTIOUnderflow:
        slack = self.now - self.counter
        return RTIOUnderflow(f"RTIO underflow at channel {self.name(channel)}, {self.now} mu, slack {slack} mu")

    def _wait_for_room(self, lanes: Lanes) -> None:
        """Block the CPU while the current lane is full."""
        free_mu = lanes.full(self.counter)
        if free_mu is not None:
            self.advance(free_mu)
            lanes.full(self.counter)

    def _note(self, kind: str, channel: int) -> None:
        self.errors[kind] += 1
        _core_log.error("RTIO %s involving channel %s", kind, self.name(channel))

    # Time

    def spend(self, duration_mu: int) -> None:
        """Let the CPU be busy for a while."""
        self.counter += duration_mu

    def advance(self, t_mu: int) -> None:
        """Carry out everything that is due up to `t_mu`, and let the counter reach it."""
        self._carry_out(t_mu)
        if t_mu > self.counter:
            self.counter = t_mu

    def wait_until(self, t_mu: int) -> None:
        """Block the CPU until the counter has reached `t_mu`."""
        self.advance(max(t_mu, self.counter))
        self._tell_world()

    def finish(self) -> None:
        """Carry out everything that is pending: the end of the run."""
        self.advance(max(self.counter, self._latest))
        while self._running:
            due = max((p.due_mu or self.counter for p in self._running), default=self.counter)
            self.advance(max(self.counter, due))
        self._tell_world()

    def _tell_world(self) -> None:
        """Let lab time follow the counter."""
        world = getattr(self.gateware, "world", None)
        if world is not None:
            world.advance(self.counter)

    def reset(self) -> None:
        """Clear the FIFOs, as a reset of the RTIO core does; what is due by now has happened."""
        self.advance(self.counter)
        del self._events[self._head :]
        self._latest = -_NEVER
        for lanes in self._lanes.values():
            lanes.clear()
        for peripheral in self.gateware.channels.values():
            peripheral.poll(self.counter)
            peripheral.fifo.clear()
            peripheral.overflow = False

    def _carry_out(self, t_mu: int) -> None:
        """Let every event up to `t_mu` take effect, in order of time."""
        if self._running:
            self._carry_out_beside_running(t_mu)
            return
        events, head, shift = self._events, self._head, self._shift
        n = len(events)
        while head < n:
            event = events[head]
            when, route, data = event
            if when > t_mu:
                break
            head += 1
            if head < n and events[head][0] >> shift == when >> shift:
                self._head = head - 1
                self._settle_coarse(when >> shift)
                events, head, n = self._events, self._head, len(self._events)
                if head >= n or events[head] is not event:
                    continue
                head += 1
            self._head = head
            if type(data) is int:
                route.write(when, route.address, data)
            else:
                route.write_wide(when, route.address, data)
            if route.may_run and route.peripheral.running:
                self._start(route.peripheral)
                self._carry_out_beside_running(t_mu)
                return
        self._drop(head)

    def _drop(self, head: int) -> None:
        """Forget events that have been carried out, now and then."""
        if head > 256:
            del self._events[:head]
            head = 0
        self._head = head

    def _start(self, peripheral: Any) -> None:
        if not any(peripheral is known for known in self._running):
            self._running.append(peripheral)

    def _carry_out_beside_running(self, t_mu: int) -> None:
        """As `_carry_out`, while peripherals run on by themselves: they are brought up to date before every event."""
        while True:
            when = self._next_mu(t_mu)
            for peripheral in list(self._running):
                peripheral.poll(when)
                if not peripheral.running:
                    self._running.remove(peripheral)
            if not self._step(when) and when >= t_mu:
                return

    def _next_mu(self, limit_mu: int) -> int:
        """Return when something happens next: an output event, or a running peripheral's due time; at most `limit_mu`."""
        when = limit_mu
        if self._head < len(self._events):
            when = min(when, self._events[self._head][0])
        for peripheral in self._running:
            due = peripheral.due_mu
            if due is not None and due < when:
                when = due
        return when

    def _step(self, t_mu: int) -> bool:
        """Let the next output event take effect if it is due by `t_mu`; say whether there was one."""
        while self._head < len(self._events) and self._events[self._head][0] <= t_mu:
            event = self._events[self._head]
            when, route, data = event
            coarse = when >> self._shift
            following = self._head + 1
            if following < len(self._events) and self._events[following][0] >> self._shift == coarse:
                self._settle_coarse(coarse)
                if self._head >= len(self._events) or self._events[self._head] is not event:
                    continue
            self._drop(self._head + 1)
            if type(data) is int:
                route.write(when, route.address, data)
            else:
                route.write_wide(when, route.address, data)
            if route.may_run and route.peripheral.running:
                self._start(route.peripheral)
            return True
        return False

    def _settle_coarse(self, coarse: int) -> None:
        """Find replaced and colliding events among those of one coarse clock, and drop them."""
        events, head, shift = self._events, self._head, self._shift
        end = head
        while end < len(events) and events[end][0] >> shift == coarse:
            end += 1
        by_channel: dict[int, list[tuple[int, Route, Any]]] = {}
        for event in events[head:end]:
            by_channel.setdefault(event[1].channel, []).append(event)
        if len(by_channel) == end - head:
            return
        kept: list[tuple[int, Route, Any]] = []
        for channel, group in by_channel.items():
            last = group[-1]
            if all(t == last[0] and route.address == last[1].address for t, route, _ in group):
                kept.append(last)
            else:
                self._note("collision", channel)
        kept.sort(key=_time_of)
        events[head:end] = kept

    # Input

    def _input(self, channel: int) -> Any:
        peripheral = self.gateware.channels.get(channel)
        if peripheral is None:
            raise RTIODestinationUnreachable(f"RTIO destination unreachable, input, on channel {self.name(channel)}")
        return peripheral

    def _take(self, channel: int, timeout_mu: int | None) -> tuple[int, int] | None:
        """Return the next input event of a channel; None at the time-out, which may be never (None)."""
        peripheral = self._input(channel)
        self.counter += self.costs.input_mu
        fifo = peripheral.fifo
        self._carry_out(self.counter)
        peripheral.poll(self.counter)
        if len(fifo) > peripheral.fifo_depth:
            peripheral.settle(self.counter)
        if peripheral.overflow:
            peripheral.overflow = False
            raise RTIOOverflow(f"RTIO input overflow on channel {self.name(channel)}")
        if not fifo:
            self._wait_for_input(peripheral, fifo, channel, timeout_mu)
        if not fifo:
            return None
        event: tuple[int, int] = fifo.popleft()
        if event[0] > self.counter:
            self.counter = event[0]
        return event

    def _wait_for_input(self, peripheral: Any, fifo: Any, channel: int, timeout_mu: int | None) -> None:
        """Step through pending events, one by one, until the channel has an input event or time is out."""
        while True:
            if self._running:
                limit = _NEVER if timeout_mu is None else timeout_mu
                when = self._next_mu(limit)
            elif self._head < len(self._events):
                when = self._events[self._head][0]
                if timeout_mu is not None and when > timeout_mu:
                    when = timeout_mu
            else:
                when = _NEVER if timeout_mu is None else timeout_mu
            if when == _NEVER:
                when = self._due(peripheral, channel)
            for other in list(self._running):
                if other is not peripheral:
                    other.poll(when)
                    if not other.running:
                        self._running.remove(other)
            peripheral.poll(when)
            if fifo:
                return
            if when > self.counter:
                self.counter = when
            if not self._step(when) and timeout_mu is not None and when >= timeout_mu:
                return
            if fifo:
                return

    def _due(self, peripheral: Any, channel: int) -> int:
        """Return when an input event may come although no output event is pending; refuse to wait for ever."""
        due: int | None = getattr(peripheral, "due_mu", None)
        if due is None or due <= self.counter and not peripheral.running:
            raise TimingError(
                f"a read of channel {self.name(channel)} would wait for ever: nothing is pending that could give it an"
                " input event; submit the event that samples or gates it first"
            )
        return due

    def input_timestamp(self, timeout_mu: int, channel: int) -> int:
        """Return the time stamp of the next input event, or -1 when there is none up to `timeout_mu` (negative: never)."""
        event = self._take(channel, None if timeout_mu < 0 else timeout_mu)
        return -1 if event is None else event[0]

    def input_data(self, channel: int) -> int:
        """Return the data of the next input event, waiting for it."""
        event = self._take(channel, None)
        assert event is not None
        return event[1]

    def input_timestamped_data(self, timeout_mu: int, channel: int) -> tuple[int, int]:
        """Return time stamp and data of the next input event, (-1, 0) at the time-out (negative: never)."""
        return self._take(channel, None if timeout_mu < 0 else timeout_mu) or (-1, 0)

    # DMA

    def record(self, events: list[Any] | None) -> list[Any] | None:
        """Send output events into a list from now on, or to the bus again (None); return the list in use before."""
        before, self._recording = self._recording, events
        return before

    def play(self, start_mu: int, events: list[tuple[int, int, int | list[int]]]) -> None:
        """Submit recorded events; the DMA core is faster than the CPU."""
        now, event_mu = self.now, self.event_mu
        self.spend(self.costs.dma_playback_mu)
        self.event_mu = self.costs.dma_event_mu
        try:
            for offset, target, data in events:
                self.now = start_mu + offset
                self.output(target, data)
        finally:
            self.now, self.event_mu = now, event_mu
