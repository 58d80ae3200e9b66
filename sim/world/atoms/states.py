"""The quantum state of one atom or of an entangled pair, as a pure trajectory over three levels each.

Every noise is sampled when it acts (a detuning per shot, a random flip), every measurement outcome is drawn, so the
state stays pure and its average over shots is the density matrix. Free evolution is applied lazily: each atom remembers
when it was last touched. Source of the method: J. Dalibard, Y. Castin, K. Molmer, PRL 68, 580 (1992).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.physics.coherence import quasi_static_sigma_rad_s
from sim.physics.rotations import precession
from sim.world.scenario.truth import Memory

Complexes = NDArray[np.complex128]
_FLIP = {
    "x": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=complex),
    "y": np.array([[0, -1j, 0], [1j, 0, 0], [0, 0, 1]], dtype=complex),
    "z": np.diag([1, -1, 1]).astype(complex),
}


@dataclass
class Member:
    """One atom's part in a cluster: `axis` of the state tensor, time of the last touch, this shot's noise."""

    axis: int
    touched_mu: float
    detuning_rad_s: float
    raman_scale: float
    microwave_scale: float


Pulse = Callable[[Member, int, float], Complexes]  # noise of the atom, start (mu), length (s) -> (3, 3) unitary


class Cluster:
    """Atoms in a joint pure state; `state` has one axis of 3 per atom, of 4 while it may be in its Rydberg state."""

    def __init__(self, state: Complexes, members: dict[str, Member]) -> None:
        self.state = state
        self.members = members

    def apply(self, node: str, unitary: Complexes) -> None:
        """Apply a (3, 3) unitary to one atom; its Rydberg state, if it has one, keeps its phase."""
        axis = self.members[node].axis
        if self.state.shape[axis] > 3:
            unitary = np.block([[unitary, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
        if self.state.ndim > 2:
            self.state = np.moveaxis(np.tensordot(unitary, self.state, (1, axis)), 0, axis)
        else:
            self.state = unitary @ self.state if axis == 0 else self.state @ unitary.T

    def turn(self, node: str, pulse: Pulse, start_mu: int, dt: float) -> None:
        """Let a pulse act on one atom from start_mu on for dt seconds; it precesses under the light, not besides."""
        member = self.members[node]
        self.apply(node, pulse(member, start_mu, dt))
        member.touched_mu = start_mu + dt * 1e9

    def evolve(self, node: str, t_mu: float, larmor_rad_s: float, memory: Memory, rng: np.random.Generator) -> None:
        """Let one atom precess and decohere until t_mu (1 mu = 1 ns)."""
        member = self.members[node]
        dt = (t_mu - member.touched_mu) * 1e-9
        member.touched_mu = t_mu
        if dt == 0:
            return
        self.apply(node, precession((larmor_rad_s + member.detuning_rad_s) * dt))
        if dt > 0:
            self._decohere(node, dt, memory, rng)

    def _decohere(self, node: str, dt: float, memory: Memory, rng: np.random.Generator) -> None:
        # T1 turns sigma_z by (1 - 2 p): half X, half Y flips; they shrink sigma_x by (1 - p), dephasing does the rest
        # of exp(-t/T2).
        flip = 0.5 * -math.expm1(-dt / memory.t1_s)
        dephase = 0.5 * (1 - min(1.0, math.exp(-dt / memory.t2_s) / (1 - flip)))
        if rng.random() < flip:
            self.apply(node, _FLIP["x"] if rng.random() < 0.5 else _FLIP["y"])
        if rng.random() < dephase:
            self.apply(node, _FLIP["z"])

    def populations(self, node: str) -> NDArray[np.float64]:
        """Return the probabilities of one atom's levels, shape (3,), or (4,) with the Rydberg state."""
        weights = np.abs(self.state) ** 2
        other = tuple(k for k in range(weights.ndim) if k != self.members[node].axis)
        return np.asarray(weights.sum(axis=other))

    def measure(self, node: str, rng: np.random.Generator) -> int:
        """Draw one atom's level, take the atom out of the cluster, leave the rest in the state that follows."""
        weights = self.populations(node)
        level = int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))
        level = min(level, len(weights) - 1)
        member = self.members.pop(node)
        if self.state.ndim > 1:
            self.state = np.take(self.state, level, axis=member.axis)
            self.state = self.state / np.linalg.norm(self.state)
            for rest in self.members.values():
                rest.axis -= rest.axis > member.axis
        return level

    def drop_level(self, node: str, level: int, rng: np.random.Generator) -> bool:
        """Ask whether one atom is in `level`; if so it leaves the cluster (True), else the state is projected on the
        rest.
        """
        weights = self.populations(node)
        axis = self.members[node].axis
        if rng.random() * weights.sum() < weights[level]:
            self._keep(axis, [level])
            self.measure(node, rng)
            return True
        self._keep(axis, [k for k in range(len(weights)) if k != level])
        return False

    def project(self, node: str, level: int) -> None:
        """One atom is in this level, and leaves the cluster."""
        axis = self.members[node].axis
        self._keep(axis, [level])
        self.state = np.take(self.state, level, axis=axis)
        del self.members[node]
        for rest in self.members.values():
            rest.axis -= rest.axis > axis

    def absorb(self, other: Cluster) -> None:
        """Take over the atoms of another cluster, names all different; from now on both are one and the same."""
        for member in other.members.values():
            member.axis += self.state.ndim
        self.members.update(other.members)
        self.state = np.multiply.outer(self.state, other.state)
        # Whoever holds the other one (the partner node, a stored atom) goes on holding this one's state.
        other.__dict__ = self.__dict__

    def _keep(self, axis: int, levels: list[int]) -> None:
        mask = np.zeros(self.state.shape[axis])
        mask[levels] = 1.0
        shape = [1] * self.state.ndim
        shape[axis] = len(mask)
        self.state = self.state * mask.reshape(shape)
        self.state = self.state / np.linalg.norm(self.state)


