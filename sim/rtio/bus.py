"""The RTIO bus: the timeline cursor, the counter, output events on their way, input events to be read.

World time is the counter. Output events wait, ordered by time stamp, until the counter passes them; the CPU's costs,
input reads, full lanes and explicit waits move it. An output event less than 13 coarse clocks ahead of the counter
underflows. Events on one channel and coarse clock replace one another if address and fine time agree, otherwise they
collide and all are lost. See README.md beside this. Above 400 lines because submitting, carrying out and reading
share one queue, and calls between modules would cost the hot path a tenth each.
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
from .lanes import Burst, Lanes

MARGIN_COARSE = 12  # an event must be more than this ahead of the counter; ARTIQ 8, gateware/rtio/core.py
_NEVER = 1 << 62
_core_log = logging.getLogger("core_log")
_time_of = itemgetter(0)
_MANY = 2048  # events that have gathered or taken effect before somebody tidies up

Data = int | list[int]
Write = Callable[[int, int, Any], None]
Effect = tuple[Write, int, Data, int]  # what takes the event, address, data, channel
Event = tuple[int, Any]  # time, effect; or the time of the first, burst
Route = tuple[Write, int, int, Lanes]  # what takes the event, address, channel, lanes of its destination
Observer = Callable[[int, int, Data], None]


class Inlet:
    """The input side of a channel, and how far it has been brought up to date."""

    __slots__ = ("channel", "depth", "fifo", "peripheral", "polled_mu")

    def __init__(self, channel: int, peripheral: Any) -> None:
        self.channel, self.peripheral, self.fifo, self.depth = (
            channel,
            peripheral,
            peripheral.fifo,
            peripheral.fifo_depth,
        )
        self.polled_mu = -_NEVER


def _may_run(peripheral: Any) -> bool:
    """Say whether a peripheral may go on by itself after an event: only what names a due time does."""
    if not getattr(peripheral, "may_run", True):
        return False
    bases = type(peripheral).__mro__
    return any("due_mu" in base.__dict__ and base.__name__ != "Peripheral" for base in bases)


class Bus:
    """Time and events between the kernels above and the gateware below.

    Pending events are tuples (time, (write, address, data, channel)), or (time of the first, `Burst`). They take effect
    when somebody looks: an input read, a wait, an RPC, the end of a run, or when many have gathered. All that is due by
    then takes effect in order of time, so nobody can tell the difference.
    """

    def __init__(
        self, gateware: Any, costs: Costs | None = None, ref_multiplier: int = 8, spread: bool = False
    ) -> None:
        self.gateware, self.costs = gateware, costs or Costs()
        if ref_multiplier < 1 or ref_multiplier & (ref_multiplier - 1):
            raise TimingError(f"ref_multiplier is {ref_multiplier}; it must be a power of two, as in ARTIQ's gateware")
        self.ref_multiplier = ref_multiplier
        self._shift = ref_multiplier.bit_length() - 1
        # An event at least this far ahead of the counter cannot underflow; closer ones are looked at in coarse clocks.
        self.clear_mu = (MARGIN_COARSE + 1) * ref_multiplier
        self._spread = spread
        self.now = 0
        self.counter = 0
        self.event_mu = self.costs.event_mu
        self.errors = {"collision": 0, "busy error": 0, "sequence error": 0}
        self.known: dict[int, Route] = {}
        self._known_wide: dict[int, Route] = {}
        self.routes = self.known  # empty while somebody observes or records
        self.runners: dict[int, Any] = {}  # peripherals that may go on by themselves after an event
        self._inlets: dict[int, Inlet] = {}
        self._lanes: dict[int, Lanes] = {}
        self._observer: Observer | None = None
        self._recording: list[tuple[int, int, Data]] | None = None
        self.events: list[Event] = []  # in order of time; those before `head` have taken effect
        self.head = 0
        self.first_burst = -1  # no burst is before this one in `events`; -1: there is none
        self._fine = ref_multiplier - 1
        self.beyond = -_NEVER  # an event later than this is the latest, and shares its coarse clock with no other
        self.crowded = False  # some pending events may share a coarse clock
        self.running: list[Any] = []

    # Output

    def output(self, target: int, data: Data) -> None:
        """Submit an output event at the cursor; `target` is channel << 8 | address."""
        try:
            write, address, channel, lanes = self.routes[target]
        except KeyError:
            self._unusual(target, data, self.known)
            return
        t_mu = self.now
        self.counter = counter = self.counter + self.event_mu
        if t_mu - counter < self.clear_mu and t_mu >> self._shift <= (counter >> self._shift) + MARGIN_COARSE:
            raise self._underflow(channel)
        end_mu = t_mu | self._fine
        if t_mu > lanes.barrier:
            lanes.barrier = end_mu
            queue: Any = lanes.queue
        else:
            queue = lanes.switch(end_mu)
            if queue is None:
                self._note("sequence error", channel)
                return
        queue.append(t_mu)
        lanes.n += 1
        if t_mu > self.beyond:
            self.beyond = end_mu
            self.events.append((t_mu, (write, address, data, channel)))
        else:
            self._insert((t_mu, (write, address, data, channel)))
        if lanes.n >= lanes.depth:
            self._wait_for_room(lanes)

    def output_wide(self, target: int, data: list[int]) -> None:
        """Submit an output event of several 32-bit words, least significant first."""
        self._unusual(target, list(data), self._known_wide)

    def _unusual(self, target: int, data: Data, known: dict[int, Route]) -> None:
        """Submit an event of several words, the first one to a target, or one that is observed or recorded."""
        if self._recording is not None:
            self._recording.append((self.now, target, data))
            self.counter += self.costs.dma_record_mu
            return
        if target not in known:
            self._route(target)
        if self._observer is not None:
            self._observer(self.now, target, data)
        routes, self.routes = self.routes, {target: known[target]}
        try:
            self.output(target, data)
        finally:
            self.routes = routes

    def _insert(self, event: Event) -> None:
        """Put an event among those pending, behind those of the same time."""
        self.crowded = True
        self._take_bursts_apart()
        if self.head == len(self.events) or event[0] >= self.events[-1][0]:
            self.beyond = max(self.beyond, event[0] | self._fine)
            self.events.append(event)
        else:
            insort(self.events, event, self.head, key=_time_of)

    def may_run(self, channel: int) -> bool:
        """Say whether the peripheral of a channel, which is known, may go on by itself after an event."""
        return channel in self.runners

    def _take_bursts_apart(self) -> None:
        """Have only single events pending, for who puts others between them or steps through them."""
        if self.first_burst >= 0:
            start, self.first_burst = max(self.first_burst, self.head), -1
            single = [
                event
                for entry in self.events[start:]
                for event in (entry[1].events(entry[0]) if isinstance(entry[1], Burst) else [entry])
            ]
            self.events[start:] = single

    def _route(self, target: int) -> None:
        """Find out where events of a target go."""
        channel = target >> 8
        peripheral = self.gateware.channels.get(channel)
        if peripheral is None:
            raise self._unmodelled(channel) or RTIODestinationUnreachable(
                f"RTIO destination unreachable, output, at channel {self.name(channel)}, {self.now} mu"
            )
        destination = channel >> 16
        lanes = self._lanes.setdefault(destination, Lanes(spread=self._spread))
        writer = getattr(peripheral, "writer", None)
        write = peripheral.write if writer is None else writer(target & 0xFF)
        route = (write, target & 0xFF, channel, lanes)
        if _may_run(peripheral):
            self.runners[channel] = peripheral
        self.known[target] = route
        self._known_wide[target] = (peripheral.write_wide, *route[1:])

    def name(self, channel: int) -> str:
        """Return a channel as ARTIQ's messages name it."""
        return f"0x{channel:04x}:{getattr(self.gateware, 'names', {}).get(channel, 'unknown')}"

    def _unmodelled(self, channel: int) -> Exception | None:
        """Return the refusal of the device at a channel, where the gateware knows one that it has no model of."""
        refusal: Exception | None = getattr(self.gateware, "unmodelled", {}).get(channel)
        return refusal

    def _underflow(self, channel: int) -> RTIOUnderflow:
        slack = self.now - self.counter
        return RTIOUnderflow(f"RTIO underflow at channel {self.name(channel)}, {self.now} mu, slack {slack} mu")

    def _wait_for_room(self, lanes: Lanes) -> None:
        """Block the CPU while the current lane is full."""
        free_mu = lanes.full(self.counter)
        if free_mu is not None:
            self.counter = free_mu
            lanes.overfull()
        if len(self.events) - self.head > _MANY:
            self.carry_out(self.counter)

    def note_busy(self) -> None:
        """Log the events that met a busy peripheral since the last look; the gateware raises a flag for them, too."""
        for channel, peripheral in self.gateware.channels.items():
            if getattr(peripheral, "lost", 0):
                peripheral.lost = 0
                self._note("busy error", channel)

    def _note(self, kind: str, channel: int) -> None:
        self.errors[kind] += 1
        _core_log.error("RTIO %s involving channel %s", kind, self.name(channel))

    # Time

    def spend(self, duration_mu: int) -> None:
        """Let the CPU be busy for a while."""
        self.counter += duration_mu

    def advance(self, t_mu: int) -> None:
        """Carry out everything that is due up to `t_mu`, and let the counter reach it."""
        self.carry_out(t_mu)
        if t_mu > self.counter:
            self.counter = t_mu

    def catch_up(self) -> None:
        """Let everything take effect that is due by the counter, because somebody outside the bus will look."""
        self.wait_until(self.counter)

    def wait_until(self, t_mu: int) -> None:
        """Block the CPU until the counter has reached `t_mu`."""
        self.advance(max(t_mu, self.counter))
        world = getattr(self.gateware, "world", None)
        if world is not None:
            world.advance(self.counter)

    def finish(self) -> None:
        """Carry out everything that is pending: the end of the run."""
        self.advance(max(self.counter, self.beyond))
        while self.running:
            due = max(p.due_mu or self.counter for p in self.running)
            self.advance(max(self.counter, due))
        self.catch_up()

    def reset(self) -> None:
        """Clear the FIFOs, as a reset of the RTIO core does; what is due by now has happened."""
        self.advance(self.counter)
        del self.events[self.head :]
        self.first_burst = -1
        self.beyond = self.counter
        for lanes in self._lanes.values():
            lanes.clear()
        for peripheral in self.gateware.channels.values():
            peripheral.poll(self.counter)
            peripheral.fifo.clear()
            peripheral.overflow = False

    def carry_out(self, t_mu: int, until: int = -1) -> None:
        """Let every event up to `t_mu` take effect, in order of time; stop after one on channel `until`."""
        if self.running:
            self._carry_out_beside_running(t_mu, until)
            return
        events, head, runners, crowded = self.events, self.head, self.runners, self.crowded
        n, done = len(events), 0  # of a burst
        if head == n or events[head][0] > t_mu:
            return
        effect: Any
        try:
            while head < n:
                when, effect = events[head]
                if when > t_mu:
                    break
                if effect.__class__ is Burst:
                    if when + effect.span_mu > t_mu or until in effect.channels:
                        events[head : head + 1] = effect.events(when)
                        n = len(events)
                        continue
                    for offset, write, address, data, _ in effect.parts:
                        done += 1
                        write(when + offset, address, data)
                    head, done = head + 1, 0
                    continue
                if crowded and self._share_a_clock(head):
                    self.head = head
                    self._settle_coarse(when >> self._shift)
                    n = len(events)
                    if head >= n:
                        break
                    when, effect = events[head]
                    if when > t_mu:
                        break
                head += 1
                write, address, data, channel = effect
                write(when, address, data)
                if channel in runners and runners[channel].running:
                    self.running.append(runners[channel])
                    break
                if channel == until:
                    break
        finally:
            if done:
                events[head : head + 1] = effect.events(when, done)
            self.forget(head)
        if self.running:
            self._carry_out_beside_running(t_mu, until)

    def forget(self, head: int) -> None:
        """Note that events before `head` have taken effect, and let go of them now and then."""
        if head == len(self.events):
            self.events.clear()
            self.crowded = False
            self.first_burst = -1
            head = 0
        elif head > _MANY:
            del self.events[:head]
            if self.first_burst >= 0:
                self.first_burst = max(0, self.first_burst - head)
            head = 0
        self.head = head

    def _carry_out_beside_running(self, t_mu: int, until: int) -> None:
        """As `carry_out`, while peripherals run on by themselves: they are brought up to date before every event."""
        if until >= 0:
            return  # who waits for a channel looks at it before every event as long as something runs
        self._take_bursts_apart()
        while True:
            when = self._next_mu(t_mu)
            self._poll_running(when)
            if not self._step(when) and when >= t_mu:
                return

    def _poll_running(self, t_mu: int, but: Any = None) -> None:
        for peripheral in list(self.running):
            if peripheral is not but:
                peripheral.poll(t_mu)
            if not peripheral.running:
                self.running.remove(peripheral)

    def _next_mu(self, limit_mu: int) -> int:
        """Return when something happens next, at most `limit_mu`: an output event, or something running is due."""
        when = limit_mu
        if self.head < len(self.events):
            when = min(when, self.events[self.head][0])
        for peripheral in self.running:
            due = peripheral.due_mu
            if due is not None and due < when:
                when = due
        return when

    def _step(self, t_mu: int) -> bool:
        """Let the next output event take effect if it is due by `t_mu`; say whether there was one."""
        if self.head >= len(self.events) or self.events[self.head][0] > t_mu:
            return False
        if self.crowded and self._share_a_clock(self.head):
            self._settle_coarse(self.events[self.head][0] >> self._shift)
            if self.head >= len(self.events) or self.events[self.head][0] > t_mu:
                return True
        when, (write, address, data, channel) = self.events[self.head]
        self.forget(self.head + 1)
        write(when, address, data)
        runner = self.runners.get(channel)
        if runner is not None and runner.running and not any(runner is known for known in self.running):
            self.running.append(runner)
        return True

    def _share_a_clock(self, head: int) -> bool:
        """Say whether two pending events are in one coarse clock."""
        events, shift = self.events, self._shift
        return head + 1 < len(events) and events[head + 1][0] >> shift == events[head][0] >> shift

    def _settle_coarse(self, coarse: int) -> None:
        """Find replaced and colliding events among the next ones, those of one coarse clock, and drop them."""
        events, head, shift = self.events, self.head, self._shift
        end = head
        while end < len(events) and events[end][0] >> shift == coarse:
            end += 1
        by_channel: dict[int, list[Event]] = {}
        for event in events[head:end]:
            by_channel.setdefault(event[1][3], []).append(event)
        if len(by_channel) == end - head:
            return
        kept: list[Event] = []
        for channel, group in by_channel.items():
            last = group[-1]
            if all(event[0] == last[0] and event[1][1] == last[1][1] for event in group):
                kept.append(last)
            else:
                self._note("collision", channel)
        kept.sort(key=_time_of)
        events[head:end] = kept
        if self.first_burst >= 0:
            self.first_burst = head

    # Input

    def inlet(self, channel: int) -> Inlet:
        """Return the input side of a channel."""
        known = self._inlets.get(channel)
        if known is not None:
            return known
        peripheral = self.gateware.channels.get(channel)
        if peripheral is None:
            raise self._unmodelled(channel) or RTIODestinationUnreachable(
                f"RTIO destination unreachable, input, on channel {self.name(channel)}"
            )
        inlet = self._inlets[channel] = Inlet(channel, peripheral)
        return inlet

    def _take(self, channel: int, timeout_mu: int | None) -> tuple[int, int] | None:
        """Return the next input event of a channel; None at the time-out, which may be never (None)."""
        inlet = self.inlet(channel)
        self.counter = counter = self.counter + self.costs.input_mu
        fifo = inlet.fifo
        if inlet.polled_mu < counter:
            self.carry_out(counter)
            inlet.peripheral.poll(counter)
            inlet.polled_mu = counter
        if len(fifo) > inlet.depth or inlet.peripheral.overflow:
            self.overflow(inlet, counter)
        if not fifo:
            self.wait_for_input(inlet, timeout_mu)
            if not fifo:
                return None
        event: tuple[int, int] = fifo.popleft()
        if event[0] > self.counter:
            self.counter = event[0]
        return event

    def overflow(self, inlet: Inlet, counter: int) -> None:
        """Drop what the FIFO could not hold by now, and raise if there was such."""
        peripheral = inlet.peripheral
        if len(inlet.fifo) > inlet.depth:
            peripheral.settle(counter)
        if peripheral.overflow:
            peripheral.overflow = False
            raise RTIOOverflow(f"RTIO input overflow on channel {self.name(inlet.channel)}")

    def wait_for_input(self, inlet: Inlet, timeout_mu: int | None) -> None:
        """Step through pending events until the channel has an input event or time is out.

        While the channel can have no input event (its gate is shut), events of other channels need no look at it.
        """
        peripheral, fifo, channel = inlet.peripheral, inlet.fifo, inlet.channel
        limit = _NEVER if timeout_mu is None else max(timeout_mu, self.counter)
        self._take_bursts_apart()
        while True:
            if peripheral.due_mu is None and not self.running:
                self.carry_out(limit, channel)
                if fifo:
                    return
                if peripheral.due_mu is None and not self.running:
                    if self.head < len(self.events) and self.events[self.head][0] <= limit:
                        continue  # it stopped at an event of this channel
                    inlet.polled_mu = limit if timeout_mu is not None else self.counter
                    peripheral.poll(inlet.polled_mu)
                    if not fifo and timeout_mu is None:
                        self._due(inlet)
                    elif not fifo:
                        self.counter = limit
                    return
            if self.running:
                when = self._next_mu(limit)
            else:
                when = self.events[self.head][0] if self.head < len(self.events) else limit
                if when > limit:
                    when = limit
            due = peripheral.due_mu
            if due is not None and self.counter < due < when:
                when = due  # no further than it must: the world does not go back to what a kernel does once it has read
            if when == _NEVER:
                when = self._due(inlet)
            if self.running:
                if peripheral.running and hasattr(peripheral, "reach"):
                    when = peripheral.reach(when)  # what runs beside it must not get ahead of what it answers
                self._poll_running(when, but=peripheral)
            peripheral.poll(when)
            inlet.polled_mu = when
            if fifo:
                return
            if when > self.counter:
                self.counter = when
            if not self._step(when) and when >= limit or fifo:
                return

    def _due(self, inlet: Inlet) -> int:
        """Return when an input event may come although no output event is pending; refuse to wait for ever."""
        due: int | None = inlet.peripheral.due_mu
        if due is None:
            raise TimingError(
                f"A read of channel {self.name(inlet.channel)} would wait for ever: nothing is pending that could give"
                " it an input event; submit the event that samples or gates it first"
            )
        return due

    def input_timestamp(self, timeout_mu: int, channel: int) -> int:
        """Return the time stamp of the next input event, -1 at the time-out (a negative one: never)."""
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

    # Observers

    @property
    def on_event(self) -> Observer | None:
        """What is told about every output event that is submitted: time, target, data."""
        return self._observer

    @on_event.setter
    def on_event(self, observer: Observer | None) -> None:
        self._observer = observer
        self._watch()

    def _watch(self) -> None:
        self.routes = self.known if self._observer is None and self._recording is None else {}

    # DMA

    def record(self, events: list[Any] | None) -> list[Any] | None:
        """Send output events into a list from now on, or to the bus again (None); return the list in use before."""
        before, self._recording = self._recording, events
        self._watch()
        return before

    def play(self, start_mu: int, events: list[tuple[int, int, Data]]) -> None:
        """Submit recorded events; the DMA core is faster than the CPU."""
        now, event_mu = self.now, self.event_mu
        self.spend(self.costs.dma_playback_mu)
        self.event_mu = self.costs.dma_event_mu
        try:
            for offset, target, data in events:
                self.now = start_mu + offset
                if isinstance(data, int):
                    self.output(target, data)
                else:
                    self.output_wide(target, data)
        finally:
            self.now, self.event_mu = now, event_mu
