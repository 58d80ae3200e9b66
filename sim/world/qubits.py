"""The quantum state of one atom or of an entangled pair, as a pure trajectory over three levels each.

Every noise is sampled when it acts (a detuning per shot, a random flip), every measurement outcome is drawn, so the
state stays pure and its average over shots is the density matrix. Free evolution is applied lazily: each atom remembers
when it was last touched. Source of the method: J. Dalibard, Y. Castin, K. Molmer, PRL 68, 580 (1992).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.physics.coherence import quasi_static_sigma_rad_s
from sim.physics.rotations import precession
from sim.world.scenario import Memory

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


class Cluster:
    """One or two atoms in a joint pure state; `state` has shape (3,) or (3, 3)."""

    def __init__(self, state: Complexes, members: dict[str, Member]) -> None:
        self.state = state
        self.members = members

    def apply(self, node: str, unitary: Complexes) -> None:
        """Apply a (3, 3) unitary to one atom."""
        self.state = unitary @ self.state if self.members[node].axis == 0 else self.state @ unitary.T

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
        """Return the probabilities (3,) of one atom's levels."""
        weights = np.abs(self.state) ** 2
        other = tuple(k for k in range(weights.ndim) if k != self.members[node].axis)
        return np.asarray(weights.sum(axis=other))

    def measure(self, node: str, rng: np.random.Generator) -> int:
        """Draw one atom's level, take the atom out of the cluster, leave the rest in the state that follows."""
        weights = self.populations(node)
        level = int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))
        level = min(level, 2)
        member = self.members.pop(node)
        if self.state.ndim == 2:
            self.state = np.take(self.state, level, axis=member.axis)
            self.state = self.state / np.linalg.norm(self.state)
            for rest in self.members.values():
                rest.axis = 0
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
        self._keep(axis, [k for k in range(3) if k != level])
        return False

    def _keep(self, axis: int, levels: list[int]) -> None:
        mask = np.zeros(3)
        mask[levels] = 1.0
        shape = [1] * self.state.ndim
        shape[axis] = 3
        self.state = self.state * mask.reshape(shape)
        self.state = self.state / np.linalg.norm(self.state)


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