class Stored(NamedTuple):
    """One atom's part in a cluster while it is away from the port: the cluster, and the atom's name in it."""

    cluster: Cluster
    name: str

    def measure(self, rng: np.random.Generator) -> int:
        """Draw the atom's level and take it out."""
        return self.cluster.measure(self.name, rng)


class Birth:
    """A state that atoms were left in and nobody has asked for yet; most are pumped away unseen, and then cost nothing.

    `make` builds the cluster when the first of its atoms is asked for; an atom that was forgotten before is measured
    then.
    """

    def __init__(self, build: Callable[[], Cluster], rng: np.random.Generator) -> None:
        self._build, self._rng = build, rng
        self._cluster: Cluster | None = None
        self._forgotten: list[str] = []

    def forget(self, node: str) -> None:
        """One atom's part is of no interest any more."""
        self._forgotten.append(node)

    def make(self) -> Cluster:
        """Return the cluster, the same for all its atoms."""
        if self._cluster is None:
            self._cluster = self._build()
            for node in self._forgotten:
                self._cluster.measure(node, self._rng)
        return self._cluster


def member(
    axis: int, t_mu: float, memory: Memory, amplitude_rms: tuple[float, float], rng: np.random.Generator
) -> Member:
    """Draw this shot's quasi-static noise: a detuning and the strengths of Raman and microwave drives."""
    detuning, raman, microwave = rng.standard_normal(3).tolist()
    return Member(
        axis,
        t_mu,
        quasi_static_sigma_rad_s(memory.t2_star_s) * detuning,
        1 + amplitude_rms[0] * raman,
        1 + amplitude_rms[1] * microwave,
    )


def embed(psi: Complexes) -> Complexes:
    """Put a state over |0>, |1> of one (2,) or two (4,) atoms into three levels each."""
    if psi.size == 2:
        return np.append(psi, 0.0)
    out = np.zeros((3, 3), dtype=complex)
    out[:2, :2] = psi.reshape(2, 2)
    return out
