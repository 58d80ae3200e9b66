"""What light and microwave make of the atoms of a node: of any of them, by the same lines.

Between two changes of the light atoms evolve under constant light (`evolve`). Cooling and repump light is everywhere
(but for sites that the hiding light shifts out of its way) and acts on arrays; pumping, Raman, microwave and push-out
light acts on the few atoms that it is on: those at the ports, and those beside them where the scenario says so
(`[nodes.rydberg] global_drives`). There an atom that was pumped to READY (F = 2, m = 0) enters the qubit as a pure |2>,
the level that the microwave couples to |1>. Excitation light is the stations' to follow.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from atomlink.at_port import PORT_ROLES
from sim.physics.interference import Complexes
from sim.physics.loading import relaxation_hz, stationary_filling
from sim.physics.pumping import generator, transition
from sim.physics.rotations import microwave, precession, raman
from sim.physics.species import Species
from sim.world.atoms.array import Tweezers
from sim.world.atoms.beam import Beam
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT, READY
from sim.world.atoms.register import Ints
from sim.world.atoms.rydberg import RydbergGate
from sim.world.atoms.states import Part
from sim.world.atoms.storage import StorageLight
from sim.world.atoms.trap import TrappedAtoms
from sim.world.detectors.counter import Counter
from sim.world.scenario.paths import ROLES
from sim.world.scenario.truth import NodeTruth


class PortLight:
    """The light on the atom at one port: its site, its beams by role, and the counter that sees its fluorescence.
    Cooling light is the node's, and so is the repump light that goes with it: the first port's.
    """

    def __init__(self, site: int, beams: dict[str, Beam], counter: Counter) -> None:
        self.site, self.beams, self.counter = site, beams, counter
        self.coherent = False  # whether its station keeps atoms superposed with |2>: then READY is that level
        self.pumping, self.repump, self.pushout = beams["pumping"], beams["repump"], beams["pushout"]
        self.raman = beams["raman_a"], beams["raman_b"]

    @property
    def on(self) -> bool:
        """Whether light of its own acts on its atom; excitation light is the stations' to follow."""
        return bool(self.pumping.power or self.repump.power or self.pushout.power
                    or (self.raman[0].power and self.raman[1].power))  # fmt: skip


