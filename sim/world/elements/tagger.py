"""A time tagger on the first four detectors of the stations, parallel to the RTIO inputs: same clicks, own delays.

Its inputs take the detectors' pulses; a threshold above their height, or not above 0, sees none. Clicks of the world
are whole mu, so a time stamp has a resolution of 1 ns: the delay adds picoseconds, nothing else does. Everything since
the last look is taken in at every look. What nobody looked at for KEPT_S is lost, and counted as lost.
Clicks inside the cycles that the entangler repeats by itself are drawn by the link as outcomes, not as clicks of a
detector, so neither an RTIO input nor the tagger sees them one by one.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from sim.world.elements.element import Element, Lab

INPUTS = 4
PULSE_V = 0.5  # height of the pulses at its inputs (design: the detectors' comparator into 50 Ohm)
RESOLUTION_PS = 1000
KEPT_S = 100.0
MU_PS = 1000


@dataclass
class Input:
    """One input: what it lets through, and what it has counted since its reset."""

    enabled: bool = True
    threshold_v: float = 0.1
    delay_ps: int = 0
    counts: int = 0
    streamed: bool = False  # whether somebody fetches its tags
    tags: list[int] = field(default_factory=list)  # ps after the start of the recording, not yet fetched
    lost: int = 0

    @property
    def sees(self) -> bool:
        """Whether the comparator makes an edge of a pulse."""
        return self.enabled and 0 < self.threshold_v < PULSE_V


class Coincidences:
    """Clicks of one input within a window that clicks of another open: [t, t + window) in ps, delays included."""

    def __init__(self, first: int, second: int, window_ps: int) -> None:
        self.first, self.second, self.window_ps = first, second, window_ps
        self.counts = 0
        self._events: list[tuple[int, int]] = []  # (ps, kind): 0 opens, 1 closes, 2 is counted
        self._open = 0

    def feed(self, times: list[list[int]], until_ps: int) -> None:
        """Take in the times of all inputs in ps; decide what lies before until_ps."""
        for t in times[self.first]:
            heapq.heappush(self._events, (t, 0))
            heapq.heappush(self._events, (t + self.window_ps, 1))
        for t in times[self.second]:
            heapq.heappush(self._events, (t, 2))
        while self._events and self._events[0][0] < until_ps:
            _, kind = heapq.heappop(self._events)
            if kind == 2:
                self.counts += self._open > 0
            else:
                self._open += 1 if kind == 0 else -1


class Tagger(Element):
    """Four inputs, one recording, coincidence counters by name."""

    def __init__(self, world: Lab, name: str, node: str = "") -> None:
        super().__init__(world, name, node)
        self.inputs = [Input() for _ in range(INPUTS)]
        self.combiners: dict[str, Coincidences] = {}
        self.start_mu: int | None = None  # of the recording
        self.stop_mu: int | None = None  # where it ends or ended; None: when it is told to
        self._taken_mu = world.now_mu
        detectors = [detector for station in world.scenario.topology.stations for detector in station.detectors]
        self._rows = [detector.row for detector in detectors[:INPUTS]]
        for row in self._rows:
            world.counters[row].kept_mu = round(KEPT_S * 1e9)

    @property
    def recording(self) -> bool:
        """Whether tags are recorded now."""
        self.take_in()
        return self.start_mu is not None and (self.stop_mu is None or self.stop_mu > self.world.now_mu)

    def play(self, duration_ps: int | None) -> None:
        """Start a recording; time stamps count from here."""
        self.take_in()
        self.start_mu = self.world.now_mu
        self.stop_mu = None if duration_ps is None else self.start_mu + duration_ps // MU_PS
        for one in self.inputs:
            one.tags.clear()
            one.lost = 0

    def stop(self) -> None:
        """End the recording here, if it has not ended before."""
        self.take_in()
        if self.start_mu is not None:
            now = self.world.now_mu
            self.stop_mu = now if self.stop_mu is None else min(self.stop_mu, now)

    def fetch(self, k: int, most: int) -> list[int]:
        """Return up to `most` recorded tags of an input, ps after the start; they are gone then."""
        self.take_in()
        tags = self.inputs[k].tags
        found, self.inputs[k].tags = tags[:most], tags[most:]
        return found

    def take_in(self) -> None:
        """Look at the detectors: everything since the last look, by the present thresholds and delays."""
        now, since = self.world.now_mu, self._taken_mu
        if now <= since:
            return
        self._taken_mu = now
        times = []
        for row, one in zip(self._rows + [""] * INPUTS, self.inputs, strict=False):
            one.lost += now - since > KEPT_S * 1e9
            clicks = self.world.clicks(row)(since, now) if one.sees else []
            one.counts += len(clicks)
            times.append([t * MU_PS + one.delay_ps for t in clicks])
            if self.start_mu is not None and one.streamed:
                last = now if self.stop_mu is None else self.stop_mu
                zero = self.start_mu * MU_PS
                one.tags += [t * MU_PS + one.delay_ps - zero for t in clicks if self.start_mu < t <= last]
        for combiner in self.combiners.values():
            combiner.feed(times, now * MU_PS)
