"""The link between two nodes: photons in flight, the midpoint's detectors, and the heralding gateware's repeated cycle.

A pulse of excitation light on a ready atom is an *emission*; it stays undecided until its photon could have been seen
(somebody looks at a detector) or its atom is touched. Then it is drawn together with the partner's, if their windows
overlap. The entangler's cycles use the same statistics and jump from candidate to candidate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from atomlink.signals import Cycle, CycleResult
from sim.physics.interference import Midpoint
from sim.world.atoms.labels import ABSENT, F1, READY
from sim.world.atoms.states import Birth, JointState, Part, Unborn, embed
from sim.world.detectors.counter import Counter
from sim.world.network.attempt import AttemptModel, Candidates, Gates
from sim.world.network.cycles import one_by_one, schedule, window_s
from sim.world.network.flights import BLOCK, Flight, Pulse, flights
from sim.world.network.node import Node
from sim.world.network.node_cycle import NodeCycle
from sim.world.scenario.truth import MidpointTruth

_KINDS = 64  # kinds of attempts whose statistics are kept; a scan that never repeats one must not fill the memory
_CLOSED = (0.0, 0.0)
_NO_PUMP = (0.0, 0.0)


class Link:
    """Two nodes (alice, bob), the midpoint, and its four counters (c_h, c_v, d_h, d_v)."""

    def __init__(
        self, truth: MidpointTruth, nodes: tuple[Node, Node], counters: tuple[Counter, ...], rng: np.random.Generator
    ) -> None:
        self.nodes, self.counters, self.rng = nodes, counters, rng
        self.probed_mu: int | None = None  # the calibration light is on, and has reached the detectors up to this time
        self._epoch = 0
        self._derive(truth)
        self._pending: list[Pulse] = []
        self._models: dict[tuple, AttemptModel] = {}
        self._flights: dict[tuple, Iterator[Flight]] = {}
        self._blocks: dict[tuple, Iterator[Candidates]] = {}
        self._key: tuple = ()
        for node in nodes:
            node.register.before_touch = self.settle
        for counter in counters:
            counter.on_latch = lambda: self._derive(self.truth)

    def apply(self, truth: MidpointTruth) -> None:
        """Live by another truth from now on; the world has settled what was in flight."""
        if truth != self.truth:
            self._derive(truth)

    def _derive(self, truth: MidpointTruth) -> None:
        self.truth, self._epoch = truth, self._epoch + 1
        seeing = [0.0 if counter.latched else 1.0 for counter in self.counters]
        efficiency = [sees * each.efficiency for sees, each in zip(seeing, truth.detectors, strict=True)]
        light = truth.probe_hz if self.probed_mu is not None else 0.0  # clicks as dark ones do, whatever the atoms do
        self._dark_hz = tuple(sees * (each.dark_rate_hz + light * each.efficiency)
                              for sees, each in zip(seeing, truth.detectors, strict=True))  # fmt: skip
        best = max(efficiency)
        self._throughput = truth.transmission * best
        relative = tuple(each / best if best else 0.0 for each in efficiency)
        jitter = float(np.mean([detector.jitter_sigma_s for detector in truth.detectors]))
        self._midpoint = Midpoint(
            truth.overlap, truth.detuning_rad_s, (relative[0], relative[1], relative[2], relative[3]), jitter
        )

    # -- pulses spelled out by a kernel
    # -----------------------------------------------------------------------------------------

    def emit(self, node: int, start_mu: int, stop_mu: int) -> None:
        """Excitation light was on at a node's atom; if the atom was ready, it may emit."""
        if any(pulse.node == node for pulse in self._pending):
            self.settle()
        if self.nodes[node].label == READY and stop_mu > start_mu:
            self._pending.append(Pulse(node, start_mu, stop_mu))

    def look(self, t_mu: int) -> None:
        """Somebody looks at a detector at t_mu: decide what could have been seen by then."""
        self._shine(t_mu)
        for pulse in self._pending:
            if pulse.start_mu + self.nodes[pulse.node].flight_s * 1e9 <= t_mu:
                self.settle()
                return

    def probe(self, t_mu: int, on: bool) -> None:
        """Switch the calibration light that falls on all four detectors."""
        self._shine(t_mu)
        self.probed_mu = t_mu if on else None
        self._derive(self.truth)

    def _shine(self, t_mu: int) -> None:
        """Let the calibration light reach the counters until t_mu, if it is on."""
        if self.probed_mu is None or t_mu <= self.probed_mu:
            return
        for counter, detector in zip(self.counters, self.truth.detectors, strict=True):
            counter.shine(self.probed_mu, t_mu, self.truth.probe_hz * detector.efficiency)
        self.probed_mu = t_mu

    @property
    def in_flight(self) -> bool:
        """Whether emissions are still open, or calibration light is on its way."""
        return bool(self._pending) or self.probed_mu is not None

    def settle(self) -> None:
        """Decide every emission that is still open, those of both nodes together."""
        pulses, self._pending = self._pending, []
        if pulses:
            self._decide(sorted(pulses, key=lambda pulse: pulse.start_mu))

    def _decide(self, pulses: list[Pulse]) -> None:
        zero = pulses[0].start_mu
        shapes: list[tuple[int, int] | None] = [None, None]
        for pulse in pulses:
            shapes[pulse.node] = (pulse.start_mu - zero, pulse.stop_mu - pulse.start_mu)
        flight = next(self._stream(tuple(shapes)))
        for detector, seconds in flight.clicks:
            self.counters[detector].photon(zero + int(seconds * 1e9))
        for pulse in pulses:
            node = self.nodes[pulse.node]
            node.label = flight.ends[pulse.node]
            node.register.heat(node.site, node.truth.atom.emission_heating_k)
        both = tuple(shape is not None and flight.ends[k] == F1 for k, shape in enumerate(shapes))
        self._entangle(zero, flight.psi, flight.reference_s, both)

    def _stream(self, shapes: tuple[tuple[int, int] | None, ...]) -> Iterator[Flight]:
        self._refresh()
        if shapes not in self._flights:
            _make_room(self._flights)
            cycles = [self._plain(k, shape) for k, shape in enumerate(shapes)]
            model = AttemptModel((cycles[0], cycles[1]), self._midpoint, Gates((_CLOSED,) * 4, (0.0,) * 4, ()))
            labels = [ABSENT if shape is None else READY for shape in shapes]
            self._flights[shapes] = flights(model, labels, self._midpoint, self.rng)
        return self._flights[shapes]

    def _plain(self, node: int, shape: tuple[int, int] | None) -> NodeCycle:
        start, length = shape or (0, 1)
        return self.nodes[node].cycle(_NO_PUMP, length, start * 1e-9, self._throughput)

    def _entangle(self, zero_mu: int, psi: np.ndarray, reference: float, qubits: tuple[bool, ...]) -> None:
        """Give the atoms that emitted their state; `reference` is in seconds after zero_mu, at the detectors."""
        times = [zero_mu + (reference - node.flight_s) * 1e9 for node in self.nodes]
        here = [k for k, node in enumerate(self.nodes) if qubits[k] and node.label != ABSENT]
        if len(here) == 2:
            self._born(here, embed(psi), times)
        elif here:
            # Not entangled: the state is a product, so the largest row or column of it is this atom's.
            matrix = psi.reshape(2, 2) if here == [0] else psi.reshape(2, 2).T
            column = matrix[:, int(np.argmax(np.abs(matrix).sum(axis=0)))]
            state = embed(column / np.linalg.norm(column))
            self._born(here, state, times)

    def _born(self, here: list[int], psi: np.ndarray, times: list[float]) -> None:
        """Leave the atoms of some nodes in a state that is built when it is needed."""

        def build() -> list[Part]:
            parts = [self.nodes[k].register.new_part(times[k]) for k in here]
            return JointState(psi, parts).parts[:]

        birth = Birth(build, self.rng)
        for index, k in enumerate(here):
            self.nodes[k].register.become(self.nodes[k].site, Unborn(birth, index))

    # -- cycles repeated by the gateware
    # ----------------------------------------------------------------------------------------

    def run(
        self, start_mu: int, end_mu: int, cycle: Cycle, outputs: tuple[tuple[tuple[int, str], ...], ...]
    ) -> CycleResult:
        """Repeat a cycle from start_mu until a pattern matches or no further cycle fits before end_mu.

        `outputs[k]`: the beams (node, role) that output k switches.
        """
        self.settle()
        left = (end_mu - start_mu) // cycle.length_mu
        model, heating = self.model(cycle, outputs)
        done = 0
        while done < left:
            labels = (self.nodes[0].register.chain_label(self.nodes[0].site),
                      self.nodes[1].register.chain_label(self.nodes[1].site))  # fmt: skip
            passage = model.passage(labels[0] * 4 + labels[1])
            losses = [node.register.cycles_until_loss(node.site, rise)
                      for node, rise in zip(self.nodes, heating, strict=True)]  # fmt: skip
            stop = min([left - done, *(loss for loss in losses if loss is not None)])
            if not passage.converged:
                stop = min(stop, passage.table_end)
            candidate = next(self._candidates(model, labels))
            wait = int(candidate.cycle[0])
            if wait > stop:
                self._wait(model, labels, stop, heating, losses)
                done += stop
                continue
            done += wait
            self._warm(heating, wait)
            start = start_mu + (done - 1) * cycle.length_mu
            self._leave_in(candidate, start)
            if candidate.heralded[0]:
                return self._result(candidate, done, start, cycle)
        end = start_mu + done * cycle.length_mu
        self._skip(end)
        return CycleResult(done, 0, (-1, -1, -1, -1), end, done)

    def _result(self, candidate: Candidates, cycles: int, start_mu: int, cycle: Cycle) -> CycleResult:
        stamps = [start_mu + int(t * 1e9) if np.isfinite(t) else -1 for t in candidate.first_s[0]]
        end = start_mu + cycle.length_mu
        self._skip(end)
        return CycleResult(cycles, int(candidate.pattern[0]), (stamps[0], stamps[1], stamps[2], stamps[3]), end, cycles)

    def _skip(self, t_mu: int) -> None:
        for counter in self.counters:
            counter.skip(t_mu)
        if self.probed_mu is not None:
            self.probed_mu = max(self.probed_mu, t_mu)
        for node in self.nodes:
            node.evolve(t_mu)

    def _leave_in(self, candidate: Candidates, start_mu: int) -> None:
        ends = candidate.ends[0]
        for k, node in enumerate(self.nodes):
            node.register.leave(node.site)
            if node.label != ABSENT:
                node.label = int(ends[k])
        if candidate.heralded[0]:
            qubits = tuple(int(end) == F1 for end in ends)
            self._entangle(start_mu, candidate.states[0], float(candidate.reference_s[0]), qubits)

    def _wait(
        self,
        model: AttemptModel,
        labels: tuple[int, int],
        cycles: int,
        heating: tuple[float, float],
        losses: list[int | None],
    ) -> None:
        """Let so many cycles pass in which nothing happened, but that atoms were moved between labels or lost in the
        last.
        """
        weights = np.cumsum(model.passage(labels[0] * 4 + labels[1]).state_before(cycles + 1))
        index = int(np.searchsorted(weights, self.rng.random() * weights[-1], side="right"))
        self._warm(heating, cycles)
        for node, label, loss in zip(self.nodes, divmod(index, 4), losses, strict=True):
            node.register.leave(node.site)
            if node.label != ABSENT:
                node.label = label
            if loss == cycles:
                node.register.lose(node.site)

    def _warm(self, heating: tuple[float, float], cycles: int) -> None:
        for node, rise in zip(self.nodes, heating, strict=True):
            if node.label != ABSENT:
                node.register.temperature_k[node.site] += rise * cycles  # whether this lost the atom was drawn before

    def _candidates(self, model: AttemptModel, labels: tuple[int, int]) -> Iterator[Candidates]:
        key = (id(model), labels)
        if key not in self._blocks:
            _make_room(self._blocks)
            self._blocks[key] = one_by_one(lambda: model.candidates(self.rng, np.tile(labels, (BLOCK, 1))))
        return self._blocks[key]

    def model(self, cycle: Cycle, outputs: tuple) -> tuple[AttemptModel, tuple[float, float]]:
        self._refresh()
        schedules = [schedule(node, k, cycle, outputs) for k, node in enumerate(self.nodes)]
        key = (cycle, tuple(schedules))
        if key not in self._models:
            if len(self._models) >= _KINDS:
                self._models.clear()
                self._blocks.clear()
            nodes = [
                node.cycle(plan.pump, plan.length_mu, plan.start_s, self._throughput)
                for node, plan in zip(self.nodes, schedules, strict=True)
            ]
            for k, plan in enumerate(schedules):
                if plan.length_mu == 0:
                    nodes[k] = NodeCycle(nodes[k].pump_before, nodes[k].pump_after, 0.0, 0.0, nodes[k].arm)
            windows = tuple(_CLOSED if gate is None else window_s(gate) for gate in cycle.gates)
            self._models[key] = AttemptModel(
                (nodes[0], nodes[1]), self._midpoint, Gates(windows, self._dark_hz, cycle.patterns)
            )
        heating = [plan.heating_k + node.truth.atom.emission_heating_k * (plan.length_mu > 0)
                   for node, plan in zip(self.nodes, schedules, strict=True)]  # fmt: skip
        return self._models[key], (heating[0], heating[1])

    def _refresh(self) -> None:
        """Throw away outcomes drawn for other powers, fields or cavities than the present ones."""
        key = (self._epoch, self.nodes[0].key, self.nodes[1].key)
        if key != self._key:
            self._key = key
            self._flights.clear()
            self._blocks.clear()
            self._models.clear()


def _make_room(kept: dict) -> None:
    if len(kept) >= _KINDS:
        kept.clear()
