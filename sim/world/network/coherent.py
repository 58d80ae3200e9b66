"""A station whose scheme keeps atoms superposed with |2>: one photon, time bins, Barrett and Kok.

Its ports send one polarisation: excitation light takes |2> (F = 2, m = 0) to |0> and a photon, and spares |0> and |1>,
as `sim.physics.rounds` has it. How much it takes, and what the state was before, is up to the light that was played:
a weak pulse makes a one-photon attempt, two rounds with a swap between them make time bins. An atom that was pumped
(READY) and has not emitted stays what it is; any other becomes a qubit, with its partner where a click leaves it open
whose photon it was. Precession counts from each pulse's start.
"""

from __future__ import annotations

import math

import numpy as np

from atomlink.topology import StationSpec
from sim.physics.clicks import Path
from sim.physics.emission import merged
from sim.physics.motion import Spread
from sim.physics.rounds import Source, Splitter, play
from sim.world.atoms.labels import QUBIT, READY
from sim.world.atoms.states import Complexes, JointState, Part
from sim.world.detectors.counter import Counter
from sim.world.network.flights import Pulse
from sim.world.network.photon_port import PhotonPort
from sim.world.network.station import Shape, Station
from sim.world.network.walk import PhaseWalk
from sim.world.scenario.truth import StationTruth

_KEPT_S = 100e-6  # a difference of the photons' frequencies lasts so long: locks drift in milliseconds


