"""The atom at a node's photon port, with its tweezer and its field: what can happen to it, whatever the cause.

It is heated, lost, let go and caught again, carried away and brought, entangled and forgotten; left alone it only
precesses. What light makes of it is in `sim.world.atoms.light`, which builds on this.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.physics.fields import field_gauss, larmor_hz
from sim.physics.recapture import release_and_catch
from sim.physics.species import Species
from sim.physics.trap import p_lost, survival_after_heating
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT
from sim.world.atoms.states import Birth, Cluster, Member, Stored, embed, member
from sim.world.scenario.truth import NodeTruth

if TYPE_CHECKING:
    from sim.world.atoms.array import Tweezers
    from sim.world.atoms.rydberg import RydbergGate


class Flight(NamedTuple):
    """An atom whose trap was switched off: its label, when, and how deep the trap was before."""

    label: int
    start_mu: int
    depth_k: float


class InterfaceAtom:
    """One atom, or none (`label` ABSENT). Times are in mu; `before_touch` is called before the atom is touched, so that
    photons in flight are settled first.
    """

    def __init__(self, name: str, truth: NodeTruth, species: Species, rng: np.random.Generator) -> None:
        self.name, self.truth, self.species, self.rng = name, truth, species, rng
        self.now_mu = 0
        self.label, self.temperature_k = ABSENT, truth.atom.temperature_k
        self.death_mu = math.inf  # when the vacuum takes it
        self._cluster: Cluster | None = None
        self._birth: Birth | None = None
        self.trap_k = truth.trap.depth_k
        self._trap_v: float | None = None
        self._flight: Flight | None = None  # while the trap is off; nobody sees the atom then, and light loses it
        self.shim_v = (0.0, 0.0, 0.0)
        self.larmor_rad_s = self._larmor()
        self.before_touch: Callable[[], None] = lambda: None
        self.tweezers: Tweezers | None = None  # the array, if the node has one
        self.gate: RydbergGate | None = None  # its Rydberg light, likewise
        self._numbers = itertools.count()

    # -- there or not, hot or cold -------------------------------------------------------------------------------------

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

    def vanish(self) -> None:
        """The atom has left its cluster already, and now the trap."""
        self._cluster, self.label, self.death_mu = None, ABSENT, math.inf

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

    def receive(self, label: int, temperature_k: float, stored: Stored | None) -> None:
        """Take over an atom that a moving tweezer has put down at the port."""
        self.label, self.temperature_k, self._cluster, self._birth = label, temperature_k, None, None
        self._flight = None
        if stored is not None:
            stored.cluster.members[self.name] = stored.cluster.members.pop(stored.name)
            self._cluster = stored.cluster
        self._begin_life()

    def _begin_life(self) -> None:
        self.death_mu = self.now_mu + self.rng.exponential(self.truth.atom.vacuum_lifetime_s) * 1e9

    # -- its quantum state ---------------------------------------------------------------------------------------------

    @property
    def cluster(self) -> Cluster | None:
        """The quantum state that the atom takes part in, if it is a qubit."""
        if self._birth is not None:
            self._cluster, self._birth = self._birth.make(), None
        return self._cluster

    def born(self, birth: Birth) -> None:
        """Become one of the atoms of a state that is built when it is needed."""
        self._cluster, self._birth, self.label = None, birth, QUBIT

    def become(self, cluster: Cluster) -> None:
        """Have a part in a quantum state from now on, under the node's name."""
        self._cluster, self._birth, self.label = cluster, None, QUBIT

    def qubit(self, t_mu: float) -> Cluster:
        """Return the atom's cluster, brought up to t_mu; an atom in F = 1 outside any is an unpolarised qubit."""
        if self.cluster is None:
            state = embed(np.eye(2, dtype=complex)[self.rng.integers(0, 2)])
            self._cluster, self.label = Cluster(state, {self.name: self.new_member(0, t_mu)}), QUBIT
        cluster = self.cluster
        assert cluster is not None
        cluster.evolve(self.name, t_mu, self.larmor_rad_s, self.truth.memory, self.rng)
        return cluster

    def leave_cluster(self) -> None:
        """Take the atom out of its cluster, as if its level had been seen: F1 or F2."""
        self.settle_gate()
        if self._birth is not None:
            self._birth.forget(self.name)
            self._birth, self.label = None, F1
        elif self._cluster is not None:
            self.label = F2 if self._cluster.measure(self.name, self.rng) == 2 else F1
            self._cluster = None

    def new_member(self, axis: int, t_mu: float) -> Member:
        """Draw this shot's noise of the qubit."""
        scales = (self.truth.raman.amplitude_rms, self.truth.microwave.amplitude_rms)
        return member(axis, t_mu, self.truth.memory, scales, self.rng)

    def new_name(self) -> str:
        """Return the name in its cluster of an atom of this node that is not at the port."""
        return f"{self.name}/{next(self._numbers)}"

    def settle_gate(self) -> None:
        """Decide whether atoms that Rydberg light has met are still there: something else touches them now."""
        if self.gate is not None and self.gate.atoms:
            self.gate.settle()

    # -- its tweezer and its field -------------------------------------------------------------------------------------

    def set_trap(self, volts: float) -> None:
        """Set the trap depth; a shallower trap may lose the atom, none releases it until there is one again."""
        self._trap_v = volts
        self._deepen(max(0.0, volts * self.truth.atom.trap_k_per_v))

    def set_field(self, axis: int, volts: float) -> None:
        """Set one shim coil (0, 1, 2 = x, y, z)."""
        shim = list(self.shim_v)
        shim[axis] = volts
        self.shim_v = (shim[0], shim[1], shim[2])
        self.larmor_rad_s = self._larmor()

    def apply(self, truth: NodeTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on; the world has brought the atom there by the old one."""
        if self.label == QUBIT:
            self.qubit(t_mu)
        self.truth = truth
        self.larmor_rad_s = self._larmor()
        self._deepen(truth.trap.depth_k if self._trap_v is None else max(0.0, self._trap_v * truth.atom.trap_k_per_v))
        if self.tweezers is not None:
            self.tweezers.apply()

    def _larmor(self) -> float:
        return 2 * math.pi * larmor_hz(field_gauss(self.truth.coils, self.shim_v), self.species.zeeman_pair_hz_gauss)

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
