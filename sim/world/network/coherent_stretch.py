"""A stretch of repeated cycles of a station whose scheme keeps atoms superposed: cycle by cycle, as `Stretch` has it.

These schemes herald often (one photon: 2 alpha eta an attempt), so that no chain of attempts is needed to jump: every
cycle pumps, lets the light of its outputs meet the atoms as a kernel's pulses would, and looks at the gates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from atomlink.signals import Cycle, CycleResult
from sim.physics.rounds import Source
from sim.world.atoms.labels import ABSENT, QUBIT
from sim.world.network.coherent import CoherentStation
from sim.world.network.cycles import Outputs, Plan, schedule, window_s
from sim.world.network.photon_port import PhotonPort

_CLOSED = (0.0, 0.0)


class CoherentStretch:
    """Cycles of one station from start_mu until a pattern matches or no further cycle fits before end_mu."""

    def __init__(self, station: CoherentStation, start_mu: int, end_mu: int, cycle: Cycle, outputs: Outputs) -> None:
        station.settle()
        self.station, self.start_mu, self.cycle = station, start_mu, cycle
        self.left = (end_mu - start_mu) // cycle.length_mu
        self.done, self.pattern = 0, 0
        self.herald: tuple[float, ...] | None = None  # first click of each detector in its gate, s after the start
        self._plans = [None if port is None else schedule(port, cycle, outputs) for port in station.ports]
        gates = (*cycle.gates, *(None for _ in station.counters))[: len(station.counters)]
        self._windows = [_CLOSED if gate is None else window_s(gate) for gate in gates]
        self._darks = [(stop - start) * rate
                       for (start, stop), rate in zip(self._windows, station.dark_hz, strict=True)]  # fmt: skip
        self._some_dark = -math.expm1(-sum(self._darks))
        self._strays = station.strays
        self._sources = tuple(self._source(k) for k in (0, 1))

    def _source(self, k: int) -> Source | None:
        plan = self._plans[k]
        if plan is None or plan.length_mu <= 0:
            return None
        return self.station.source(k, (round(plan.start_s * 1e9), plan.length_mu))

    @property
    def over(self) -> bool:
        """Whether a herald or the end has come."""
        return self.herald is not None or self.done >= self.left

    @property
    def due_mu(self) -> int:
        """The end of the next cycle."""
        return self.start_mu + (self.done + 1) * self.cycle.length_mu

    def step(self) -> None:
        """Play the next cycle."""
        begun_mu = self.start_mu + self.done * self.cycle.length_mu
        self.done += 1
        plans = [(port, plan) for port, plan in zip(self.station.ports, self._plans, strict=True)
                 if port is not None and plan is not None]  # fmt: skip
        for port, plan in plans:
            self._pump(port, plan, plan.pump[0])
            port.register.heat(port.site, plan.heating_k)
        if self.station.strays != self._strays:  # other photons than a step of temperature before
            self._strays = self.station.strays
            self._sources = tuple(self._source(k) for k in (0, 1))
        clicks = self.station.round(begun_mu, (self._sources[0], self._sources[1]))
        for port, plan in plans:
            self._pump(port, plan, plan.pump[1])
        first = self._first([*clicks, *self._dark_clicks()])
        self.pattern = sum(1 << k for k, seconds in enumerate(first) if seconds < math.inf)
        if self.pattern in self.cycle.patterns:
            self.herald = first

    def cut(self, t_mu: int) -> None:
        """Let the whole cycles pass that have ended by t_mu: those were played."""

    def close(self) -> CycleResult:
        """Have done with it: what the detectors did is accounted for up to its end."""
        end_mu = self.start_mu + self.done * self.cycle.length_mu
        stamps, begun_mu = [-1] * max(4, len(self.station.counters)), end_mu - self.cycle.length_mu
        for k, seconds in enumerate(self.herald or ()):
            if seconds < math.inf:
                stamps[k] = begun_mu + int(seconds * 1e9)
        self.station.skip(end_mu)
        return CycleResult(self.done, self.pattern if self.herald else 0, tuple(stamps), end_mu, self.done)

    def _pump(self, port: PhotonPort, plan: Plan, t_s: float) -> None:
        if t_s <= 0 or port.label == ABSENT:
            return
        if port.label == QUBIT:
            port.register.leave(port.site)
        edges = np.cumsum(port.cycle((t_s, 0.0), 0, 0.0, 0.0).pump_before[port.label])
        port.label = int(np.searchsorted(edges, self.station.rng.random() * edges[-1], side="right"))

    def _dark_clicks(self) -> list[tuple[int, float]]:
        rng = self.station.rng
        if not self._some_dark or rng.random() >= self._some_dark:
            return []
        found: list[tuple[int, float]] = []
        while not found:  # given that there is one
            for k, ((start, stop), mean) in enumerate(zip(self._windows, self._darks, strict=True)):
                found += [(k, start + rng.random() * (stop - start)) for _ in range(rng.poisson(mean))]
        return found

    def _first(self, clicks: Sequence[tuple[int, float]]) -> tuple[float, ...]:
        first = [math.inf] * len(self._windows)
        for k, seconds in clicks:
            start, stop = self._windows[k]
            if start <= seconds < stop:
                first[k] = min(first[k], seconds)
        return tuple(first)
