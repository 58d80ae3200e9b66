"""A station: photons in flight from two ports, its detectors, and the statistics of its gateware's repeated cycle.

A pulse of excitation light on a ready atom is an *emission*; it stays undecided until its photon could have been seen
(somebody looks at a detector) or its atom is touched. Then it is drawn together with the partner's, if their windows
overlap. The gateware's cycles use the same statistics and jump from candidate to candidate (`stretch`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from atomlink.errors import ScenarioError
from atomlink.signals import Cycle
from atomlink.topology import StationSpec
from sim.physics.interference import Midpoint
from sim.physics.motion import Spread
from sim.world.atoms.labels import ABSENT, F1, F2, READY
from sim.world.atoms.states import Birth, JointState, Part, Unborn, embed
from sim.world.detectors.counter import Counter
from sim.world.network.attempt import AttemptModel, Candidates, Gates
from sim.world.network.cycles import Outputs, Plan, Stored, one_by_one, schedule, window_s
from sim.world.network.detection import Detection
from sim.world.network.flights import BLOCK, Flight, Pulse, flights
from sim.world.network.node_cycle import NodeCycle, nobody
from sim.world.network.photon_port import PhotonPort
from sim.world.scenario.truth import StationTruth

_KINDS = 64  # kinds of attempts whose statistics are kept; a scan that never repeats one must not fill the memory
_CLOSED = (0.0, 0.0)
_NO_PUMP = (0.0, 0.0)
_DARK = nobody()
Shape = tuple[int, int] | None  # of a pulse: start after the first one's, length, in mu; None where there is none


class Station:
    """One station: the ports that its two inputs are connected to now (None: nothing), and its counters.

    This one heralds by two photons of two polarisations; `coherent` has the schemes in which atoms stay superposed.
    """

    excited_labels: tuple[int, ...] = (READY,)  # what an atom must be for excitation light to concern it

    def __init__(self, spec: StationSpec, truth: StationTruth, counters: tuple[Counter, ...],
                 rng: np.random.Generator) -> None:  # fmt: skip
        self.spec, self.name, self.counters, self.rng = spec, spec.name, counters, rng
        self.ports: tuple[PhotonPort | None, PhotonPort | None] = (None, None)
        self.connected: tuple[tuple[int, PhotonPort], ...] = ()
        self.probed_mu: int | None = None  # the calibration light is on, and has reached the detectors up to this time
        self._closed_gates = (_CLOSED,) * len(counters)
        self._epoch = 0
        self._derive(truth)
        self._pending: list[Pulse] = []
        self._models: dict[tuple, AttemptModel] = {}
        self._flights: dict[tuple, Iterator[Flight]] = {}
        self._blocks: dict[tuple, Iterator[Candidates]] = {}
        self._statistics: tuple = ()
        for counter in counters:
            counter.on_latch = lambda: self._derive(self.truth)

    def connect(self, ports: tuple[PhotonPort | None, PhotonPort | None]) -> None:
        """Have other ports at the inputs from now on."""
        self.settle()
        self.ports = ports
        self.connected = tuple((k, port) for k, port in enumerate(ports) if port is not None)

    def apply(self, truth: StationTruth) -> None:
        """Live by another truth from now on; the world has settled what was in flight."""
        if truth != self.truth:
            self._derive(truth)

    def _derive(self, truth: StationTruth) -> None:
        self.truth, self._epoch = truth, self._epoch + 1
        seeing = [0.0 if counter.latched else 1.0 for counter in self.counters]
        efficiency = [sees * each.efficiency for sees, each in zip(seeing, truth.detectors, strict=True)]
        light = truth.probe_hz if self.probed_mu is not None else 0.0  # clicks as dark ones do, whatever the atoms do
        self.dark_hz = tuple(sees * (each.dark_rate_hz + light * each.efficiency)
                              for sees, each in zip(seeing, truth.detectors, strict=True))  # fmt: skip
        best = max(Detection(self.spec.roles, tuple(efficiency)).slots)
        self._throughput = truth.transmission * best
        relative = tuple(each / best if best else 0.0 for each in efficiency)
        self._detection = Detection(self.spec.roles, relative)
        jitter = float(np.mean([detector.jitter_sigma_s for detector in truth.detectors]))
        self._midpoint = Midpoint(truth.overlap, truth.detuning_rad_s, self._detection.slots, jitter)

    # -- photons that come alone, and light without a phase ------------------------------------------------------------

    def alone(self, port: PhotonPort, start_mu: int, emitted_s: float, ket: np.ndarray) -> None:
        """A port's atom has emitted at emitted_s after start_mu, and its photon meets no other: its state is `ket`."""
        k = self.ports.index(port)
        nobody = np.array([1, 0])
        psi = np.outer(nobody, ket) if k else np.outer(ket, nobody)
        self.entangle(start_mu, psi.ravel(), emitted_s + port.flight_s, (k == 0, k == 1))

    def arrive(self, t_mu: float, polarisation: int) -> None:
        """A photon that interferes with no other comes to the splitter at t_mu, H (0) or V (1) behind it."""
        slot = 2 * int(self.rng.integers(2)) + polarisation
        if self.rng.random() < self._throughput * self._midpoint.efficiencies[slot]:
            detector = int(self._detection.assigned(self.rng, np.array([slot]))[0])
            self.counters[detector].photon(int(t_mu))

    def shine(self, start_mu: int, stop_mu: int, rate_hz: float) -> None:
        """Unpolarised light of so many photons per second comes to one input between two times."""
        for here in self._detection.at:
            for k in here:
                seen = self.truth.transmission * self.truth.detectors[k].efficiency * (not self.counters[k].latched)
                self.counters[k].shine(start_mu, stop_mu, rate_hz * seen / (4 * len(here)))

    # -- pulses spelled out by a kernel --------------------------------------------------------------------------------

    def emit(self, port: PhotonPort, start_mu: int, stop_mu: int) -> None:
        """Excitation light was on at the atom of a connected port; if the atom was ready, it may emit."""
        k = self.ports.index(port)
        if any(pulse.input == k for pulse in self._pending):
            self.settle()
        if (port.label in self.excited_labels or port.sends_beside) and stop_mu > start_mu:
            self._pending.append(Pulse(k, start_mu, stop_mu))

    def look(self, t_mu: int) -> None:
        """Somebody looks at a detector at t_mu: decide what could have been seen by then."""
        self._shine(t_mu)
        for pulse in self._pending:
            port = self.ports[pulse.input]
            if port is not None and pulse.start_mu + port.flight_s * 1e9 <= t_mu:
                self.settle()
                return

    def probe(self, t_mu: int, on: bool) -> None:
        """Switch the calibration light that falls on all detectors."""
        self._shine(t_mu)
        self.probed_mu = t_mu if on else None
        self._derive(self.truth)

    def _shine(self, t_mu: int) -> None:
        """Let the calibration light reach the counters until t_mu, if it is on."""
        if self.probed_mu is None or t_mu <= self.probed_mu:
            return
        shares = self.probe_shares(t_mu)
        for counter, detector, share in zip(self.counters, self.truth.detectors, shares, strict=True):
            counter.shine(self.probed_mu, t_mu, self.truth.probe_hz * detector.efficiency * share)
        self.probed_mu = t_mu

    def probe_shares(self, _t_mu: int) -> tuple[float, ...]:
        """Return how much of the calibration light each detector sees, 1 on average."""
        return (1.0,) * len(self.counters)

    @property
    def in_flight(self) -> bool:
        """Whether emissions are still open, or calibration light is on its way."""
        return bool(self._pending) or self.probed_mu is not None

    def settle(self) -> None:
        """Decide every emission that is still open, those of both inputs together."""
        pulses, self._pending = self._pending, []
        if pulses:
            self._decide(sorted(pulses, key=lambda pulse: pulse.start_mu))

    def _decide(self, pulses: list[Pulse]) -> None:
        zero = pulses[0].start_mu
        shapes: list[Shape] = [None, None]
        for pulse in pulses:
            shapes[pulse.input] = (pulse.start_mu - zero, pulse.stop_mu - pulse.start_mu)
        flight = next(self._stream((shapes[0], shapes[1]), self._excited_from(shapes)))
        for detector, seconds in flight.clicks:
            self.counters[detector].photon(zero + int(seconds * 1e9))
        for pulse in pulses:
            port = self.ports[pulse.input]
            assert port is not None
            port.excited(flight.ends[pulse.input])
        both = tuple(shape is not None and flight.ends[k] == F1 and not flight.wrong[k]
                     for k, shape in enumerate(shapes))  # fmt: skip
        self.entangle(zero, self.turned(flight.psi, both), flight.reference_s, both)

    def turned(self, psi: np.ndarray, qubits: tuple[bool, ...]) -> np.ndarray:
        """Return the atoms' state (4,) after the rails of memories that photons passed: H and V are an atom's |0>, |1>.

        What the rails take was drawn as their mean, whatever the polarisation.
        """
        passed = [(k, port.memory) for k, port in self.connected if port.memory is not None and qubits[k]]
        if not passed:
            return psi
        pair = psi.reshape(2, 2)
        for k, memory in passed:
            pair = pair * (memory.turn() if k else memory.turn()[:, None])
        norm = float(np.linalg.norm(pair))
        return np.asarray(pair.ravel() / norm) if norm > 0 else psi

    def _excited_from(self, shapes: list[Shape]) -> tuple[int, ...]:
        """Return the labels that the atoms of a pulse had; ABSENT where there was none."""
        here = [ABSENT if shape is None or port is None else F2 if port.label == F2 else READY
                for shape, port in zip(shapes, self.ports, strict=True)]  # fmt: skip
        return tuple(here)

    def _stream(self, shapes: tuple[Shape, Shape], labels: tuple[int, ...]) -> Iterator[Flight]:
        self._refresh()
        key = (shapes, labels, self.strays)
        if key not in self._flights:
            _make_room(self._flights)
            cycles = [self._plain(k, shape) for k, shape in enumerate(shapes)]
            gates = Gates(self._closed_gates, (0.0,) * len(self.counters), ())
            model = AttemptModel((cycles[0], cycles[1]), self._midpoint, gates, self._detection)
            self._flights[key] = flights(model, list(labels), self._midpoint, self.rng)
        return self._flights[key]

    def _plain(self, k: int, shape: Shape) -> NodeCycle:
        start, length = shape or (0, 1)
        port = self.ports[k]
        return _DARK if port is None else port.cycle(_NO_PUMP, length, start * 1e-9, self._through(port))

    def _through(self, port: PhotonPort) -> float:
        """Return the chance of a click for a photon at the fibre's end, or where there are any before the rails."""
        return self._throughput * (1.0 if port.memory is None else port.memory.transmission)

    def entangle(self, zero_mu: int, psi: np.ndarray, reference: float, qubits: tuple[bool, ...]) -> None:
        """Give the atoms that emitted their state; `reference` is in seconds after zero_mu, at the detectors."""
        here = [k for k, port in self.connected if qubits[k] and port.label != ABSENT]
        if len(here) == 2:
            self._born(here, embed(psi), zero_mu, reference)
        elif here:
            # Not entangled: the state is a product, so the largest row or column of it is this atom's.
            matrix = psi.reshape(2, 2) if here == [0] else psi.reshape(2, 2).T
            column = matrix[:, int(np.argmax(np.abs(matrix).sum(axis=0)))]
            self._born(here, embed(column / np.linalg.norm(column)), zero_mu, reference)

    def _born(self, here: list[int], psi: np.ndarray, zero_mu: int, reference: float) -> None:
        """Leave the atoms at some inputs in a state that is built when it is needed."""
        ports = [port for k, port in self.connected if k in here]
        times = [zero_mu + (reference - port.flight_s) * 1e9 for port in ports]

        def build() -> list[Part]:
            parts = [port.new_part(t_mu) for port, t_mu in zip(ports, times, strict=True)]
            return JointState(psi, parts).parts[:]

        birth = Birth(build, self.rng)
        for number, port in enumerate(ports):
            port.become(Unborn(birth, number))

    # -- cycles repeated by the gateware -------------------------------------------------------------------------------

    @property
    def strays(self) -> tuple[Spread | None, ...]:
        """How far the atoms at the connected ports stray, where it matters."""
        return tuple([port.strays for _, port in self.connected])

    def labels(self) -> tuple[int, int]:
        """Return the labels at both inputs as the chain of attempts counts them."""
        first, second = self.ports
        return (ABSENT if first is None else first.chain_label(), ABSENT if second is None else second.chain_label())

    def candidates(self, model: AttemptModel, labels: tuple[int, int]) -> Iterator[Candidates]:
        """Return the next candidates from these labels, one after the other."""
        key = (id(model), labels)
        if key not in self._blocks:
            _make_room(self._blocks)
            self._blocks[key] = one_by_one(lambda: model.candidates(self.rng, np.tile(labels, (BLOCK, 1))))
        return self._blocks[key]

    def skip(self, t_mu: int) -> None:
        """Cycles were played up to t_mu: what the detectors did in them is accounted for."""
        for counter in self.counters:
            counter.skip(t_mu)
        if self.probed_mu is not None:
            self.probed_mu = max(self.probed_mu, t_mu)
        for _, port in self.connected:
            port.node.evolve(t_mu)

    def model(self, cycle: Cycle, outputs: Outputs) -> tuple[AttemptModel, tuple[float, float]]:
        """Return the statistics of a cycle, and by how much it warms each atom."""
        self._refresh()
        schedules = self._schedules(cycle, outputs)
        key = (cycle, tuple(schedules), self.strays)
        if key not in self._models:
            if len(self._models) >= _KINDS:
                self._models.clear()
                self._blocks.clear()
            self._models[key] = self._build(cycle, schedules)
        heating = [0.0, 0.0]
        for k, port in self.connected:
            plan = schedules[k]
            assert plan is not None
            heating[k] = plan.heating_k + port.node.truth.atom.emission_heating_k * (plan.length_mu > 0)
        return self._models[key], (heating[0], heating[1])

    def stored_beside(self, cycle: Cycle, outputs: Outputs) -> list[Stored]:
        """Return the qubits at other ports of the nodes here, with what a cycle's light does to them."""
        ports = [port for _, port in self.connected if len(port.node.lights) > 1]
        return [Stored(port, light, schedule(port, cycle, outputs)) for port in ports for light in port.node.lights
                if light is not port.light and light.site in port.register.handles]  # fmt: skip

    def _schedules(self, cycle: Cycle, outputs: Outputs) -> list[Plan | None]:
        return [None if port is None else schedule(port, cycle, outputs) for port in self.ports]

    def _build(self, cycle: Cycle, schedules: list) -> AttemptModel:
        nodes = [_DARK if port is None else port.cycle(plan.pump, plan.length_mu, plan.start_s, self._through(port))
                 for port, plan in zip(self.ports, schedules, strict=True)]  # fmt: skip
        given = (*cycle.gates, *(None for _ in self.counters))[: len(self.counters)]
        windows = tuple(_CLOSED if gate is None else window_s(gate) for gate in given)
        detection = self._detection
        gates = Gates(windows, self.dark_hz, cycle.patterns, detection.inputs("h"), detection.inputs("v"))
        return AttemptModel((nodes[0], nodes[1]), self._midpoint, gates, detection)

    def _refresh(self) -> None:
        """Throw away outcomes drawn for other powers, fields, cavities or ports than the present ones."""
        statistics = (self._epoch, *(None if port is None else port.statistics for port in self.ports))
        if statistics != self._statistics:
            self._statistics = statistics
            self._flights.clear()
            self._blocks.clear()
            self._models.clear()


def refuse_cloud(port: PhotonPort, t_mu: int) -> None:
    """Refuse repeated cycles from t_mu on where a cloud stands in the way of a port's photons."""
    if port.memory is not None and not port.memory.passes(t_mu):
        raise ScenarioError(
            f"The way from {port.key} leads through the cloud of memory {port.memory.name}, whose control light the "
            "gateware's repeated cycles do not have: let the cloud go first, or choose backend=software."
        )


def _make_room(kept: dict) -> None:
    if len(kept) >= _KINDS:
        kept.clear()
