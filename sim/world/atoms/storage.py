"""Storage of qubits in clock states: the light that takes them there and back, and the light that turns them there.

    transfer   |0> (F = 1, m = -1) <-> F = 1, m = 0   at the port, and in the gate zone where its light reaches it
    clock      F = 1, m = 0 <-> F = 2, m = 0 (|2>)    every stored atom of the node, hidden or not, and READY ones
The microwave takes |1> to |2> before and back after, so that the qubit is in both clock states. Both lights are Raman
light on D1, which the hiding light (it shifts 5P3/2) lets be. The clock light acts by what its tone is off resonance
and by its phase, in the frame of the clock transition. The lesser part of what a transfer pulse makes of |0>, what a
good one leaves behind, has lost its phase at once: the atom is then found there, or not.
Sources: H. Levine et al., PRA 105, 032618 (2022), for Raman light on the clock transition; as `sim.physics.rotations`
for the pulses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from sim.physics.coherence import mean_thermal_detuning_rad_s, thermal_detunings_rad_s
from sim.physics.rotations import clock, raman
from sim.world.atoms.beam import Beam
from sim.world.atoms.labels import F1, QUBIT, READY
from sim.world.atoms.register import Register
from sim.world.atoms.states import Complexes, Part
from sim.world.scenario.storage_truth import StorageTruth


class StorageLight:
    """The transfer and clock light of a node whose truth has storage."""

    def __init__(self, register: Register, beams: Mapping[str, Beam], rng: np.random.Generator) -> None:
        self.register, self.rng = register, rng
        self.transfer, self.clock = beams["transfer"], beams["clock"]
        self.begun_mu: int | None = None  # while the transfer light is on

    @property
    def truth(self) -> StorageTruth:
        """Return what is true of storage now."""
        assert self.register.truth.storage is not None
        return self.register.truth.storage

    # -- there and back ------------------------------------------------------------------------------------------------

    def move(self, sites: Iterable[int], stop_mu: int, power: float) -> None:
        """The transfer light, of this power, has ended: take the qubits at these sites there, or back."""
        start_mu, self.begun_mu = self.begun_mu, None
        if start_mu is None:
            return
        self.register.before_touch()
        if self.register.unsettled is not None:
            self.register.unsettled()
        dt, truth = (stop_mu - start_mu) * 1e-9, self.truth
        away = 2 * math.pi * (self.transfer.tone.frequency_hz - truth.transfer_hz)
        phase = _phase_rad(self.transfer, truth.transfer_hz, start_mu)
        rabi = truth.transfer_rabi_rad_s * math.sqrt(power)
        for site in sites:
            if self.register.label.item(site) in (QUBIT, F1):
                # The |0> that comes precesses until the middle of the pulse, the one that goes from there on.
                part = self.register.qubit(site, start_mu + round(dt * 5e8))
                self._take(part, site, raman(rabi * part.raman_scale, away, -phase, dt))

    def _take(self, part: Part, site: int, pulse: Complexes) -> None:
        moved, stayed = (pulse[0, 1], pulse[1, 1]) if part.stored else (pulse[1, 0], pulse[0, 0])
        goes = abs(moved) > abs(stayed)
        more, less = (moved, stayed) if goes else (stayed, moved)
        if self.rng.random() < float(part.populations()[0]) * abs(less) ** 2:
            part.state.keep(part.axis, [0])
            goes = not goes
        else:
            part.apply(np.diag([more, 1, 1]).astype(complex))
            part.state.psi = part.state.psi / np.linalg.norm(part.state.psi)
        if goes:
            self.settle(part, self.register.temperature_k.item(site), not part.stored)

    def settle(self, part: Part, warm_k: float, stored: bool) -> None:
        """An atom is in clock states from now on, or not any more; storing draws the light's strength of this shot, and
        how its motion shifts it, against an atom as warm as cooling leaves it.
        """
        part.stored = stored
        if stored:
            truth = self.truth
            part.clock_rad_s = part.detuning_rad_s * self.register.truth.memory.t2_star_s / truth.memory.t2_star_s
            ratio, cooled_k = truth.memory.light_shift_ratio, self.register.truth.atom.temperature_k
            if ratio:
                part.clock_rad_s += float(thermal_detunings_rad_s(self.rng, ratio, warm_k, 1)[0])
                part.clock_rad_s -= mean_thermal_detuning_rad_s(ratio, cooled_k)
            part.clock_scale = 1 + truth.clock_rms * float(self.rng.standard_normal())

    # -- turned --------------------------------------------------------------------------------------------------------

    def turn(self, start_mu: int, stop_mu: int) -> None:
        """Let the clock light act on every stored atom and every READY one."""
        register = self.register
        for site in np.flatnonzero(register.label == READY).tolist():
            self.settle(register.alone(site, 2, start_mu), register.temperature_k.item(site), True)
        for site, handle in list(register.handles.items()):
            if isinstance(handle, Part):  # a pair that nobody has asked for yet is over |0>, |1>
                register.qubit(site, start_mu)
                if handle.stored:
                    handle.turn(self.clock_pulse, start_mu, (stop_mu - start_mu) * 1e-9)
                else:
                    self._leak(site, handle, (stop_mu - start_mu) * 1e-9)
        self._turn_carried(start_mu, (stop_mu - start_mu) * 1e-9)

    def _turn_carried(self, start_mu: int, dt: float) -> None:
        """The light is as wide as the array: it meets atoms on their way, too. What is not stored there is let be."""
        carried = self.register.carried
        if carried is None:
            return
        for k in np.flatnonzero(carried.held & (carried.label == READY)).tolist():
            part = carried.handles[k] = self.register.new_alone(2, start_mu)
            carried.label[k] = QUBIT
            self.settle(part, carried.temperature_k.item(k), True)
        for handle in carried.handles.values():
            if isinstance(handle, Part) and handle.stored:
                self.register.evolve(handle, start_mu)
                handle.turn(self.clock_pulse, start_mu, dt)

    def clock_pulse(self, noise: Part, start_mu: int, dt: float) -> Complexes:
        """Return what the clock light does for dt seconds to a stored atom with this noise."""
        truth, light = self.truth, self.clock
        rabi = truth.clock_rabi_rad_s * math.sqrt(light.power) * noise.clock_scale
        away = 2 * math.pi * (light.tone.frequency_hz - truth.clock_hz)
        pulse = clock(rabi, away + noise.clock_rad_s, -_phase_rad(light, truth.clock_hz, start_mu), dt)
        half = 0.5 * away * dt
        frame = np.array([1, np.exp(0.5j * self.register.larmor_rad_s * dt), 1])
        return np.diag(frame * np.exp(1j * np.array([half, 0, -half]))) @ pulse

    def _leak(self, site: int, part: Part, dt: float) -> None:
        """Take the |2> of a qubit that is not stored out of its levels: the clock light brings it to F = 1, m = 0."""
        stay = abs(self.clock_pulse(part, part.touched_mu, dt)[2, 2])  # type: ignore[arg-type]
        weight = float(part.populations()[2])
        if self.rng.random() < weight * (1 - stay**2):
            part.project(2)
            del self.register.handles[site]
            self.register.label[site] = F1
        elif weight > 0:
            part.apply(np.diag([1, 1, stay]).astype(complex))
            part.state.psi = part.state.psi / np.linalg.norm(part.state.psi)

    # -- hidden, but not quite -----------------------------------------------------------------------------------------

    def scatter(self, seen: Iterable[int], exposure_s: float) -> None:
        """Imaging light of full power for so long: a qubit that is hidden from it scatters a photon now and then."""
        chance = -math.expm1(-self.truth.hidden_scatter_hz * exposure_s)
        seen = set(seen)
        for site in [site for site in self.register.handles if site not in seen]:
            if self.rng.random() < chance:
                self.register.leave(site)


def _phase_rad(light: Beam, resonance_hz: float, t_mu: int) -> float:
    """Return the light's phase against the resonance, which goes on from time 0."""
    return light.phase_rad(t_mu) - 2 * math.pi * math.fmod(resonance_hz * t_mu * 1e-9, 1.0)
