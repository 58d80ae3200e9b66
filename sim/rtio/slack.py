"""Slack and time by source line: how close each line comes to an underflow, and which one spends the lab's time.

Slack is the cursor minus the counter, once the CPU has written the event; 12 coarse clocks or less are an underflow.
Every piece of lab time has one owner: the line whose delay moved the cursor over it first or, where the CPU was beyond
the timeline, the line that kept it and what it waited for. So the shares add up to the whole. Sums are kept per line:
memory does not grow with the run.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from artiq.coredevice.exceptions import RTIOUnderflow

from .bus import Bus, Data

TIMELINE = "timeline"  # the cursor moved on: a delay, a pulse, a gate, a jump
_BUS = str(Path(__file__).with_name("bus.py"))
_HERE = __file__
_NEVER = 1 << 62

Observer = Callable[[int, int, Data], None]


class Place(NamedTuple):
    """Where something happened: a line of the experiment's own file (the phase), the line of the lab's code below it
    that called a driver (often the same line), and the driver's method.
    """

    phase_file: str
    phase_line: int
    file: str
    line: int
    call: str


OUTSIDE = Place("", 0, "", 0, "")


@dataclass
class LineSlack:
    """What one place did to the slack. `gained_mu` is by the cursor, `lost_mu` by the counter."""

    events: int = 0
    least_mu: int = _NEVER
    least_at_mu: int = 0
    least_channel: int = -1
    gained_mu: int = 0
    lost_mu: int = 0
    underflows: int = 0

    @property
    def change_mu(self) -> int:
        """Return the net change of the slack."""
        return self.gained_mu - self.lost_mu


class Places:
    """Finds the place of whatever is going on. Code below `drivers` (folders) is a driver's or the machinery's."""

    def __init__(self, experiment: Path, root: Path, drivers: Iterable[Path]) -> None:
        self._experiment, self._root = str(experiment), f"{root}/"
        installed = (sysconfig.get_path("scripts"), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
        self._drivers = tuple(f"{folder}/" for folder in (*drivers, *installed, Path(__file__).parents[1]))
        self._known: dict[tuple[CodeType, int, CodeType, int, str], Place] = {}
        self._kinds: dict[CodeType, int] = {}  # 2: the experiment's file, 1: other code of the lab, 0: below or above

    def here(self, frame: FrameType | None) -> Place:
        """Return the place of a frame: the innermost frames of the lab's code and of the experiment's own file."""
        inner: FrameType | None = None
        call = below = ""
        while frame is not None:
            code = frame.f_code
            kind = self._kinds.get(code)
            if kind is None:
                kind = self._kinds[code] = self._kind(code.co_filename)
            if kind and inner is None:
                inner, call = frame, below
            if kind == 2 and inner is not None:
                key = code, frame.f_lasti, inner.f_code, inner.f_lasti, call
                place = self._known.get(key)
                if place is None:
                    place = Place(code.co_filename, frame.f_lineno, inner.f_code.co_filename, inner.f_lineno, call)
                    self._known[key] = place
                return place
            below = code.co_name if code.co_name.startswith("_Kf") else below
            frame = frame.f_back
        if inner is None:
            return OUTSIDE
        return Place(inner.f_code.co_filename, inner.f_lineno, inner.f_code.co_filename, inner.f_lineno, call)

    def _kind(self, file: str) -> int:
        if file == self._experiment:
            return 2
        return int(file.startswith(self._root) and not file.startswith(self._drivers))


class Ledger:
    """The books of a run: slack by place, lab time by owner."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.lines: dict[Place, LineSlack] = {}
        self.owned: dict[tuple[Place, str], int] = {}
        self.end_mu = 0  # the latest time that has an owner

    def moved(self, before_mu: int, now_mu: int, place: Place) -> None:
        """Note that the cursor moved; the part of the timeline that nobody had covered yet is the line's."""
        self._line(place).gained_mu += now_mu - before_mu
        self._own(now_mu, place, TIMELINE)

    def spent(self, before_mu: int, counter_mu: int, place: Place, what: str) -> None:
        """Note that the counter moved; the part beyond the timeline is the line's."""
        self._line(place).lost_mu += counter_mu - before_mu
        self._own(counter_mu, place, what)

    def event(self, t_mu: int, slack_mu: int, channel: int, place: Place) -> None:
        """Note an output event."""
        line = self._line(place)
        line.events += 1
        if slack_mu < line.least_mu:
            line.least_mu, line.least_at_mu, line.least_channel = slack_mu, t_mu, channel

    def underflow(self, place: Place) -> None:
        """Note that the event did not come in time."""
        self._line(place).underflows += 1

    def _line(self, place: Place) -> LineSlack:
        line = self.lines.get(place)
        if line is None:
            line = self.lines[place] = LineSlack()
        return line

    def _own(self, until_mu: int, place: Place, what: str) -> None:
        if until_mu > self.end_mu:
            key = place, what
            self.owned[key] = self.owned.get(key, 0) + until_mu - self.end_mu
            self.end_mu = until_mu