class CoherentStation(Station):
    """One station; see above."""

    excited_labels = (READY, QUBIT)

    def __init__(self, spec: StationSpec, truth: StationTruth, counters: tuple[Counter, ...],
                 rng: np.random.Generator) -> None:  # fmt: skip
        super().__init__(spec, truth, counters, rng)
        self._walk = PhaseWalk(rng)
        self._drawn_mu, self._detuning = -math.inf, 0.0
        self._sources: dict[tuple[int, Shape, Spread | None], Source] = {}

    def connect(self, ports: tuple[PhotonPort | None, PhotonPort | None]) -> None:
        """Have other ports at the inputs from now on."""
        for _, port in self.connected:
            port.light.coherent = False
        super().connect(ports)
        for _, port in self.connected:
            port.light.coherent = True

    # -- the phase between both ways -----------------------------------------------------------------------------------

    def phase_rad(self, t_mu: int) -> float:
        """Return the phase of the second way against the first at t_mu, with what their modulators add."""
        truth = self.truth
        return truth.phase_rad + self._walk.at(t_mu, truth.phase_walk_rad2_s) + self._modulators_rad(t_mu)

    def _modulators_rad(self, t_mu: int) -> float:
        first, second = self.ports
        if first is None or second is None:
            return 0.0
        return second.beams["excitation"].phase_rad(t_mu) - first.beams["excitation"].phase_rad(t_mu)

    def probe_shares(self, t_mu: int) -> tuple[float, ...]:
        """Return how much of the calibration light each detector sees: a fringe, as it comes by both ways."""
        fringe = self.truth.probe_visibility * math.cos(self.phase_rad(t_mu))
        return tuple(1 + fringe if name.startswith("c") else 1 - fringe for name in self.spec.roles)

    # -- a round of light ----------------------------------------------------------------------------------------------

    def _decide(self, pulses: list[Pulse]) -> None:
        zero = pulses[0].start_mu
        sources: list[Source | None] = [None, None]
        for pulse in pulses:
            shape = (pulse.start_mu - zero, pulse.stop_mu - pulse.start_mu)
            sources[pulse.input] = self.source(pulse.input, shape)
        for detector, seconds in self.round(zero, (sources[0], sources[1])):
            self.counters[detector].photon(zero + int(seconds * 1e9))

    def round(self, zero_mu: int, sources: tuple[Source | None, Source | None]) -> list[tuple[int, float]]:
        """Let light meet the atoms of one round; return the clicks (detector, seconds after zero_mu)."""
        lit = [k for k, port in self.connected if sources[k] is not None and port.label in self.excited_labels]
        sources = sources[0] if 0 in lit else None, sources[1] if 1 in lit else None
        ports = [port for k, port in self.connected if k in lit]
        if not ports:
            return []
        fresh = all(port.label == READY for port in ports)
        starts = [zero_mu + sources[k].start_s * 1e9 for k in lit]  # type: ignore[union-attr]
        before = _PUMPED[len(ports)] if fresh else self._state(ports, starts)
        shape = before if len(ports) == 2 or 0 in lit else before.swapaxes(0, 1)
        found = play(self.rng, sources, self._splitter(zero_mu), shape)
        after = found.psi if shape is before else found.psi.swapaxes(0, 1)
        self._leave(ports, starts, after, fresh)
        for port in ports:
            port.register.heat(port.site, port.node.truth.atom.emission_heating_k)
        slots = [2 * port for port, _ in found.clicks]
        if not slots:
            return []
        detectors = self._detection.assigned(self.rng, np.array(slots, dtype=np.int64))
        return [(int(k), seconds) for k, (_, seconds) in zip(detectors, found.clicks, strict=True) if k >= 0]

    def source(self, k: int, shape: Shape) -> Source:
        """Return the light that a pulse (start after the round's zero, length, in mu) makes at one input."""
        self._refresh()
        port = self.ports[k]
        key = (k, shape, None if port is None else port.strays)
        if key not in self._sources:
            cycle = self._plain(k, shape)
            arm = cycle.arm
            seen = min(cycle.detected + cycle.wrong, cycle.transferred)
            path = Path(merged(arm.emission), min(1.0, seen), arm.delay_s, arm.jitter_s)
            start_s = 0.0 if shape is None else shape[0] * 1e-9
            self._sources[key] = Source(path, cycle.transferred, seen, start_s)
        return self._sources[key]

    def _refresh(self) -> None:
        before = self._statistics
        super()._refresh()
        if self._statistics != before:
            self._sources.clear()

    def _splitter(self, t_mu: int) -> Splitter:
        slots, phase, overlap = self._midpoint.efficiencies, self.phase_rad(t_mu), self.truth.overlap
        first, second = self.ports
        if first is not None and second is not None:  # both send H, which their fibres may turn differently
            same = complex(np.vdot(first.jones()[:, 0], second.jones()[:, 0]))
            overlap, phase = overlap * abs(same) ** 2, phase + math.atan2(same.imag, same.real)
        if t_mu - self._drawn_mu > _KEPT_S * 1e9:
            self._drawn_mu = t_mu
            self._detuning = self.rng.normal(0.0, self.truth.detuning_rad_s) if self.truth.detuning_rad_s else 0.0
        return Splitter(min(1.0, overlap), phase, self._detuning, (slots[0], slots[2]), self._midpoint.jitter_s)

    # -- the atoms' state ----------------------------------------------------------------------------------------------

    def _state(self, ports: list[PhotonPort], starts_mu: list[float]) -> Complexes:
        """Return the joint state of atoms at these moments, shape (a, b, m) or (a, 1, m); they share one from now."""
        parts = self._parts(ports, starts_mu)
        state = parts[0].state
        if len(parts) == 2 and parts[1].state is not state:
            state.merge(parts[1].state)
        psi = np.moveaxis(state.psi, [part.axis for part in parts], range(len(parts)))
        lengths = [psi.shape[0], psi.shape[1] if len(parts) == 2 else 1]
        return np.asarray(psi.reshape(*lengths, -1))

    def _parts(self, ports: list[PhotonPort], starts_mu: list[float]) -> list[Part]:
        parts = []
        for port, t_mu in zip(ports, starts_mu, strict=True):
            register, site = port.register, port.site
            if port.label == READY:
                parts.append(register.alone(site, 2, t_mu))
            else:
                part = register.part(site)
                assert part is not None
                part.evolve(t_mu, register.larmor_rad_s, register.truth.memory, register.rng)
                parts.append(part)
        return parts

    def _leave(self, ports: list[PhotonPort], starts_mu: list[float], psi: Complexes, fresh: bool) -> None:
        """Leave the atoms in a state. Pumped atoms that sent nothing stay pumped; one that surely did is alone."""
        if fresh:
            weights = np.abs(psi[..., 0]) ** 2
            if weights.flat[-1] > 1 - 1e-12:
                return
            parts = [port.register.new_part(t_mu) for port, t_mu in zip(ports, starts_mu, strict=True)]
            joint = psi[:, :, 0] if len(ports) == 2 else psi[:, 0, 0]
            JointState(joint, parts)
            for port, part in zip(ports, parts, strict=True):
                port.become(part)
            return
        mine = [port.register.part(port.site) for port in ports]
        state = mine[0].state  # type: ignore[union-attr]
        axes = [part.axis for part in mine]  # type: ignore[union-attr]
        others = [length for axis, length in enumerate(state.psi.shape) if axis not in axes]
        lengths = psi.shape[: len(ports)]
        state.psi = np.ascontiguousarray(np.moveaxis(psi.reshape(*lengths, *others), range(len(ports)), axes))


def _pumped(n: int) -> Complexes:
    psi = np.zeros((3, 3 if n == 2 else 1, 1), dtype=complex)
    psi[2, -1, 0] = 1.0
    return psi


_PUMPED = {n: _pumped(n) for n in (1, 2)}
