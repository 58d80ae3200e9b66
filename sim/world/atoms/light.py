"""What light and microwave make of the atom at a node's port, and of those that share its light.

Between two changes of its light the atom evolves under constant light (`evolve`); each kind of light changes the label,
the temperature or the quantum state by the methods of `sim.world.atoms.trap`. Sites beside the port are told here
when they are lit; what happens to them is in `tweezers`, `gate` and `global_drives`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache

import numpy as np

from sim.physics.imaging import Imaging
from sim.physics.interference import Complexes
from sim.physics.loading import load
from sim.physics.pumping import generator, transition
from sim.physics.rotations import microwave, precession, raman
from sim.physics.species import Species
from sim.world.atoms.beam import Beam
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT, READY
from sim.world.atoms.states import Member
from sim.world.atoms.trap import InterfaceAtom
from sim.world.detectors.counter import Counter
from sim.world.scenario.paths import ROLES
from sim.world.scenario.truth import NodeTruth


class LitAtom(InterfaceAtom):
    """The atom in the node's beams; its fluorescence falls on `counter`. Excitation light is the link's to follow."""

    def __init__(self, name: str, truth: NodeTruth, species: Species, rng: np.random.Generator,
                 counter: Counter) -> None:  # fmt: skip
        super().__init__(name, truth, species, rng)
        self.counter = counter
        self.beams = {role: Beam(truth.aom) for role in ROLES}
        self.mot_coil = self.microwave_on = False
        self._microwave_mu = 0  # when it was switched on
        self.pumping_edges = lru_cache(maxsize=64)(self._pumping_edges)

    def switch_microwave(self, t_mu: int, on: bool) -> None:
        """Switch the microwave; each pulse begins with phase 0 against the atoms."""
        if on and not self.microwave_on:
            self._microwave_mu = t_mu
        self.microwave_on = on

    def apply(self, truth: NodeTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on."""
        if truth.pumping != self.truth.pumping:
            self.pumping_edges.cache_clear()
        super().apply(truth, t_mu)
        for beam in self.beams.values():
            beam.set_aom(truth.aom)

    # -- time ----------------------------------------------------------------------------------------------------------

    def evolve(self, t_mu: int) -> None:
        """Let the atom live under the present light until t_mu."""
        start_mu = self.now_mu
        if t_mu <= start_mu:
            return
        self.now_mu = t_mu
        if self.lit:
            self.before_touch()
            self._under_light(start_mu, t_mu)
        if self.death_mu <= t_mu:
            self.before_touch()
            self.lose()
        if self.tweezers is not None:
            self.tweezers.idle(t_mu)

    @property
    def lit(self) -> bool:
        """Whether light or a microwave acts on the atom."""
        power = self.beams
        return bool(
            power["cooling"].power or power["pumping"].power or power["repump"].power or power["pushout"].power
            or self.microwave_on
            or (self.gate is not None and power["rydberg_420"].power and power["rydberg_1013"].power)
            or (power["raman_a"].power and power["raman_b"].power)
        )  # fmt: skip

    def _under_light(self, start_mu: int, stop_mu: int) -> None:
        dt = (stop_mu - start_mu) * 1e-9
        beams = self.beams
        if self._flight is not None:
            self.lose()
        if self.gate is not None:
            if beams["rydberg_420"].power and beams["rydberg_1013"].power:
                self.gate.drive(start_mu, stop_mu)
            if self.microwave_on or any(beam.power for role, beam in beams.items() if not role.startswith("rydberg")):
                self.settle_gate()
                self.gate.global_drives.act(start_mu, stop_mu)
        if beams["cooling"].power:
            cooling = min(beams["cooling"].power, 1.0)
            self.counter.shine(start_mu, stop_mu, self.truth.imaging.background_hz * cooling)
            if beams["repump"].power:
                self._load(dt) if self.mot_coil else self._cool(start_mu, stop_mu, cooling)
                if self.tweezers is not None:
                    self.tweezers.shine(start_mu, stop_mu, cooling, self.mot_coil)
        if self.label == ABSENT:
            return
        if beams["pumping"].power or (beams["repump"].power and not beams["cooling"].power):
            self._pump(dt)
        if self.label in (QUBIT, F1):
            if beams["raman_a"].power and beams["raman_b"].power:
                self.qubit(start_mu).turn(self.name, self.raman_pulse, start_mu, dt)
            if self.microwave_on:
                self.qubit(start_mu).turn(self.name, self.microwave_pulse, start_mu, dt)
        if beams["pushout"].power:
            self._push_out(start_mu, dt * beams["pushout"].power)

    # -- light that moves atoms between labels, or takes them away -----------------------------------------------------

    def _load(self, dt: float) -> None:
        before = self.label != ABSENT
        if self.trap_k > 0 and load(self.rng, int(before), dt, self.truth.loading):
            if not before:
                self._begin_life()
            self.leave_cluster()
            self.label, self.temperature_k = F2, self.truth.atom.temperature_k
        else:
            self.lose()

    def _cool(self, start_mu: int, stop_mu: int, power: float) -> None:
        """Molasses light: fluorescence at the counter, cooling, and now and then the loss of the atom inside the
        exposure.
        """
        if self.label == ABSENT:
            return
        light: Imaging = self.truth.imaging
        loss_hz = light.loss_hz * power
        lives_mu = self.rng.exponential(1e9 / loss_hz) if loss_hz > 0 else math.inf
        bright_mu = int(min(lives_mu, stop_mu - start_mu))
        self.counter.shine(start_mu, min(stop_mu, start_mu + bright_mu), light.atom_hz * power)
        if self.tweezers is not None:
            self.tweezers.shine_port(bright_mu * 1e-9 * power)
        if lives_mu < stop_mu - start_mu:
            self.lose()
            return
        self.leave_cluster()
        self.label = F2
        final, decay = (
            self.truth.atom.temperature_k,
            math.exp(-(stop_mu - start_mu) * 1e-9 * power / self.truth.atom.cooling_time_s),
        )
        self.temperature_k = final + (self.temperature_k - final) * decay

    def _pump(self, dt: float) -> None:
        beams = self.beams
        self.leave_cluster()
        edges = self.pumping_edges(beams["repump"].power, beams["pumping"].power, dt)[self.label - F1]
        self.label = F1 + bisect_right(edges, self.rng.random())
        self.heat(dt * self.truth.atom.pump_heating_k_s * beams["pumping"].power)

    def _pumping_edges(self, repump: float, pump: float, dt: float) -> list[list[float]]:
        """Return, for each start F1, F2, READY, the cumulative chances of the first two ends."""
        rates = generator(self.truth.pumping, repump, pump)
        return [row[:2] for row in np.cumsum(transition(rates, dt).T, axis=1).tolist()]

    def _push_out(self, start_mu: int, exposure_s: float) -> None:
        light = self.truth.pushout
        if self.rng.random() < -math.expm1(-light.leak_hz * exposure_s):
            self.lose()
        elif self.label in (F2, READY):
            if self.rng.random() < -math.expm1(-light.loss_hz * exposure_s):
                self.lose()
        elif self.cluster is not None:
            cluster = self.qubit(start_mu)
            if cluster.drop_level(self.name, 2, self.rng):
                self._cluster, self.label = None, F2
                self._push_out(start_mu, exposure_s)

    # -- light that turns qubits ---------------------------------------------------------------------------------------

    def raman_pulse(self, noise: Member, start_mu: int, dt: float) -> Complexes:
        """Return what the Raman light does for dt seconds to an atom with this noise."""
        a, b = self.beams["raman_a"], self.beams["raman_b"]
        rabi = self.truth.raman.rabi_rad_s * math.sqrt(a.power * b.power) * noise.raman_scale
        drive = 2 * math.pi * (b.tone.frequency_hz - a.tone.frequency_hz)
        detuning = self.larmor_rad_s + noise.detuning_rad_s - drive + self.truth.raman.detuning_rad_s
        pulse = raman(rabi, detuning, b.phase_rad(start_mu) - a.phase_rad(start_mu), dt)
        return _turned(pulse, drive * dt)

    def microwave_pulse(self, noise: Member, start_mu: int, dt: float) -> Complexes:
        """Return what the microwave does for dt seconds to an atom with this noise, in a pulse that may be on already:
        the drive goes on in its own frame, whatever else happens on the way.
        """
        drive, since_s = self.truth.microwave, (start_mu - self._microwave_mu) * 1e-9
        pulse = microwave(drive.rabi_rad_s * noise.microwave_scale, drive.detuning_rad_s, 0.0, dt)
        if since_s:
            pulse = pulse @ precession(-self.larmor_rad_s * since_s)
        return _turned(pulse, self.larmor_rad_s * (since_s + dt))


def _turned(pulse: Complexes, angle_rad: float) -> Complexes:
    """Take a pulse from the frame of its drive to the frame in which atoms precess."""
    return np.asarray(precession(angle_rad) @ pulse)
