"""One node: an atom in a tweezer in front of a photon port, as the link and the bus see it.

    atoms.register   all its atoms
    atoms.trap       what holds them
    atoms.light      what light does to them
    node             what a pulse of excitation light gives: the photon and its way, and what one attempt does
Edges of the excitation beam delimit pulses, which are handed to the link.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from sim.physics.aom import envelope
from sim.physics.emission import Emission
from sim.physics.fibre import delay_s, jones, transmission
from sim.physics.interference import Arm, Complexes, Floats
from sim.physics.pumping import generator, transition
from sim.physics.species import Species
from sim.world.atoms.labels import F1
from sim.world.atoms.light import LitAtoms
from sim.world.atoms.states import JointState
from sim.world.detectors.counter import Counter
from sim.world.network.node_cycle import NodeCycle
from sim.world.ports import Port
from sim.world.scenario.truth import NodeTruth

_EMPTYING_S = (
    1.2e-6  # the wavepacket is followed this long after the pulse: 15 cavity lifetimes and more in every scenario
)
_GRID_S = 1e-9


class Node(LitAtoms):
    """One node: its atoms in their light, its port with the fibre behind it, and what holds at present (`truth`)."""

    def __init__(self, name: str, truth: NodeTruth, species: Species, rng: np.random.Generator,
                 counter: Counter) -> None:  # fmt: skip
        place = (0, 0) if truth.array is None else (truth.array.port_row, truth.array.port_column)
        columns = 1 if truth.array is None else truth.array.columns
        super().__init__(name, truth, species, rng, counter, (place[0] * columns + place[1],))
        self.site = self.port_sites[0]  # of the atom at the port
        self.piezo_v, self.paddle_v = 0.0, (0.0, 0.0)
        self.flight_s = delay_s(truth.fibre)
        self.epoch = 0  # counts the truths
        self.pulse_start_mu: int | None = None
        self.emission = lru_cache(maxsize=64)(self._emission)

    def set_paddle(self, index: int, volts: float) -> None:
        """Set the polarisation compensator's rotator (0) or retarder (1)."""
        self.paddle_v = (volts, self.paddle_v[1]) if index == 0 else (self.paddle_v[0], volts)
        self.epoch += 1

    def apply(self, truth: NodeTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on; the world has brought the atom there by the old one."""
        old = self.truth
        if truth == old:
            return
        super().apply(truth, t_mu)
        self.epoch, self.flight_s = self.epoch + 1, delay_s(truth.fibre)
        if (truth.excitation, truth.port, truth.aom) != (old.excitation, old.port, old.aom):
            self.emission.cache_clear()

    # -- the atom at the port ------------------------------------------------------------------------------------------

    @property
    def label(self) -> int:
        """Its label, ABSENT where there is none."""
        return self.register.label.item(self.site)

    @label.setter
    def label(self, label: int) -> None:
        self.register.label[self.site] = label

    @property
    def temperature_k(self) -> float:
        """Its temperature."""
        return self.register.temperature_k.item(self.site)

    @temperature_k.setter
    def temperature_k(self, temperature_k: float) -> None:
        self.register.temperature_k[self.site] = temperature_k

    @property
    def state(self) -> JointState | None:
        """The quantum state that it takes part in, if any."""
        part = self.register.part(self.site)
        return None if part is None else part.state

    # -- attempts ------------------------------------------------------------------------------------------------------

    @property
    def key(self) -> tuple[float, ...]:
        """What the statistics of an attempt depend on, besides the pulses: powers, field, cavity."""
        return (self.beams["excitation"].available, self.beams["pumping"].available, self.beams["repump"].available,
                self.larmor_rad_s, self.piezo_v, self.epoch)  # fmt: skip

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

    # -- the photon and its way ----------------------------------------------------------------------------------------

    def arm(self, length_mu: int, start_s: float) -> Arm:
        """Return the photon's way to the detectors for an excitation pulse of this length that begins at start_s."""
        return Arm(
            self.emission(length_mu, self.beams["excitation"].available, self.piezo_v),
            start_s + self.flight_s,
            self._jones(),
            self.larmor_rad_s,
            self.truth.excitation.jitter_s,
        )

    def photon(self, length_mu: int, power: float, port: Port) -> Emission:
        """Integrate the photon of one excitation pulse; t = 0 is the moment its light reaches half its power."""
        rise, length = self.truth.aom.rise_s, length_mu * 1e-9
        t = np.arange(-3 * rise, length + _EMPTYING_S, _GRID_S)
        drive = self.truth.excitation
        rabi = drive.rabi_rad_s * math.sqrt(power) * np.sqrt(np.clip(envelope(t, 0.0, length, rise), 0, None))
        return port.emit(t, rabi, drive.detuning_rad_s)

    def _emission(self, length_mu: int, power: float, piezo_v: float) -> Emission:
        moved_rad_s = piezo_v * self.truth.excitation.cavity_rad_s_per_v
        return self.photon(length_mu, power, self.truth.port.tuned(moved_rad_s))

    def _jones(self) -> Complexes:
        """Return what the compensator and the fibre behind it do to polarisation."""
        fibre = self.truth.polarisation
        turn, phase = self.paddle_v[0] * fibre.turn_rad_per_v, self.paddle_v[1] * fibre.phase_rad_per_v
        through = jones(fibre.alpha_rad, fibre.beta_rad, fibre.gamma_rad)
        return through @ jones(phase, turn, 0.0) if turn or phase else through
