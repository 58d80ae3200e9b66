"""Light of the port that reaches the atoms beside it, too: `[nodes.rydberg] global_drives = true`.

Pumping, Raman, microwave and push-out then do to these atoms what `lit_atom` does to the one at the port, each with
noise of its own; excitation light stays at the port, for only there is a cavity. READY (F = 2, m = 0) is the level |2>
that the microwave couples to |1>, so an atom that was pumped there enters the qubit as a pure |2>, the port's atom too.
The hiding light keeps the sites beside the port out of all this.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from sim.physics.trap import survival_after_heating
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT, READY
from sim.world.atoms.states import Cluster, Pulse, Stored

if TYPE_CHECKING:
    from sim.world.atoms.rydberg import RydbergGate

Site = tuple[int, int]


class GlobalDrives:
    """The port's light on the sites beside it."""

    def __init__(self, gate: RydbergGate, rng: np.random.Generator) -> None:
        self.gate, self.node, self.array, self.rng = gate, gate.node, gate.array, rng

    def act(self, start_mu: int, stop_mu: int) -> None:
        """Let constant light act between two times; the port's atom itself is the node's to treat."""
        if not self.gate.truth.global_drives:
            return
        port, *beside = self.gate.sites()
        if self.node.microwave_on and self.node.label == READY:
            self.gate.qubit(port, start_mu)
        for site in () if self.array.hidden else beside:
            if self.array.label(*site) != ABSENT:
                self._light(site, start_mu, (stop_mu - start_mu) * 1e-9)

    def _light(self, site: Site, start_mu: int, dt: float) -> None:
        """Do as `LitAtom` does to the port's atom."""
        beams = self.node.beams
        if beams["pumping"].power or (beams["repump"].power and not beams["cooling"].power):
            self._pump(site, dt)
        label = self.array.label(*site)
        if beams["raman_a"].power and beams["raman_b"].power and label in (QUBIT, F1):
            self._turn(site, self.node.raman_pulse, start_mu, dt)
        if self.node.microwave_on and label in (QUBIT, F1, READY):
            self._turn(site, self.node.microwave_pulse, start_mu, dt)
        if beams["pushout"].power and label != ABSENT:
            self._push_out(site, start_mu, dt * beams["pushout"].power)

    def _pump(self, site: Site, dt: float) -> None:
        beams = self.node.beams
        self.array.forget(site)
        edges = self.node.pumping_edges(beams["repump"].power, beams["pumping"].power, dt)
        label = F1 + bisect_right(edges[self.array.label(*site) - F1], self.rng.random())
        self.array.relabel(site, label)
        before = float(self.array.temperature_k[site])
        after = before + dt * self.node.truth.atom.pump_heating_k_s * beams["pumping"].power
        self.array.warm(site, after)
        trap_k = self.node.trap_k
        if after > trap_k / 40 and self.rng.random() >= survival_after_heating(before, after, trap_k):  # as `Node.heat`
            self.array.lose_sites(np.array([site]))

    def _turn(self, site: Site, pulse: Pulse, start_mu: int, dt: float) -> None:
        stored = self._qubit(site, start_mu)
        stored.cluster.turn(stored.name, pulse, start_mu, dt)

    def _push_out(self, site: Site, start_mu: int, exposure_s: float) -> None:
        light = self.node.truth.pushout
        if self.rng.random() < -math.expm1(-light.leak_hz * exposure_s):
            self.array.lose_sites(np.array([site]))
        elif self.array.label(*site) in (F2, READY):
            if self.rng.random() < -math.expm1(-light.loss_hz * exposure_s):
                self.array.lose_sites(np.array([site]))
        elif self.array.cluster(*site) is not None:
            stored = self._qubit(site, start_mu)
            if stored.cluster.drop_level(stored.name, 2, self.rng):
                self.array.relabel(site, F2)
                self._push_out(site, start_mu, exposure_s)

    def _qubit(self, site: Site, t_mu: int) -> Stored:
        """Return an atom's part in a quantum state, brought up to t_mu; F = 1 outside any is an unpolarised qubit."""
        stored = self.gate.qubit(site, t_mu)
        if stored is None:
            name, level = self.node.new_name(), int(self.rng.integers(0, 2))
            cluster = Cluster(np.eye(3, dtype=complex)[level], {name: self.node.new_member(0, t_mu)})
            stored = Stored(cluster, name)
            self.array.entangle(site, stored)
        stored.cluster.evolve(stored.name, t_mu, self.node.larmor_rad_s, self.node.truth.memory, self.rng)
        return stored
