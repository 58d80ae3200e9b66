"""One photon port of a node as a station sees it: the atom before it, its photon and its way, what an attempt does."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from sim.physics.aom import envelope
from sim.physics.emission import Emission
from sim.physics.fibre import delay_s, jones, transmission
from sim.physics.interference import Arm, Complexes, Floats
from sim.physics.motion import Spread, spread
from sim.physics.pumping import generator, transition
from sim.world.atoms.labels import ABSENT, CHAIN, F1, F2
from sim.world.atoms.light import LitAtoms, PortLight
from sim.world.atoms.states import Handle, Part
from sim.world.network.node_cycle import NodeCycle
from sim.world.network.warmth import cycles_within, middle_k
from sim.world.ports import Port
from sim.world.scenario.truth import Excitation, PortTruth

_EMPTYING_S = (
    1.2e-6  # the wavepacket is followed this long after the pulse: 15 cavity lifetimes and more in every scenario
)
_GRID_S = 1e-9


class Optics(Protocol):
    """A memory in the way of photons: whether its cloud lets them pass, and what its rails do to those that pass."""

    name: str

    def passes(self, t_mu: int) -> bool:
        """Return whether photons pass at t_mu, because the cloud is gone."""

    @property
    def transmission(self) -> float:
        """Return the share that the rails let through, their mean."""

    def turn(self) -> Complexes:
        """Draw by what the rails multiply the photon's amplitudes (H, V), whose squares have the mean 1."""