class LitAtoms(TrappedAtoms):
    """Atoms in the node's beams, those at ports and others; fluorescence of the former falls on `counters`, one a port.
    `beams` are the node's, with those of its first port; `lights` those of each port.
    """

    def __init__(self, name: str, truth: NodeTruth, species: Species, rng: np.random.Generator,
                 counters: Sequence[Counter]) -> None:  # fmt: skip
        super().__init__(name, truth, species, rng)
        self.beams = {role: Beam(truth.aom) for role in ROLES}
        first, *others = truth.sites
        self.lights = [PortLight(first, self.beams, counters[0])]
        for site, counter in zip(others, counters[1:], strict=True):
            own = {role: Beam(truth.aom) for role in PORT_ROLES}
            self.lights.append(PortLight(site, self.beams | own, counter))
        more = (light.beams[role] for light in self.lights[1:] for role in PORT_ROLES)
        self.every_beam = (*self.beams.values(), *more)
        self._at_ports, self._everywhere = np.array(sorted(truth.sites)), np.arange(len(self.register))
        self.mot_coil = self.microwave_on = False
        self._microwave_mu = 0  # when it was switched on
        self.tweezers: Tweezers | None = None  # the array's camera, hiding light and AWG, if the node has one
        self.gate: RydbergGate | None = None  # its Rydberg light, likewise
        self.storage: StorageLight | None = None  # light that stores qubits in clock states, likewise
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
        if self.tweezers is not None:
            self.tweezers.apply()
        for beam in self.every_beam:
            beam.set_aom(truth.aom)

    # -- time ----------------------------------------------------------------------------------------------------------

    def evolve(self, t_mu: int) -> None:
        """Let the atoms live under the present light until t_mu."""
        start_mu = self.now_mu
        if t_mu <= start_mu:
            return
        self.now_mu = t_mu
        if self.lit:
            self.register.before_touch()
            self._under_light(start_mu, t_mu)
        if self.register.next_death_mu <= t_mu:
            self.register.before_touch()
            self.take_dead(t_mu)

    @property
    def lit(self) -> bool:
        """Whether light or a microwave acts on atoms."""
        power = self.beams
        return bool(
            power["cooling"].power or power["pumping"].power or power["repump"].power or power["pushout"].power
            or self.microwave_on
            or (self.gate is not None and power["rydberg_420"].power and power["rydberg_1013"].power)
            or (power["raman_a"].power and power["raman_b"].power)
            or (self.storage is not None and power["clock"].power)
            or (len(self.lights) > 1 and any(light.on for light in self.lights[1:]))
        )  # fmt: skip

    def _under_light(self, start_mu: int, stop_mu: int) -> None:
        beams, hidden = self.beams, self.tweezers is not None and self.tweezers.hidden
        if self._flight is not None:
            self.lose_flying()
        if self.gate is not None:
            if beams["rydberg_420"].power and beams["rydberg_1013"].power:
                self.gate.drive(start_mu, stop_mu)
            if self.microwave_on or any(beam.power for role, beam in beams.items() if not role.startswith("rydberg")):
                self.gate.settle()
        if beams["cooling"].power:
            cooling = min(beams["cooling"].power, 1.0)
            for light in self.lights:
                light.counter.shine(start_mu, stop_mu, self.truth.imaging.background_hz * cooling)
            if beams["repump"].power:
                seen = self._at_ports if hidden else self._everywhere
                (self._load if self.mot_coil else self._cool)(seen, start_mu, stop_mu, cooling)
            if hidden and self.storage is not None:
                self.storage.scatter(self._at_ports.tolist(), (stop_mu - start_mu) * 1e-9 * cooling)
        if self.storage is not None and beams["clock"].power:
            self.storage.turn(start_mu, stop_mu)
        together = self.gate is not None and self.gate.global_drives
        driven = self.driven
        for k, light in enumerate(self.lights):
            for site in driven if k == 0 else (light.site,):
                if self.register.label.item(site) != ABSENT:
                    # The microwave is the node's: a port in the gate zone meets it once.
                    microwave = self.microwave_on and (k == 0 or site not in driven)
                    self._drive(light, site, start_mu, stop_mu, together, microwave)
        if len(self.lights) > 1 and self.truth.crosstalk:
            self._stray(start_mu, stop_mu)

    @property
    def driven(self) -> tuple[int, ...]:
        """Return the sites that the first port's pumping, Raman, microwave, transfer and push-out light is on now."""
        hidden = self.tweezers is not None and self.tweezers.hidden
        if self.gate is not None and self.gate.global_drives and not hidden:
            return self.gate.sites
        return (self.lights[0].site,)

    def move_to_storage(self, t_mu: int, before: float) -> None:
        """Transfer light has changed from a power: pulses begin and end, and those that end take qubits along."""
        if self.storage is None:
            return
        power = self.beams["transfer"].power
        if power and not before:
            self.storage.begun_mu = t_mu
        elif before and not power:
            self.storage.move(self.driven, t_mu, before)

    def _drive(self, light: PortLight, site: int, start_mu: int, stop_mu: int, together: bool,
               microwave: bool) -> None:  # fmt: skip
        """Let a port's light act on one atom; `together`: READY is the qubit's |2>."""
        beams, dt = self.beams, (stop_mu - start_mu) * 1e-9
        repump = beams["repump"].power
        if light.repump is not beams["repump"]:
            repump += light.repump.power
        if light.pumping.power or (repump and not beams["cooling"].power):
            self.pump(site, dt, light.pumping.power, repump)
        label = self.register.label.item(site)
        if label in (QUBIT, F1) and light.raman[0].power and light.raman[1].power:
            self._raman(light, site, start_mu, dt, 1.0)
            label = QUBIT
        if microwave and (label in (QUBIT, F1) or ((together or light.coherent) and label == READY)):
            if label == READY:
                self.register.alone(site, 2, start_mu)
            self.register.qubit(site, start_mu).turn(self.microwave_pulse, start_mu, dt)
        if light.pushout.power:
            self._push_out(site, start_mu, dt * light.pushout.power)

    def _stray(self, start_mu: int, stop_mu: int) -> None:
        """Let each port's light act on the atoms of the other ports, as weakly as the crosstalk says."""
        part, dt = self.truth.crosstalk, (stop_mu - start_mu) * 1e-9
        for light in self.lights:
            for site in (other.site for other in self.lights if other is not light):
                repump = 0.0 if light.repump is self.beams["repump"] else light.repump.power * part
                if light.pumping.power or repump:
                    self.stray_pump(site, dt, light.pumping.power * part, repump)
                if light.raman[0].power and light.raman[1].power and self.register.label.item(site) in (QUBIT, F1):
                    self._raman(light, site, start_mu, dt, part)
                if light.pushout.power and self.register.label.item(site) != ABSENT:
                    self._push_out(site, start_mu, dt * light.pushout.power * part)

    def stray_pump(self, site: int, dt: float, power: float, repump: float = 0.0) -> None:
        """Let a little pumping and repump light act on one atom for dt seconds; a qubit in F = 1 is dark to the former,
        and lost to the latter.
        """
        label, light = self.register.label.item(site), self.truth.pumping
        if label == QUBIT and repump and self.rng.random() < -math.expm1(-light.repump_hz * repump * dt):
            self.register.leave(site)
            self.register.label[site] = F2
        elif label == QUBIT:
            scatters = self.rng.random() < -math.expm1(-light.pump_hz * power * dt)
            if scatters and self.register.part(site).drop_level(2, self.rng):  # type: ignore[union-attr]
                del self.register.handles[site]
                self.register.label[site] = F2
        elif label != ABSENT:
            edges = self.pumping_edges(repump, power, dt)[label - F1]
            self.register.label[site] = F1 + bisect_right(edges, self.rng.random())

    def _raman(self, light: PortLight, site: int, start_mu: int, dt: float, part: float) -> None:
        def pulse(noise: Part, at_mu: int, length_s: float) -> Complexes:
            return self.raman_pulse(noise, at_mu, length_s, light, part)

        qubit = self.register.qubit(site, start_mu)
        if not qubit.stored:  # from m = 0 two photons that change m by 2 lead nowhere
            qubit.turn(pulse, start_mu, dt)

    # -- light that is everywhere --------------------------------------------------------------------------------------

    def _load(self, sites: Ints, start_mu: int, stop_mu: int, power: float) -> None:
        """Let atoms arrive and collide, each site on its own (`sim.physics.loading`); none stays without a trap."""
        register, atom, loading = self.register, self.truth.atom, self.truth.loading
        before = register.label[sites] != ABSENT
        if register.trap_k == 0:
            register.lose_all(sites[before])
            return
        dt, end = (stop_mu - start_mu) * 1e-9, stationary_filling(loading)
        chance = end + (before - end) * math.exp(-relaxation_hz(loading) * dt)
        after = self.rng.random(len(sites)) < chance
        fresh = sites[after & ~before]
        if len(fresh):
            register.arrive(fresh, stop_mu)
        register.leave_all(sites[before])
        register.lose_all(sites[before & ~after])
        there = sites[after]
        register.label[there], register.temperature_k[there] = F2, atom.temperature_k
        if self.tweezers is not None:
            self.tweezers.camera.see(there, dt * power)

    def _cool(self, sites: Ints, start_mu: int, stop_mu: int, power: float) -> None:
        """Molasses light: fluorescence at counter and camera, cooling, and now and then the loss of an atom inside the
        exposure.
        """
        register, light = self.register, self.truth.imaging
        sites = sites[register.label[sites] != ABSENT]
        if not len(sites):
            return
        dt_mu, loss_hz = stop_mu - start_mu, light.loss_hz * power
        lives_mu = self.rng.exponential(1e9 / loss_hz, len(sites)) if loss_hz > 0 else np.full(len(sites), math.inf)
        bright_mu = np.minimum(lives_mu, dt_mu).astype(np.int64)
        if self.tweezers is not None:
            self.tweezers.camera.see(sites, np.asarray(bright_mu * (1e-9 * power)))
        for each in self.lights:
            if register.label.item(each.site) != ABSENT:
                stop = start_mu + bright_mu.item(sites.searchsorted(each.site))
                each.counter.shine(start_mu, min(stop_mu, stop), light.atom_hz * power)
        register.leave_all(sites)
        register.label[sites] = F2
        final, decay = self.truth.atom.temperature_k, math.exp(-dt_mu * 1e-9 * power / self.truth.atom.cooling_time_s)
        register.temperature_k[sites] = final + (register.temperature_k[sites] - final) * decay
        register.lose_all(sites[lives_mu < dt_mu])

    # -- light that moves single atoms between labels, or takes them away ----------------------------------------------

    def pump(self, site: int, dt: float, power: float, repump: float) -> None:
        """Let pumping and repump light act on one atom for dt seconds."""
        register = self.register
        register.leave(site)
        edges = self.pumping_edges(repump, power, dt)[register.label.item(site) - F1]
        register.label[site] = F1 + bisect_right(edges, self.rng.random())
        register.heat(site, dt * self.truth.atom.pump_heating_k_s * power)

    def _pumping_edges(self, repump: float, pump: float, dt: float) -> list[list[float]]:
        """Return, for each start F1, F2, READY, the cumulative chances of the first two ends."""
        rates = generator(self.truth.pumping, repump, pump)
        return [row[:2] for row in np.cumsum(transition(rates, dt).T, axis=1).tolist()]

    def _push_out(self, site: int, start_mu: int, exposure_s: float) -> None:
        light, register = self.truth.pushout, self.register
        if self.rng.random() < -math.expm1(-light.leak_hz * exposure_s):
            register.lose(site)
        elif register.label.item(site) in (F2, READY):
            if self.rng.random() < -math.expm1(-light.loss_hz * exposure_s):
                register.lose(site)
        elif register.part(site) is not None and register.qubit(site, start_mu).drop_level(2, self.rng):
            del register.handles[site]
            register.label[site] = F2
            self._push_out(site, start_mu, exposure_s)

    # -- light that turns qubits ---------------------------------------------------------------------------------------

    def raman_pulse(self, noise: Part, start_mu: int, dt: float, light: PortLight, part: float) -> Complexes:
        """Return what a part of a port's Raman light does for dt seconds to an atom with this noise."""
        a, b = light.raman
        rabi = self.truth.raman.rabi_rad_s * math.sqrt(a.power * b.power) * noise.raman_scale * part
        drive = 2 * math.pi * (b.tone.frequency_hz - a.tone.frequency_hz)
        detuning = self.larmor_rad_s + noise.detuning_rad_s - drive + self.truth.raman.detuning_rad_s
        pulse = raman(rabi, detuning, b.phase_rad(start_mu) - a.phase_rad(start_mu), dt)
        return _turned(pulse, drive * dt)

    def microwave_pulse(self, noise: Part, start_mu: int, dt: float) -> Complexes:
        """Return what the microwave does for dt seconds to an atom with this noise, in a pulse that may be on already:
        the drive goes on in its own frame, whatever else happens on the way.
        """
        drive, since_s = self.truth.microwave, (start_mu - self._microwave_mu) * 1e-9
        pulse = microwave(drive.rabi_rad_s * noise.microwave_scale, drive.detuning_rad_s, 0.0, dt)
        if since_s:
            pulse = pulse @ noise.precessed(-self.larmor_rad_s * since_s, 0.0)
        return np.asarray(noise.precessed(self.larmor_rad_s * (since_s + dt), 0.0) @ pulse)


def _turned(pulse: Complexes, angle_rad: float) -> Complexes:
    """Take a pulse from the frame of its drive to the frame in which atoms precess."""
    return np.asarray(precession(angle_rad) @ pulse)
