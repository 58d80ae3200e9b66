"""The world: the only mutable state of the simulated lab, behind the ports of sim/gateware/README.md.

A signal that reaches a modulator acts on the light later (sound has to travel), so effects wait in a queue ordered by
the time at which they act; they are carried out when lab time passes them, which happens at every look at a detector.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from atomlink.at_port import node_of, row
from atomlink.errors import LabError, ScenarioError
from atomlink.signals import Cycle, CycleResult
from atomlink.topology import NodeSpec, StationSpec
from sim.physics.detector import Detector
from sim.physics.species import Species, species
from sim.world.atoms.array import Tweezers
from sim.world.atoms.rydberg import RydbergGate
from sim.world.atoms.storage import StorageLight
from sim.world.detectors.counter import Counter
from sim.world.elements import catalog
from sim.world.elements.element import Element
from sim.world.network import wiring
from sim.world.network.entangler_port import EntanglerPort, Span, outputs_of, run_together
from sim.world.network.memory_cell import MemoryCell
from sim.world.network.network import Network
from sim.world.network.node import Node
from sim.world.network.photon_port import PhotonPort
from sim.world.network.schemes import check_served, make_station
from sim.world.network.station import Station
from sim.world.scenario.drifts import Course
from sim.world.scenario.quantities import Quantities
from sim.world.scenario.truth import NodeTruth, Scenario, StationTruth

Sink = Callable[[int, Any], None]
_NO_WIRE = wiring.Wire("", "")  # of what acts by itself


class World:
    """A lab in one scenario, with one seed. Times are integers in mu (1 ns)."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        atom = species(scenario.species)
        topology = self.topology = scenario.topology
        self.counters: dict[str, Counter] = {}
        self.nodes = {spec.name: self._node(spec, truth, atom)
                      for spec, truth in zip(topology.nodes, scenario.nodes, strict=True)}  # fmt: skip
        truths = zip(topology.stations, scenario.stations, strict=True)
        self.stations = {spec.name: self._station(k, spec, truth) for k, (spec, truth) in enumerate(truths)}
        ports = {port.key: port for node in self.nodes.values() for port in node.ports.values()}
        self.memories = {spec.name: MemoryCell(spec, truth, ports[spec.port], self.rng(spec.name))
                         for spec, truth in zip(topology.memories, scenario.memories, strict=True)}  # fmt: skip
        self.network = Network(topology, self.nodes, self.stations, self.memories)
        for channel in topology.channels:
            check_served(topology.station(channel.station), self.network.ports[channel.port])
        self._gateware = {spec.name: self._entangler(k, spec.name) for k, spec in enumerate(topology.stations)}
        self._effects: list[tuple[int, int, Callable[[int, Any], None], Any, wiring.Wire]] = []
        self._order = 0
        for name, node in self.nodes.items():
            if node.truth.storage is not None:
                node.storage = StorageLight(node.register, node.beams, self.rng(f"{name}_storage"))
            if node.truth.array is not None:
                rngs = self.rng(f"{name}_array"), self.rng(f"{name}_camera")
                node.tweezers = Tweezers(node.register, atom, *rngs, partial(self._later, node))
                if node.truth.rydberg is not None:
                    port = node.truth.array.port_row, node.truth.array.port_column
                    node.gate = RydbergGate(node.register, node.beams, atom, port, self.rng(f"{name}_rydberg"))
        self._now_mu = 0
        self._reached_mu = 0  # lab time that somebody outside the bus has seen; may be ahead of _now_mu
        self._quiet_until_mu = 0.0  # before this time advancing has nothing to do
        self._elements: dict[str, Element] = {}
        self.twins: dict[str, Any] = {}  # front panels of the instruments, by row: whoever opens one finds it as it was
        self.quantities = Quantities(scenario, self)
        self._target_mu = 0  # how far the effects in hand are being carried out
        self._drift()

    def _node(self, spec: NodeSpec, truth: NodeTruth, atom: Species) -> Node:
        # Each port's imaging path has its own counter; dark clicks are part of the background, which the light makes.
        paths = [row(port.atom, "fluorescence") for port in spec.ports]
        self.counters |= {path: Counter(Detector(1.0, 0.0, 0.0, 0.0), self.rng(path)) for path in paths}
        return Node(spec, truth, atom, self.rng(spec.name), [self.counters[path] for path in paths])

    def _station(self, number: int, spec: StationSpec, truth: StationTruth) -> Station:
        rows = [detector.row for detector in spec.detectors]
        for name, detector in zip(rows, truth.detectors, strict=True):
            self.counters[name] = Counter(detector, self.rng(name))
        # The first station's stream has the name that the only one has always had.
        rng = self.rng(f"link {spec.name}" if number else "link")
        return make_station(spec, truth, tuple(self.counters[name] for name in rows), rng)

    def _entangler(self, number: int, name: str) -> EntanglerPort:
        outputs = outputs_of(self.scenario, number)
        cabled = {key for lines in outputs for key, _ in lines}
        ports = [port for key, port in self.network.ports.items() if key in cabled]
        return EntanglerPort(self, self.stations[name], outputs, ports)

    def _heralder(self, name: str) -> EntanglerPort:
        """Return the gateware of the station that a row belongs to; in a lab of one station any row's."""
        for spec in self.topology.stations:
            if spec.heralder == name or len(self.stations) == 1:
                return self._gateware[spec.name]
        known = [f"{spec.heralder} ({spec.name})" for spec in self.topology.stations if spec.heralder]
        raise ScenarioError(f"Gateware {name!r} heralds for no station of the lab; it must be one of "
                            f"{', '.join(known) or '(there is none)'}: name it in the row `network`.")

    def run_together(self, t_start_mu: int, t_end_mu: int, cycles: Mapping[str, Cycle]) -> dict[str, CycleResult]:
        """Repeat the cycles of several stations, by name, side by side until the first herald of any of them."""
        spans = [Span(self._gateware[name], t_start_mu, t_end_mu, cycle) for name, cycle in cycles.items()]
        return dict(zip(cycles, run_together(self, spans), strict=True))

    def rng(self, element: str) -> np.random.Generator:
        """Return the random numbers of one physical element: its own stream, whoever else draws."""
        return np.random.default_rng([self.seed, zlib.crc32(element.encode())])

    def output(self, port: str, kind: str) -> Any:
        """Return what gateware calls when the signal at a port changes; a spare port leads nowhere."""
        if kind == "entangler":
            return self._heralder(port)
        station = self.stations.get(port.removesuffix("_probe"))
        if station is not None and port.endswith("_probe"):
            return partial(self._probe, station)
        found = wiring.memory_signal(port, self.memories)
        if found is not None:
            latency_s, act = found
            return self._delayed(round(latency_s * 1e9), act)
        wire = wiring.find(port, self.topology)
        if wire is None:
            return _nothing
        node = self.nodes[wire.node]
        if wire.what in wiring.OF_AN_ARRAY and node.tweezers is None:
            return _nothing
        latency, act = wiring.effect(node, self.network, wire, kind)
        return self._sink(node, round(latency * 1e9), act, wire)

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        """Return the function that gives the rising edges of a detector between two times."""
        counter = self.counters.get(port)
        if counter is None:
            return _no_clicks

        advance, between = self.advance, counter.clicks

        def ask(start_mu: int, stop_mu: int) -> list[int]:
            if stop_mu >= self._quiet_until_mu:
                advance(stop_mu)
            elif counter.silent_from_mu <= start_mu and stop_mu < counter.silent_until_mu:
                return []
            return between(start_mu, stop_mu)

        return ask

    def frames(self, port: str) -> Callable[[int, int], list[tuple[int, Any]]]:
        """Return the function that gives the camera frames at a grabber between two times: (read out at, image)."""
        node = self.nodes.get(port.removesuffix("_grabber"))
        if node is None or node.tweezers is None:
            return _no_frames
        ready = node.tweezers.camera.ready

        def ask(start_mu: int, stop_mu: int) -> list[tuple[int, Any]]:
            self.advance(stop_mu)
            return ready(start_mu, stop_mu)

        return ask

    # -- what changes over lab time
    # ------------------------------------------------------------------------------------------

    @property
    def now_mu(self) -> int:
        """Lab time reached, as far as anybody could tell."""
        return max(self._now_mu, self._reached_mu)

    @property
    def now_s(self) -> float:
        """Lab time reached in s."""
        return self.now_mu * 1e-9

    def reach(self, t_mu: int) -> None:
        """Let lab time reach t_mu for somebody outside the bus, who reads `now_mu` and acts then."""
        self.advance(t_mu)
        self._reached_mu = max(self._reached_mu, t_mu)

    def port_of(self, atom: str) -> PhotonPort:
        """Return the photon port that an atom (`atomlink.at_port`) is at."""
        return list(self.nodes[node_of(atom)].ports.values())[self.topology.number_of(atom)]

    def element(self, name: str) -> Any:
        """Return a piece of the lab that is not on the bus; it is made when it is first asked for."""
        if name not in self._elements:
            self._elements[name] = catalog.make(self, name)
        return self._elements[name]

    def apply(self, truth: Scenario) -> None:
        """Let another truth hold from now on; photons in flight and atoms are brought up to now by the old one."""
        now = self.now_mu
        self.network.settle()
        for name, node in self.nodes.items():
            node.evolve(now)
            node.apply(truth.node(name), now)
        for station, its_truth in zip(self.stations.values(), truth.stations, strict=True):
            for counter, detector in zip(station.counters, its_truth.detectors, strict=True):
                counter.set_detector(detector, now)
            station.apply(its_truth)
        for memory, of_memory in zip(self.memories.values(), truth.memories, strict=True):
            memory.apply(of_memory, now)
        self.light_may_be_on()

    def _drift(self) -> None:
        """Lay the courses of the scenario's drifts, each with its own random numbers."""
        step = self.scenario.drift_step_s
        for k, table in enumerate(self.scenario.drift):
            earlier = [(other.path, type(other.process)) for other in self.scenario.drift[:k]]
            same = earlier.count((table.path, type(table.process)))
            rng = self.rng(f"drift {table.path} {type(table.process).__name__} {same}")
            self.quantities.attach(table.path, Course(table, rng, step))
        if self.scenario.drift:
            self.quantities.touch()
            self._queue(round(step * 1e9), self._knot, 1, _NO_WIRE)

    def _knot(self, t_mu: int, knot: int) -> None:
        """Let drifts go on, and jump over the knots of a dark lab, which nobody could tell apart."""
        step_mu = self.scenario.drift_step_s * 1e9
        if not any(node.lit for node in self.nodes.values()):
            until = min(self._target_mu, self._effects[0][0] - 1) if self._effects else self._target_mu
            knot = max(knot, int(until / step_mu))
        try:
            self._wake(max(t_mu, round(knot * step_mu)), None)
        except LabError:
            self._queue(t_mu, self._knot, knot, _NO_WIRE)  # the lab stands still here, and tells everybody who asks
            raise
        self._queue(round((knot + 1) * step_mu), self._knot, knot + 1, _NO_WIRE)

    def wake_at(self, t_s: float) -> None:
        """Build the truth anew when lab time reaches t_s."""
        self._queue(max(self.now_mu, round(t_s * 1e9)), self._wake, None, _NO_WIRE)

    def _wake(self, t_mu: int, _value: Any) -> None:
        self._reached_mu = max(self._reached_mu, t_mu)
        self.quantities.touch()

    def _later(self, node: Node, t_mu: int, act: Callable[[int], None]) -> None:
        """Let something happen at a node by itself when lab time reaches t_mu (a frame ends, a move is made)."""

        def effect(when_mu: int, _value: Any) -> None:
            node.evolve(when_mu)
            act(when_mu)

        self._queue(t_mu, effect, None, _NO_WIRE)

    def _queue(self, t_mu: int, act: Callable[[int, Any], None], value: Any, wire: wiring.Wire) -> None:
        self._order += 1
        self._quiet_until_mu = min(self._quiet_until_mu, t_mu)
        heapq.heappush(self._effects, (t_mu, self._order, act, value, wire))

    # -- time
    # ------------------------------------------------------------------------------------------------------------------

    def advance(self, t_mu: int) -> None:
        """Let lab time reach t_mu: carry out what acts until then, evolve the atoms, decide photons that could have
        been seen.
        """
        if t_mu < self._quiet_until_mu:
            return
        self.carry_out(t_mu)
        if t_mu <= self._now_mu:
            return
        self._now_mu = t_mu
        self._cut_pulses(t_mu)
        self.network.look(t_mu)
        for node in self.nodes.values():
            if node.awake or node.register.next_death_mu <= t_mu:
                node.evolve(t_mu)
        self._quiet_until_mu = self._end_of_quiet()

    def _end_of_quiet(self) -> float:
        """Return when a signal acts or an atom is lost next; 0 while light acts on atoms or photons are in flight."""
        next_mu = self._effects[0][0] if self._effects else math.inf
        for node in self.nodes.values():
            if node.awake:
                if node.bright:
                    return 0.0
                node.awake = False
            next_mu = min(next_mu, node.register.next_death_mu)
        return 0.0 if self.network.in_flight else next_mu

    def _sink(self, node: Node, latency_mu: int, act: Callable[[int, Any], None], wire: wiring.Wire) -> Sink:
        def effect(t_mu: int, value: Any) -> None:
            node.evolve(t_mu)
            node.awake = True
            act(t_mu, value)

        def sink(t_mu: int, value: Any) -> None:
            if self._effects and self._effects[0][0] <= t_mu:
                self.carry_out(t_mu)
            self._order += 1
            self._quiet_until_mu = min(self._quiet_until_mu, t_mu + latency_mu)
            heapq.heappush(self._effects, (t_mu + latency_mu, self._order, effect, value, wire))

        return sink

    def _delayed(self, latency_mu: int, act: Callable[[int, Any], None]) -> Sink:
        return lambda t_mu, value: self._queue(t_mu + latency_mu, act, value, _NO_WIRE)

    def _probe(self, station: Station, t_mu: int, level: int) -> None:
        self._queue(t_mu, lambda when_mu, on: station.probe(when_mu, bool(on)), level, _NO_WIRE)

    def forget(self, what: str) -> None:
        """Take back the signals on wires of one kind (`wiring.Wire.what`) that have not acted yet."""
        self._effects[:] = [effect for effect in self._effects if effect[4].what != what]
        heapq.heapify(self._effects)

    def shut(self) -> None:
        """Close every shutter here and now, without its delay: for a lab that stands still, whose signals do not act
        any more.
        """
        self.light_may_be_on()
        for node in self.nodes.values():
            for beam in node.every_beam:
                beam.set_shutter(False)

    def next_effect_mu(self) -> int | None:
        """Return when the next signal that is on its way acts; None if there is none."""
        return self._effects[0][0] if self._effects else None

    def carry_out(self, t_mu: int) -> None:
        """Let every signal act that is due by t_mu."""
        effects = self._effects
        self._target_mu = t_mu
        while effects and effects[0][0] <= t_mu:
            self._quiet_until_mu = 0.0
            when, _, effect, value, _ = heapq.heappop(effects)
            effect(when, value)

    def light_may_be_on(self) -> None:
        """Look at light and atoms afresh at the next advance, because something else than a signal changed them."""
        self._quiet_until_mu = 0.0
        for node in self.nodes.values():
            node.awake = True

    def _cut_pulses(self, t_mu: int) -> None:
        """Photons of a pulse that is still on may be at the detectors already: learn its end from the queue, or cut it
        here.
        """
        for port in self.network.ports.values():
            start = port.pulse_start_mu
            if start is None or start + port.flight_s * 1e9 > t_mu:
                continue
            node, _, name = port.key.partition(".")
            switch = wiring.Wire(node, "switch", "excitation", name)
            ends = [when for when, _, _, value, wire in self._effects if wire == switch and value == 0]
            stop = min(ends, default=t_mu)
            self.network.emit(port, start, stop)
            port.pulse_start_mu = None if ends else t_mu


def _nothing(_t_mu: int, _value: Any) -> None:
    """A spare output: nothing is connected."""


_nothing.spare = True  # type: ignore[attr-defined]  # whoever drives it may save the call


def _no_clicks(_start_mu: int, _stop_mu: int) -> list[int]:
    return []


def _no_frames(_start_mu: int, _stop_mu: int) -> list[tuple[int, Any]]:
    return []
