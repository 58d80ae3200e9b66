"""The atoms of a node in their tweezers and their field: what holds them, lets them go and catches them again.

The tweezers of a node are all as deep. Atoms that are let go fly; nobody sees them then, light that meets them takes
them away, and when the tweezers are back each is caught where its energy is below zero. What light makes of trapped
atoms is in `sim.world.atoms.light`, which builds on this.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sim.physics.fields import field_gauss, larmor_hz
from sim.physics.recapture import release_and_catch
from sim.physics.species import Species
from sim.world.atoms.labels import ABSENT
from sim.world.atoms.register import Floats, Ints, Labels, Register
from sim.world.scenario.truth import NodeTruth


class Flight(NamedTuple):
    """Atoms whose tweezers were switched off: sites and labels (n,), when, and how deep the tweezers were before."""

    sites: Ints
    label: Labels
    start_mu: int
    depth_k: float


class TrappedAtoms:
    """The register of one node with its tweezers and its field. Times are in mu."""

    def __init__(self, name: str, truth: NodeTruth, species: Species, rng: np.random.Generator) -> None:
        self.name, self.species, self.rng = name, species, rng
        self.now_mu = 0
        self.register = Register(truth, truth.shape, rng)
        self._trap_v: float | None = None
        self._flight: Flight | None = None
        self.shim_v = (0.0, 0.0, 0.0)
        self._feel_field()

    @property
    def truth(self) -> NodeTruth:
        """What is true of the node now."""
        return self.register.truth

    @truth.setter
    def truth(self, truth: NodeTruth) -> None:
        self.register.truth = truth

    @property
    def trap_k(self) -> float:
        """How deep the tweezers are."""
        return self.register.trap_k

    @property
    def larmor_rad_s(self) -> float:
        """The splitting of |0> and |1| in the field."""
        return self.register.larmor_rad_s

    def set_trap(self, volts: float) -> None:
        """Set the depth; shallower tweezers may lose atoms, none let all go until there are some again."""
        self._trap_v = volts
        self._deepen(max(0.0, volts * self.truth.atom.trap_k_per_v))

    def set_field(self, axis: int, volts: float) -> None:
        """Set one shim coil (0, 1, 2 = x, y, z)."""
        shim = list(self.shim_v)
        shim[axis] = volts
        self.shim_v = (shim[0], shim[1], shim[2])
        self._feel_field()

    def apply(self, truth: NodeTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on; the world has brought the atoms there by the old one."""
        for site in list(self.register.handles):
            self.register.qubit(site, t_mu)
        self.truth = truth
        self._feel_field()
        self._deepen(truth.trap.depth_k if self._trap_v is None else max(0.0, self._trap_v * truth.atom.trap_k_per_v))

    def take_dead(self, t_mu: int) -> None:
        """Let the vacuum take what it takes until t_mu, atoms in flight among them."""
        dead = self.register.death_mu <= t_mu
        if self._flight is not None:
            still = ~dead[self._flight.sites]
            self._flight = self._flight._replace(sites=self._flight.sites[still], label=self._flight.label[still])
        self.register.lose_all(np.flatnonzero(dead))
        self.register.note_deaths()

    def lose_flying(self) -> None:
        """Light finds atoms in flight, and takes them away."""
        if self._flight is not None:
            sites, self._flight = self._flight.sites, None
            self.register.lose_all(sites)

    def _feel_field(self) -> None:
        field = field_gauss(self.truth.coils, self.shim_v)
        self.register.larmor_rad_s = 2 * math.pi * larmor_hz(field, self.species.zeeman_pair_hz_gauss)

    def _deepen(self, depth_k: float) -> None:
        register = self.register
        before, register.trap_k = register.trap_k, depth_k
        if self._flight is not None and depth_k > 0:
            self._catch(self._flight)
        if depth_k >= before:
            return
        sites = np.flatnonzero(register.label != ABSENT)
        if not len(sites):
            return
        if depth_k == 0:
            self._flight = Flight(sites, register.label[sites], self.now_mu, before)
            register.label[sites] = ABSENT
            return
        warm = register.temperature_k[sites]
        kept = self.rng.random(len(sites)) * (1 - _p_lost(warm, before)) < 1 - _p_lost(warm, depth_k)
        register.lose_all(sites[~kept])

    def _catch(self, flight: Flight) -> None:
        """The tweezers are there again: find out which atoms they caught."""
        self._flight, register = None, self.register
        if not len(flight.sites):
            return
        before, after = (replace(self.truth.trap, depth_k=depth) for depth in (flight.depth_k, register.trap_k))
        caught, temperature_k = release_and_catch(
            self.rng, before, after, self.species.mass_kg, register.temperature_k[flight.sites],
            (self.now_mu - flight.start_mu) * 1e-9,
        )  # fmt: skip
        back = flight.sites[caught]
        register.label[back], register.temperature_k[back] = flight.label[caught], temperature_k[caught]
        register.lose_all(flight.sites[~caught])


def _p_lost(temperature_k: Floats, depth_k: float) -> Floats:
    """Return `sim.physics.trap.p_lost` of many atoms (n,)."""
    x = depth_k / np.maximum(temperature_k, 1e-12)
    return np.asarray(np.exp(-x) * (1 + x + x * x / 2))
