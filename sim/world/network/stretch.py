"""A stretch of repeated cycles of one station: from event to event, so that several stations can take turns.

An *event* is the next candidate for a herald, the loss of an atom, or the end of what can be drawn at once. Until then
nothing happens but that atoms move between labels; a stretch can be cut at any cycle before and goes on as if it had
been drawn anew: the chain of attempts has no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from atomlink.signals import Cycle, CycleResult
from sim.world.network.attempt import Candidates
from sim.world.network.cycles import Outputs
from sim.world.network.station import Station, refuse_cloud


class _Event(NamedTuple):
    """What happens next: after `cycles` more; the candidate, if it is one; the labels and losses it was drawn with."""

    cycles: int
    candidate: Candidates | None
    labels: tuple[int, int]
    losses: list[int | None]


class Stretch:
    """Cycles of one station from start_mu until a pattern matches or no further cycle fits before end_mu."""

    def __init__(self, station: Station, start_mu: int, end_mu: int, cycle: Cycle, outputs: Outputs) -> None:
        station.settle()
        for _, port in station.connected:
            refuse_cloud(port, start_mu)
        self.station, self.start_mu, self.cycle, self._outputs = station, start_mu, cycle, outputs
        self.left = (end_mu - start_mu) // cycle.length_mu
        self.done = 0
        self.herald: Candidates | None = None
        self._model, self._heating = station.model(cycle, outputs)
        self._strays = station.strays
        self._event: _Event | None = None

    @property
    def over(self) -> bool:
        """Whether a herald or the end has come."""
        return self.herald is not None or self.done >= self.left

    @property
    def due_mu(self) -> int:
        """The end of the cycle in which the next event is."""
        return self.start_mu + (self.done + self._next().cycles) * self.cycle.length_mu

    def step(self) -> None:
        """Let the next event happen."""
        event, self._event = self._next(), None
        if event.candidate is None:
            self._wait(event, event.cycles)
            return
        self.done += event.cycles
        self._warm(event.cycles)
        self._leave_in(event.candidate)

    def cut(self, t_mu: int) -> None:
        """Let the whole cycles pass that have ended by t_mu, which is before the next event."""
        if self.over:
            return
        event, cycles = self._next(), (t_mu - self.start_mu) // self.cycle.length_mu - self.done
        assert cycles < event.cycles
        if cycles > 0:
            self._event = None
            self._wait(event, cycles)

    def close(self) -> CycleResult:
        """Have done with it: what the detectors did is accounted for up to its end."""
        end_mu = self.start_mu + self.done * self.cycle.length_mu
        stamps = [-1] * max(4, len(self.station.counters))
        pattern = 0
        if self.herald is not None:
            pattern, begun_mu = int(self.herald.pattern[0]), end_mu - self.cycle.length_mu
            for k, seconds in enumerate(self.herald.first_s[0].tolist()):
                if seconds < np.inf:
                    stamps[k] = begun_mu + int(seconds * 1e9)
        self.station.skip(end_mu)
        return CycleResult(self.done, pattern, tuple(stamps), end_mu, self.done)

    # -- what happens --------------------------------------------------------------------------------------------------

    def _next(self) -> _Event:
        if self._event is None:
            self._event = self._draw()
        return self._event

    def _draw(self) -> _Event:
        station, labels = self.station, self.station.labels()
        if station.strays != self._strays:  # other photons than a step of temperature before
            self._model, self._heating = station.model(self.cycle, self._outputs)
            self._strays = station.strays
        passage = self._model.passage(labels[0] * 4 + labels[1])
        losses: list[int | None] = [None, None]
        alike = []
        for k, port in station.connected:
            losses[k] = port.cycles_until_loss(self._heating[k])
            alike.append(port.cycles_alike(self._heating[k]))
        stop = min([self.left - self.done, *(some for some in (*losses, *alike) if some is not None)])
        if not passage.converged:
            stop = min(stop, passage.table_end)
        candidate = next(station.candidates(self._model, labels))
        wait = int(candidate.cycle[0])
        return _Event(stop, None, labels, losses) if wait > stop else _Event(wait, candidate, labels, losses)

    def _wait(self, event: _Event, cycles: int) -> None:
        """Let so many cycles pass in which nothing happened, but that atoms were moved between labels or lost in the
        last.
        """
        self.done += cycles
        station, labels = self.station, event.labels
        weights = np.cumsum(self._model.passage(labels[0] * 4 + labels[1]).state_before(cycles + 1))
        index = int(np.searchsorted(weights, station.rng.random() * weights[-1], side="right"))
        self._warm(cycles)
        moved = divmod(index, 4)
        for k, port in station.connected:
            port.move(moved[k], event.losses[k] == cycles)

    def _warm(self, cycles: int) -> None:
        for k, port in self.station.connected:
            port.warm(self._heating[k] * cycles)

    def _leave_in(self, candidate: Candidates) -> None:
        ends = candidate.ends[0].tolist()
        for k, port in self.station.connected:
            port.move(ends[k])
        if candidate.heralded[0]:
            self.herald = candidate
            start_mu = self.start_mu + (self.done - 1) * self.cycle.length_mu
            qubits = tuple(candidate.qubits[0].tolist())
            psi = self.station.turned(candidate.states[0], qubits)
            self.station.entangle(start_mu, psi, float(candidate.reference_s[0]), qubits)


class Playable(Protocol):
    """What a stretch of any scheme can do."""

    herald: Any

    @property
    def over(self) -> bool:
        """Whether a herald or the end has come."""

    @property
    def due_mu(self) -> int:
        """The end of the cycle in which the next event is."""

    def step(self) -> None:
        """Let the next event happen."""

    def cut(self, t_mu: int) -> None:
        """Let the whole cycles pass that have ended by t_mu, which is before the next event."""


def play(stretches: Sequence[Playable]) -> None:
    """Play stretches side by side until the first herald, or until all are over; then all have come equally far.

    Stations that share a node take turns at the next event of either: what happens to an atom at one port (a herald,
    stray light) happens before what comes later at another. One stretch alone is simply played.
    """
    if len(stretches) == 1:
        while not stretches[0].over:
            stretches[0].step()
        return
    while True:
        running = [stretch for stretch in stretches if not stretch.over]
        if not running:
            return
        first_mu = min(stretch.due_mu for stretch in running)
        for stretch in running:
            if stretch.due_mu == first_mu:
                stretch.step()
        if any(stretch.herald is not None for stretch in stretches):
            for stretch in stretches:
                stretch.cut(first_mu)
            return