class WatchedBus(Bus):
    """A bus that keeps the books: `now` and `counter` are seen whenever they move."""

    ledger: Ledger | None = None
    see_slack: Callable[[int, int], None] | None = None
    see_event: Observer | None = None
    _cursor = _counted = _booked = 0
    _reading = -1
    _recording: Any = None

    @property
    def now(self) -> int:
        """Return the timeline cursor."""
        return self._cursor

    @now.setter
    def now(self, t_mu: int) -> None:
        before, self._cursor = self._booked, t_mu
        if self._recording is not None or self.ledger is None:
            return  # a recording has a timeline of its own
        self._booked = t_mu
        if t_mu != before:
            self.ledger.moved(before, t_mu, self.ledger.places.here(sys._getframe(1)))

    @property
    def counter(self) -> int:
        """Return the RTIO counter."""
        return self._counted

    @counter.setter
    def counter(self, t_mu: int) -> None:
        before, self._counted = self._counted, t_mu
        if self.ledger is not None and t_mu > before:
            frame = sys._getframe(1)
            self.ledger.spent(before, t_mu, self.ledger.places.here(frame), self._why(frame))

    def watch(self, ledger: Ledger, see_slack: Callable[[int, int], None], see_event: Observer) -> None:
        """Keep the books from now on, and tell of slack and events."""
        self.ledger, self.see_slack, self.see_event = ledger, see_slack, see_event
        self.on_event = self._see

    def _see(self, t_mu: int, target: int, data: Data) -> None:
        assert self.ledger is not None and self.see_slack is not None and self.see_event is not None
        slack_mu = t_mu - self._counted - self.event_mu
        self.ledger.event(t_mu, slack_mu, target >> 8, self.ledger.places.here(sys._getframe(1)))
        self.see_slack(t_mu, slack_mu)
        self.see_event(t_mu, target, data)

    def _underflow(self, channel: int) -> RTIOUnderflow:
        if self.ledger is not None:
            self.ledger.underflow(self.ledger.places.here(sys._getframe(1)))
        return super()._underflow(channel)

    def _take(self, channel: int, timeout_mu: int | None) -> tuple[int, int] | None:
        self._reading = channel
        return super()._take(channel, timeout_mu)

    def _why(self, frame: FrameType | None) -> str:
        """Return what the CPU waits for, by which function of the bus moves the counter and who called the bus."""
        name = ""
        while frame is not None and frame.f_code.co_filename in (_BUS, _HERE):
            name = frame.f_code.co_name
            if name == "_wait_for_room":
                return "CPU: the output FIFO is full"
            frame = frame.f_back
        if name.startswith("input_"):
            return f"input of {self.gateware.names.get(self._reading, hex(self._reading))}"
        if name in ("output", "output_wide"):
            return "CPU: output events"
        if name == "play":
            return "CPU: DMA playback"
        if name == "finish":
            return "end of the run: events still pending"
        if name == "wait_until":
            return "wait_until"
        caller = "" if frame is None else frame.f_code.co_name
        if caller == "call_host" and frame is not None:
            return f"RPC {getattr(frame.f_locals.get('function'), '__name__', '')}"
        if caller == "execute" and frame is not None:
            return f"start of kernel {frame.f_locals['compiled'].program.entry.name}"
        known = {"run": "CPU: driver methods", "retrieve": "CPU: DMA look-up"}
        return known.get(caller, "CPU: other")
