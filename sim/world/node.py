"""One node: an atom in a tweezer in front of a photon port, and what light, fields and time do to it.

Between two changes of its light the node evolves under constant light (`evolve`); the labels are those of the heralded
attempt plus QUBIT. Edges of the excitation beam delimit pulses, which are handed to the link. Above 400 lines because
everything that light does to the one atom changes the same few labels; what needs no state of it is in `sim.physics`.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.physics import cavity, freespace
from sim.physics.aom import envelope
from sim.physics.cavity import CavityPort
from sim.physics.emission import Emission
from sim.physics.fibre import delay_s, jones, transmission
from sim.physics.fields import field_gauss, larmor_hz
from sim.physics.freespace import FreeSpacePort
from sim.physics.imaging import Imaging
from sim.physics.interference import Arm, Complexes, Floats
from sim.physics.loading import load
from sim.physics.pumping import generator, transition
from sim.physics.recapture import release_and_catch
from sim.physics.rotations import microwave, precession, raman
from sim.physics.species import Species
from sim.physics.trap import p_lost, survival_after_heating
from sim.world.attempt import ABSENT, F1, F2, READY, NodeCycle
from sim.world.beam import Beam
from sim.world.counter import Counter
from sim.world.paths import ROLES
from sim.world.qubits import Birth, Cluster, Member, Stored, embed, member
from sim.world.scenario import NodeTruth

if TYPE_CHECKING:
    from sim.world.gate import RydbergGate
    from sim.world.tweezers import Tweezers

QUBIT = 4
_EMPTYING_S = (
    1.2e-6  # the wavepacket is followed this long after the pulse: 15 cavity lifetimes and more in every scenario
)
_GRID_S = 1e-9


class Flight(NamedTuple):
    """An atom whose trap was switched off: its label, when, and how deep the trap was before."""

    label: int
    start_mu: int
    depth_k: float


class Node:
    """One node. Times are in mu; `changed` is called before the node is touched, so that photons in flight are settled
    first.
    """

    def __init__(self, name: str, truth: NodeTruth, atom: Species, rng: np.random.Generator, counter: Counter) -> None:
        self.name, self.truth, self.species, self.rng, self.counter = name, truth, atom, rng, counter
        self.beams = {role: Beam(truth.aom) for role in ROLES}
        self.mot_coil = self.microwave_on = False
        self._microwave_mu = 0  # when it was switched on
        self.label, self.temperature_k = ABSENT, truth.atom.temperature_k
        self._cluster: Cluster | None = None
        self._birth: Birth | None = None
        self.trap_k = truth.trap.depth_k
        self._flight: Flight | None = None  # while the trap is off; nobody sees the atom then, and light loses it
        self.shim_v, self.piezo_v = (0.0, 0.0, 0.0), 0.0
        self.paddle_v = (0.0, 0.0)
        self.larmor_rad_s = self._larmor()
        self.flight_s = delay_s(truth.fibre)
        self._trap_v: float | None = None
        self.epoch = 0  # counts the truths
        self.now_mu = 0
        self.death_mu = math.inf
        self.pulse_start_mu: int | None = None
        self.before_touch: Callable[[], None] = lambda: None
        self.tweezers: Tweezers | None = None  # the array, if the node has one
        self.gate: RydbergGate | None = None  # its Rydberg light, likewise
        self._numbers = itertools.count()
        self.emission = lru_cache(maxsize=64)(self._emission)
        self.pumping_edges = lru_cache(maxsize=64)(self._pumping_edges)

    # -- what the rest of the world asks
    # ---------------------------------------------------------------------------------------

    @property
    def key(self) -> tuple[float, ...]:
        """What the statistics of an attempt depend on, besides the pulses: powers, field, cavity."""
        return (self.beams["excitation"].available, self.beams["pumping"].available, self.beams["repump"].available,
                self.larmor_rad_s, self.piezo_v, self.epoch)  # fmt: skip

    def arm(self, length_mu: int, start_s: float) -> Arm:
        """Return the photon's way to the detectors for an excitation pulse of this length that begins at start_s."""
        return Arm(
            self.emission(length_mu, self.beams["excitation"].available, self.piezo_v),
            start_s + self.flight_s,
            self._jones(),
            self.larmor_rad_s,
            self.truth.excitation.jitter_s,
        )

    def cycle(self, pump: tuple[float, float], length_mu: int, start_s: float, throughput: float) -> NodeCycle:
        """Return what pumping for `pump` (before, after) seconds and one excitation pulse do; `throughput` fibre end to
        click.
        """
        arm = self.arm(length_mu, start_s)
        port = self.truth.port
        collected = arm.emission.efficiency * port.fibre_coupling * transmission(self.truth.fibre) * throughput
        return NodeCycle(self.pumped(pump[0]), self.pumped(pump[1]), arm.emission.transferred, collected, arm)

    def pumped(self, t_s: float) -> Floats:
        """Return the label transitions (4, 4), row-stochastic, of pumping at the beams' available powers for t_s."""
        out = np.eye(4)
        if t_s > 0:
            rates = generator(self.truth.pumping, self.beams["repump"].available, self.beams["pumping"].available)
            out[F1:, F1:] = transition(rates, t_s).T
        return out

    def chain_label(self) -> int:
        """Return the label as the attempt's chain counts it: a qubit is an atom in F = 1."""
        return F1 if self.label == QUBIT else self.label

    def heat(self, rise_k: float) -> None:
        """Warm the atom; it may leave the trap."""
        if rise_k > 0 and self.label != ABSENT:
            before, self.temperature_k = self.temperature_k, self.temperature_k + rise_k
            # Colder than this fewer than 1e-14 of the atoms have the energy to leave.
            if self.temperature_k > self.trap_k / 40 and self.rng.random() >= survival_after_heating(
                before, self.temperature_k, self.trap_k
            ):
                self.lose()

    def cycles_until_loss(self, rise_k: float) -> int | None:
        """Draw after how many steps of heating by rise_k the atom leaves; None if it stays for good (no atom, no
        heating).
        """
        if self.label == ABSENT or rise_k <= 0:
            return None
        alive = (1 - p_lost(self.temperature_k, self.trap_k)) * self.rng.random()
        low, high = 0, 1
        while 1 - p_lost(self.temperature_k + high * rise_k, self.trap_k) > alive:
            low, high = high, 2 * high
            if high > 1 << 50:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if 1 - p_lost(self.temperature_k + middle * rise_k, self.trap_k) > alive:
                low = middle
            else:
                high = middle
        return high

    def lose(self) -> None:
        """The atom is gone."""
        self.leave_cluster()
        self._flight, self.label, self.death_mu = None, ABSENT, math.inf

    @property
    def cluster(self) -> Cluster | None:
        """The quantum state that the atom takes part in, if it is a qubit."""
        if self._birth is not None:
            self._cluster, self._birth = self._birth.make(), None
        return self._cluster

    def leave_cluster(self) -> None:
        """Take the atom out of its cluster, as if its level had been seen: F1 or F2."""
        self.settle_gate()
        if self._birth is not None:
            self._birth.forget(self.name)
            self._birth, self.label = None, F1
        elif self._cluster is not None:
            self.label = F2 if self._cluster.measure(self.name, self.rng) == 2 else F1
            self._cluster = None

    def release(self) -> tuple[int, float, Stored | None]:
        """Hand the atom over to a moving tweezer; return its label, temperature, and its part in a quantum state."""
        self.before_touch()
        self.settle_gate()
        label, cluster = self.label, self.cluster
        self._cluster, self.label, self.death_mu = None, ABSENT, math.inf
        if cluster is None:
            return label, self.temperature_k, None
        name = self.new_name()
        cluster.members[name] = cluster.members.pop(self.name)
        return label, self.temperature_k, Stored(cluster, name)

    def new_name(self) -> str:
        """Return the name in its cluster of an atom of this node that is not at the port."""
        return f"{self.name}/{next(self._numbers)}"

    def settle_gate(self) -> None:
        """Decide whether atoms that Rydberg light has met are still there: something else touches them now."""
        if self.gate is not None and self.gate.atoms:
            self.gate.settle()

    def vanish(self) -> None:
        """The atom has left its cluster already, and now the trap."""
        self._cluster, self.label, self.death_mu = None, ABSENT, math.inf

    def become(self, cluster: Cluster) -> None:
        """Have a part in a quantum state from now on, under the node's name."""
        self._cluster, self._birth, self.label = cluster, None, QUBIT

    def receive(self, label: int, temperature_k: float, stored: Stored | None) -> None:
        """Take over an atom that a moving tweezer has put down at the port."""
        self.label, self.temperature_k, self._cluster, self._birth = label, temperature_k, None, None
        self._flight = None
        if stored is not None:
            stored.cluster.members[self.name] = stored.cluster.members.pop(stored.name)
            self._cluster = stored.cluster
        self.death_mu = self.now_mu + self.rng.exponential(self.truth.atom.vacuum_lifetime_s) * 1e9

    def born(self, birth: Birth) -> None:
        """Become one of the atoms of a state that is built when it is needed."""
        self._cluster, self._birth, self.label = None, birth, QUBIT

    def new_member(self, axis: int, t_mu: float) -> Member:
        """Draw this shot's noise of the qubit."""
        scales = (self.truth.raman.amplitude_rms, self.truth.microwave.amplitude_rms)
        return member(axis, t_mu, self.truth.memory, scales, self.rng)

    def set_field(self, axis: int, volts: float) -> None:
        """Set one shim coil (0, 1, 2 = x, y, z)."""
        shim = list(self.shim_v)
        shim[axis] = volts
        self.shim_v = (shim[0], shim[1], shim[2])
        self.larmor_rad_s = self._larmor()

    def set_paddle(self, index: int, volts: float) -> None:
        """Set the polarisation compensator's rotator (0) or retarder (1)."""
        self.paddle_v = (volts, self.paddle_v[1]) if index == 0 else (self.paddle_v[0], volts)
        self.epoch += 1

    def set_trap(self, volts: float) -> None:
        """Set the trap depth; a shallower trap may lose the atom, none releases it until there is one again."""
        self._trap_v = volts
        self._deepen(max(0.0, volts * self.truth.atom.trap_k_per_v))

    def apply(self, truth: NodeTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on; the world has brought the atom there by the old one."""
        old = self.truth
        if truth == old:
            return
        if self.label == QUBIT:
            self._qubit(t_mu)
        self.truth, self.epoch = truth, self.epoch + 1
        if (truth.excitation, truth.port, truth.aom) != (old.excitation, old.port, old.aom):
            self.emission.cache_clear()
        if truth.pumping != old.pumping:
            self.pumping_edges.cache_clear()
        for beam in self.beams.values():
            beam.set_aom(truth.aom)
        self.larmor_rad_s, self.flight_s = self._larmor(), delay_s(truth.fibre)
        self._deepen(truth.trap.depth_k if self._trap_v is None else max(0.0, self._trap_v * truth.atom.trap_k_per_v))
        if self.tweezers is not None:
            self.tweezers.apply()

    def _deepen(self, depth_k: float) -> None:
        before, self.trap_k = self.trap_k, depth_k
        if self.tweezers is not None:
            self.tweezers.set_depth(before, depth_k)
        if self._flight is not None and depth_k > 0:
            self._catch(self._flight)
        if self.label == ABSENT or self.trap_k >= before:
            return
        if depth_k == 0:
            self._flight, self.label = Flight(self.label, self.now_mu, before), ABSENT
        elif self.rng.random() * (1 - p_lost(self.temperature_k, before)) >= 1 - p_lost(
            self.temperature_k, self.trap_k
        ):
            self.lose()

    def _catch(self, flight: Flight) -> None:
        """The trap is there again: the atom is caught where its energy is below zero in it."""
        self._flight, traps = None, [replace(self.truth.trap, depth_k=depth) for depth in (flight.depth_k, self.trap_k)]
        time_s = (self.now_mu - flight.start_mu) * 1e-9
        caught, temperature_k = release_and_catch(self.rng, traps[0], traps[1], self.species.mass_kg,
                                                  self.temperature_k, time_s)  # fmt: skip
        if caught[0]:
            self.label, self.temperature_k = flight.label, float(temperature_k[0])
        else:
            self.lose()

    # -- time ----------------------------------------------------------------------------------------------------------
    # ----------

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
                self._raman(start_mu, dt)
            if self.microwave_on:
                self._microwave(start_mu, dt)
        if beams["pushout"].power:
            self._push_out(start_mu, dt * beams["pushout"].power)

    def _load(self, dt: float) -> None:
        before = self.label != ABSENT
        if self.trap_k > 0 and load(self.rng, int(before), dt, self.truth.loading):
            if not before:
                self.death_mu = self.now_mu + self.rng.exponential(self.truth.atom.vacuum_lifetime_s) * 1e9
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

    def _qubit(self, t_mu: float) -> Cluster:
        """Return the atom's cluster, brought up to t_mu; an atom in F = 1 outside any is an unpolarised qubit."""
        if self.cluster is None:
            state = embed(np.eye(2, dtype=complex)[self.rng.integers(0, 2)])
            self._cluster, self.label = Cluster(state, {self.name: self.new_member(0, t_mu)}), QUBIT
        cluster = self.cluster
        assert cluster is not None
        cluster.evolve(self.name, t_mu, self.larmor_rad_s, self.truth.memory, self.rng)
        return cluster

    def _raman(self, start_mu: int, dt: float) -> None:
        cluster = self._qubit(start_mu)
        noise = cluster.members[self.name]
        cluster.apply(self.name, self.raman_pulse(noise, start_mu, dt))
        noise.touched_mu = start_mu + dt * 1e9

    def raman_pulse(self, noise: Member, start_mu: int, dt: float) -> Complexes:
        """Return what the Raman light does for dt seconds to an atom with this noise."""
        a, b = self.beams["raman_a"], self.beams["raman_b"]
        rabi = self.truth.raman.rabi_rad_s * math.sqrt(a.power * b.power) * noise.raman_scale
        drive = 2 * math.pi * (b.tone.frequency_hz - a.tone.frequency_hz)
        detuning = self.larmor_rad_s + noise.detuning_rad_s - drive + self.truth.raman.detuning_rad_s
        pulse = raman(rabi, detuning, b.phase_rad(start_mu) - a.phase_rad(start_mu), dt)
        return _turned(pulse, drive * dt)

    def _microwave(self, start_mu: int, dt: float) -> None:
        cluster = self._qubit(start_mu)
        noise = cluster.members[self.name]
        cluster.apply(self.name, self.microwave_pulse(noise, start_mu, dt))
        noise.touched_mu = start_mu + dt * 1e9

    def switch_microwave(self, t_mu: int, on: bool) -> None:
        """Switch the microwave; each pulse begins with phase 0 against the atoms."""
        if on and not self.microwave_on:
            self._microwave_mu = t_mu
        self.microwave_on = on

    def microwave_pulse(self, noise: Member, start_mu: int, dt: float) -> Complexes:
        """Return what the microwave does for dt seconds to an atom with this noise, in a pulse that may be on already:
        the drive goes on in its own frame, whatever else happens on the way.
        """
        drive, since_s = self.truth.microwave, (start_mu - self._microwave_mu) * 1e-9
        pulse = microwave(drive.rabi_rad_s * noise.microwave_scale, drive.detuning_rad_s, 0.0, dt)
        if since_s:
            pulse = pulse @ precession(-self.larmor_rad_s * since_s)
        return _turned(pulse, self.larmor_rad_s * (since_s + dt))

    def _push_out(self, start_mu: int, exposure_s: float) -> None:
        light = self.truth.pushout
        if self.rng.random() < -math.expm1(-light.leak_hz * exposure_s):
            self.lose()
        elif self.label in (F2, READY):
            if self.rng.random() < -math.expm1(-light.loss_hz * exposure_s):
                self.lose()
        elif self.cluster is not None:
            cluster = self._qubit(start_mu)
            if cluster.drop_level(self.name, 2, self.rng):
                self._cluster, self.label = None, F2
                self._push_out(start_mu, exposure_s)

    # -- parameters that follow from the state
    # ----------------------------------------------------------------------------------

    def _larmor(self) -> float:
        return 2 * math.pi * larmor_hz(field_gauss(self.truth.coils, self.shim_v), self.species.zeeman_pair_hz_gauss)

    def _jones(self) -> Complexes:
        """Return what the compensator and the fibre behind it do to polarisation."""
        fibre = self.truth.polarisation
        turn, phase = self.paddle_v[0] * fibre.turn_rad_per_v, self.paddle_v[1] * fibre.phase_rad_per_v
        through = jones(fibre.alpha_rad, fibre.beta_rad, fibre.gamma_rad)
        return through @ jones(phase, turn, 0.0) if turn or phase else through

    def _emission(self, length_mu: int, power: float, piezo_v: float) -> Emission:
        port = self.truth.port
        if isinstance(port, CavityPort):
            detuned = port.detuning_rad_s + piezo_v * self.truth.excitation.cavity_rad_s_per_v
            port = replace(port, detuning_rad_s=detuned)
        return self.photon(length_mu, power, port)

    def photon(self, length_mu: int, power: float, port: CavityPort | FreeSpacePort) -> Emission:
        """Integrate the photon of one excitation pulse; t = 0 is the moment its light reaches half its power."""
        rise, length = self.truth.aom.rise_s, length_mu * 1e-9
        t = np.arange(-3 * rise, length + _EMPTYING_S, _GRID_S)
        drive = self.truth.excitation
        rabi = drive.rabi_rad_s * math.sqrt(power) * np.sqrt(np.clip(envelope(t, 0.0, length, rise), 0, None))
        if isinstance(port, CavityPort):
            return cavity.emit(port, t, rabi, drive.detuning_rad_s)
        return freespace.emit(port, t, rabi, drive.detuning_rad_s)


def _turned(pulse: Complexes, angle_rad: float) -> Complexes:
    """Take a pulse from the frame of its drive to the frame in which atoms precess."""
    return np.asarray(precession(angle_rad) @ pulse)