class PhotonPort:
    """A port (`key`: "node.port") of a node: a site of its register, the light on it, the fibre behind it."""

    def __init__(self, key: str, node: LitAtoms, truth: PortTruth, light: PortLight) -> None:
        self.key, self.node, self.register, self.site = key, node, node.register, light.site
        self.truth, self.light, self.beams = truth, light, light.beams
        self.piezo_v, self.paddle_v = 0.0, (0.0, 0.0)
        self.flight_s = delay_s(truth.fibre)
        self.epoch = 0  # counts the truths
        self.pulse_start_mu: int | None = None  # while excitation light is on
        self.memory: Optics | None = None  # of the memory that its photons go through, if any
        self.emission = lru_cache(maxsize=64)(self._emission)
        self._spread = lru_cache(maxsize=64)(self._spread_of)

    def set_piezo(self, volts: float) -> None:
        """Set the cavity's piezo."""
        self.piezo_v = volts

    def set_paddle(self, index: int, volts: float) -> None:
        """Set the polarisation compensator's rotator (0) or retarder (1)."""
        self.paddle_v = (volts, self.paddle_v[1]) if index == 0 else (self.paddle_v[0], volts)
        self.epoch += 1

    def apply(self, truth: PortTruth, aom_changed: bool) -> None:
        """Live by another truth from now on, of the port or of its node."""
        old, self.truth = self.truth, truth
        self.epoch, self.flight_s = self.epoch + 1, delay_s(truth.fibre)
        self._spread.cache_clear()
        if aom_changed or (truth.excitation, truth.port) != (old.excitation, old.port):
            self.emission.cache_clear()

    # -- the atom in front of it ---------------------------------------------------------------------------------------

    @property
    def label(self) -> int:
        """Its label, ABSENT where there is none."""
        return self.register.label.item(self.site)

    @label.setter
    def label(self, label: int) -> None:
        self.register.label[self.site] = label

    def chain_label(self) -> int:
        """Return the label as the attempt's chain counts it."""
        return self.register.chain_label(self.site)

    def cycles_until_loss(self, rise_k: float) -> int | None:
        """Draw after how many steps of heating by rise_k the atom leaves; None if it stays for good."""
        return self.register.cycles_until_loss(self.site, rise_k)

    def excited(self, end: int) -> None:
        """An excitation has left the atom with this label, and warmer."""
        self.label = end
        self.register.heat(self.site, self.node.truth.atom.emission_heating_k)

    @property
    def strays(self) -> Spread | None:
        """How far the atom strays at its present temperature, in steps of it; None where the port does not care."""
        return self._spread(self._middle_k(), self.register.trap_k) if self.truth.port.feels_motion else None

    def cycles_alike(self, rise_k: float) -> int | None:
        """Return how many steps of heating by rise_k lie within one step of temperature; None if it does not matter."""
        if not self.truth.port.feels_motion or self.label == ABSENT:
            return None
        return cycles_within(self.register.temperature_k.item(self.site), self.node.truth.atom.temperature_k, rise_k)

    def _middle_k(self) -> float:
        return middle_k(self.register.temperature_k.item(self.site), self.node.truth.atom.temperature_k)

    def _spread_of(self, temperature_k: float, depth_k: float) -> Spread:
        trap = self.node.truth.trap
        return spread(replace(trap, depth_k=depth_k or trap.depth_k), self.node.species.mass_kg, temperature_k)

    def move(self, label: int, lost: bool = False) -> None:
        """Attempts have left the atom, if there is one, with this label and outside any quantum state, or took it."""
        self.register.leave(self.site)
        if self.label != ABSENT:
            self.label = label
        if lost:
            self.register.lose(self.site)

    def warm(self, rise_k: float) -> None:
        """Attempts have warmed the atom; whether this lost it was drawn before."""
        if self.label != ABSENT:
            self.register.temperature_k[self.site] += rise_k

    def new_part(self, t_mu: float) -> Part:
        """Draw this shot's noise of a qubit that was made at t_mu."""
        return self.register.new_part(t_mu)

    def become(self, handle: Handle) -> None:
        """Make the atom a qubit."""
        self.register.become(self.site, handle)

    # -- attempts ------------------------------------------------------------------------------------------------------

    @property
    def statistics(self) -> tuple[object, ...]:
        """What the statistics of an attempt depend on, besides the pulses: powers, field, cavity."""
        beams = self.beams
        return (self.key, beams["excitation"].available, beams["pumping"].available, beams["repump"].available,
                self.register.larmor_rad_s, self.piezo_v, self.epoch)  # fmt: skip

    def cycle(self, pump: tuple[float, float], length_mu: int, start_s: float, throughput: float) -> NodeCycle:
        """Return what pumping for `pump` (before, after) seconds and one excitation pulse do; `throughput` fibre end to
        click. A pulse of length 0 excites nothing.
        """
        arm, truth = self.arm(length_mu, start_s), self.truth
        before, after = self._pumped(pump[0]), self._pumped(pump[1])
        if not length_mu:
            return NodeCycle(before, after, 0.0, 0.0, replace(arm, others=()))
        way = truth.port.fibre_coupling * transmission(truth.fibre) * throughput
        mine = arm.emission
        collected = mine.efficiency * truth.port.fibre_coupling * transmission(truth.fibre) * throughput
        wrong = 0.0 if mine.wrong is None else mine.wrong.efficiency * way
        share, sent = self.node.truth.pumping.left_beside, self._sent_beside(length_mu)
        beside = (0.0, 0.0) if sent is None else (share * sent.transferred, share * sent.efficiency * way)
        return NodeCycle(before, after, mine.transferred, collected, arm, wrong, beside)

    @property
    def sends_beside(self) -> bool:
        """Whether its atom was left beside the ready state, and sends a photon that says nothing of a qubit."""
        return self.label == F2 and self.node.truth.pumping.left_beside > 0 and self.truth.port.sends_beside

    def _pumped(self, t_s: float) -> Floats:
        """Return the label transitions (4, 4), row-stochastic, of pumping at the beams' available powers for t_s."""
        out = np.eye(CHAIN)
        if t_s > 0:
            beams = self.beams
            rates = generator(self.node.truth.pumping, beams["repump"].available, beams["pumping"].available)
            out[F1:, F1:] = transition(rates, t_s).T
        return out

    # -- the photon and its way ----------------------------------------------------------------------------------------

    def arm(self, length_mu: int, start_s: float) -> Arm:
        """Return the photon's way to the detectors for an excitation pulse of this length that begins at start_s."""
        emission = self.emission(length_mu, self.beams["excitation"].available, self.piezo_v, self.strays)
        others = [photon for photon in (emission.wrong, self._sent_beside(length_mu))
                  if photon is not None and photon.efficiency > 0]  # fmt: skip
        return Arm(emission, start_s + self.flight_s, self.jones(), self.register.larmor_rad_s,
                   self.truth.excitation.jitter_s, tuple(others))  # fmt: skip

    def _sent_beside(self, length_mu: int) -> Emission | None:
        """Return the photon of an atom that pumping left beside the ready state; None where that sends none."""
        if not (self.node.truth.pumping.left_beside > 0 and self.truth.port.sends_beside):
            return None
        return self.emission(length_mu, self.beams["excitation"].available, self.piezo_v, self.strays, beside=True)

    def photon(self, length_mu: int, power: float, port: Port, strays: Spread | None = None,
               beside: bool = False) -> Emission:  # fmt: skip
        """Integrate the photon of one excitation pulse; t = 0 is the moment its light reaches half its power."""
        return _photon(self.node.truth.aom.rise_s, length_mu * 1e-9, self.truth.excitation, power, port, strays, beside)

    def _emission(self, length_mu: int, power: float, piezo_v: float, strays: Spread | None = None,
                  beside: bool = False) -> Emission:  # fmt: skip
        moved_rad_s = piezo_v * self.truth.excitation.cavity_rad_s_per_v
        return self.photon(length_mu, power, self.truth.port.tuned(moved_rad_s), strays, beside)

    def jones(self) -> Complexes:
        """Return what the compensator and the fibre behind it do to polarisation."""
        fibre = self.truth.polarisation
        turn, phase = self.paddle_v[0] * fibre.turn_rad_per_v, self.paddle_v[1] * fibre.phase_rad_per_v
        through = jones(fibre.alpha_rad, fibre.beta_rad, fibre.gamma_rad)
        return through @ jones(phase, turn, 0.0) if turn or phase else through


@lru_cache(maxsize=32)  # ports that are alike have the same photon
def _photon(rise_s: float, length_s: float, drive: Excitation, power: float, port: Port, strays: Spread | None,
            beside: bool) -> Emission:  # fmt: skip
    t = np.arange(-3 * rise_s, length_s + _EMPTYING_S, _GRID_S)
    rabi = drive.rabi_rad_s * math.sqrt(power) * np.sqrt(np.clip(envelope(t, 0.0, length_s, rise_s), 0, None))
    return (port.emit_beside if beside else port.emit)(t, rabi, drive.detuning_rad_s, strays)
