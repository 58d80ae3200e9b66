"""One node: its atoms in their light, and its photon ports.

    atoms.register   all its atoms
    atoms.trap       what holds them
    atoms.light      what light does to them
    photon_port      what a pulse of excitation light gives: the photon and its way, and what one attempt does
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atomlink.topology import NodeSpec
from sim.physics.species import Species
from sim.world.atoms.light import LitAtoms
from sim.world.atoms.states import JointState
from sim.world.detectors.counter import Counter
from sim.world.network.photon_port import PhotonPort
from sim.world.scenario.truth import NodeTruth


class Node(LitAtoms):
    """One node: the atoms, `ports` by name, and what holds at present (`truth`). `port` is its first one."""

    def __init__(self, spec: NodeSpec, truth: NodeTruth, species: Species, rng: np.random.Generator,
                 counters: Sequence[Counter]) -> None:  # fmt: skip
        super().__init__(spec.name, truth, species, rng, counters)
        found = zip(spec.ports, truth.ports, self.lights, strict=True)
        self.ports = {port.name: PhotonPort(port.key, self, mine, light) for port, mine, light in found}
        self.port = next(iter(self.ports.values()))
        self.site = self.port.site
        self.awake = True  # a signal has come since light was last looked for: only then there can be some

    def apply(self, truth: NodeTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on; the world has brought the atoms there by the old one."""
        old = self.truth
        if truth == old:
            return
        super().apply(truth, t_mu)
        for port, mine in zip(self.ports.values(), truth.ports, strict=True):
            port.apply(mine, truth.aom != old.aom)

    @property
    def bright(self) -> bool:
        """Whether any light or microwave is on, also such as acts on no atom by itself."""
        if self.microwave_on:
            return True
        for beam in self.every_beam:  # noqa: SIM110 - asked at every look at a detector: a generator costs as much again
            if beam.power:
                return True
        return False

    @property
    def label(self) -> int:
        """The label of the atom at the first port, ABSENT where there is none."""
        return self.port.label

    @label.setter
    def label(self, label: int) -> None:
        self.port.label = label

    @property
    def temperature_k(self) -> float:
        """The temperature of the atom at the first port."""
        return self.register.temperature_k.item(self.site)

    @temperature_k.setter
    def temperature_k(self, temperature_k: float) -> None:
        self.register.temperature_k[self.site] = temperature_k

    @property
    def state(self) -> JointState | None:
        """The quantum state that the atom at the first port takes part in, if any."""
        part = self.register.part(self.site)
        return None if part is None else part.state
