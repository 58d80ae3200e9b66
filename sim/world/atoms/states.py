"""Joint quantum states of atoms, as pure trajectories over three levels each, and each atom's handle to its part.

An atom holds a `Part`; the part points to its `JointState`, the state to all its parts. So atoms may be carried about,
states may merge, and nobody needs a name. Every noise is sampled when it acts (a detuning per shot, a random flip),
every measurement outcome is drawn: the state stays pure and its average over shots is the density matrix. Free
evolution is applied lazily: each part remembers when it was last touched. Source of the method: J. Dalibard,
Y. Castin, K. Molmer, PRL 68, 580 (1992).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.physics.coherence import quasi_static_sigma_rad_s
from sim.physics.rotations import precession
from sim.world.scenario.memory_truth import Memory

Complexes = NDArray[np.complex128]
LEVELS = 3  # |0>, |1>, |2>
_FLIP = {
    "x": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=complex),
    "y": np.array([[0, -1j, 0], [1j, 0, 0], [0, 0, 1]], dtype=complex),
    "z": np.diag([1, -1, 1]).astype(complex),
}
_SWAP = np.eye(3)[[0, 2, 1]]  # the pair of a stored atom is levels 0 and 2
_FLIP_STORED = {name: _SWAP @ flip @ _SWAP for name, flip in _FLIP.items()}


class JointState:
    """Atoms in a joint pure state: `psi` has one axis of 3 per part, of 4 while that atom may be in its Rydberg state;
    `parts` in order of the axes.
    """

    def __init__(self, psi: Complexes, parts: Sequence[Part]) -> None:
        self.psi, self.parts = psi, list(parts)
        for axis, part in enumerate(self.parts):
            part.state, part.axis = self, axis

    def merge(self, other: JointState) -> None:
        """Take over the parts of another state; whoever holds one of them finds it here from now on."""
        for part in other.parts:
            part.state, part.axis = self, part.axis + self.psi.ndim
        self.parts += other.parts
        self.psi = np.multiply.outer(self.psi, other.psi)

    def keep(self, axis: int, levels: Sequence[int]) -> None:
        """Project one atom on some of its levels."""
        mask = np.zeros(self.psi.shape[axis])
        mask[list(levels)] = 1.0
        shape = [1] * self.psi.ndim
        shape[axis] = len(mask)
        self.psi = self.psi * mask.reshape(shape)
        self.psi = self.psi / np.linalg.norm(self.psi)

    def remove(self, part: Part) -> None:
        """Take a part out of the list; its axis of `psi` is the caller's business."""
        self.parts.remove(part)
        for rest in self.parts:
            rest.axis -= rest.axis > part.axis


class Part:
    """One atom's part in a joint state: its axis there, the time of its last touch, its noise in this shot.

    `stored`: it is in clock states, F = 1, m = 0 in the place of |0>, and |2>; then `clock_rad_s` is its detuning in
    this shot and `clock_scale` the strength of the light that turns it.
    """

    __slots__ = ("axis", "clock_rad_s", "clock_scale", "detuning_rad_s", "microwave_scale", "raman_scale", "state",
                 "stored", "touched_mu")  # fmt: skip

    state: JointState
    axis: int

    def __init__(self, touched_mu: float, detuning_rad_s: float, raman_scale: float, microwave_scale: float) -> None:
        self.touched_mu, self.detuning_rad_s = touched_mu, detuning_rad_s
        self.raman_scale, self.microwave_scale = raman_scale, microwave_scale
        self.stored, self.clock_rad_s, self.clock_scale = False, 0.0, 1.0

    @classmethod
    def drawn(cls, t_mu: float, memory: Memory, amplitude_rms: tuple[float, float], rng: np.random.Generator) -> Part:
        """Draw this shot's quasi-static noise: a detuning and the strengths of Raman and microwave drives."""
        detuning, raman, microwave = rng.standard_normal(3).tolist()
        return cls(t_mu, quasi_static_sigma_rad_s(memory.t2_star_s) * detuning, 1 + amplitude_rms[0] * raman,
                   1 + amplitude_rms[1] * microwave)  # fmt: skip

    def apply(self, unitary: Complexes) -> None:
        """Apply a (3, 3) unitary to this atom; its Rydberg state, if it has one, keeps its phase."""
        state, axis = self.state, self.axis
        if state.psi.shape[axis] > LEVELS:
            unitary = np.block([[unitary, np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
        if state.psi.ndim > 2:
            state.psi = np.moveaxis(np.tensordot(unitary, state.psi, (1, axis)), 0, axis)
        else:
            state.psi = unitary @ state.psi if axis == 0 else state.psi @ unitary.T

    def turn(self, pulse: Pulse, start_mu: int, dt: float) -> None:
        """Let a pulse act from start_mu on for dt seconds; the atom precesses under the light, not besides."""
        self.apply(pulse(self, start_mu, dt))
        self.touched_mu = start_mu + dt * 1e9

    def evolve(self, t_mu: float, larmor_rad_s: float, memory: Memory, rng: np.random.Generator) -> None:
        """Let this atom precess and decohere until t_mu (1 mu = 1 ns); `memory` is of the levels that it is in."""
        dt = (t_mu - self.touched_mu) * 1e-9
        self.touched_mu = t_mu
        if dt == 0:
            return
        self.apply(self.precessed((larmor_rad_s + self.detuning_rad_s) * dt, dt))
        if dt > 0:
            self._decohere(dt, memory, rng)

    def precessed(self, angle_rad: float, dt: float) -> Complexes:
        """Return what dt seconds do, in which the Zeeman pair precesses by an angle: a stored atom's |1> goes with it,
        its pair has the frame of the clock transition.
        """
        if not self.stored:
            return precession(angle_rad)
        half = 0.5 * self.clock_rad_s * dt
        return np.diag(np.exp(1j * np.array([-half, 0.5 * angle_rad, half])))

    def _decohere(self, dt: float, memory: Memory, rng: np.random.Generator) -> None:
        # T1 turns sigma_z by (1 - 2 p): half X, half Y flips; they shrink sigma_x by (1 - p), dephasing does the rest
        # of exp(-t/T2).
        flip = 0.5 * -math.expm1(-dt / memory.t1_s)
        dephase = 0.5 * (1 - min(1.0, math.exp(-dt / memory.t2_s) / (1 - flip)))
        flips = _FLIP_STORED if self.stored else _FLIP
        if rng.random() < flip:
            self.apply(flips["x"] if rng.random() < 0.5 else flips["y"])
        if rng.random() < dephase:
            self.apply(flips["z"])

    def populations(self) -> NDArray[np.float64]:
        """Return the probabilities of this atom's levels, shape (3,), or (4,) with the Rydberg state."""
        weights = np.abs(self.state.psi) ** 2
        return np.asarray(weights.sum(axis=tuple(k for k in range(weights.ndim) if k != self.axis)))

    def measure(self, rng: np.random.Generator) -> int:
        """Draw this atom's level, take the atom out of the state, leave the rest in the state that follows."""
        weights, state = self.populations(), self.state
        level = int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))
        level = min(level, len(weights) - 1)
        if state.psi.ndim > 1:
            state.psi = np.take(state.psi, level, axis=self.axis)
            state.psi = state.psi / np.linalg.norm(state.psi)
        state.remove(self)
        return level

    def drop_level(self, level: int, rng: np.random.Generator) -> bool:
        """Ask whether this atom is in `level`; if so it leaves the state (True), else the state is projected on the
        rest.
        """
        weights = self.populations()
        if rng.random() * weights.sum() < weights[level]:
            self.state.keep(self.axis, [level])
            self.measure(rng)
            return True
        self.state.keep(self.axis, [k for k in range(len(weights)) if k != level])
        return False

    def project(self, level: int) -> None:
        """This atom is in this level, and leaves the state."""
        self.state.keep(self.axis, [level])
        self.state.psi = np.take(self.state.psi, level, axis=self.axis)
        self.state.remove(self)


Pulse = Callable[[Part, int, float], Complexes]  # noise of the atom, start (mu), length (s) -> (3, 3) unitary


class Birth:
    """A state that atoms were left in and nobody has asked for yet; most are pumped away unseen, and then cost nothing.

    `make` builds the parts when the first of them is asked for; one that was forgotten before is measured then.
    """

    def __init__(self, build: Callable[[], list[Part]], rng: np.random.Generator) -> None:
        self._build, self._rng = build, rng
        self._parts: list[Part] | None = None
        self._forgotten: list[int] = []

    def forget(self, number: int) -> None:
        """One atom's part is of no interest any more."""
        self._forgotten.append(number)

    def make(self) -> list[Part]:
        """Return the parts, in the order of the atoms."""
        if self._parts is None:
            self._parts = self._build()
            for number in self._forgotten:
                self._parts[number].measure(self._rng)
        return self._parts


class Unborn(NamedTuple):
    """An atom's handle to its part in a state that is built when it is needed."""

    birth: Birth
    number: int

    def part(self) -> Part:
        """Return the part; now it is needed."""
        return self.birth.make()[self.number]


Handle = Part | Unborn


def let_go(handle: Handle, rng: np.random.Generator) -> int:
    """Take an atom out of its state, as if its level had been seen; return the level. What nobody has asked for is
    over |0>, |1>, and its level of no interest.
    """
    if isinstance(handle, Unborn):
        handle.birth.forget(handle.number)
        return 0
    return handle.measure(rng)


def embed(psi: Complexes) -> Complexes:
    """Put a state over |0>, |1> of one (2,) or two (4,) atoms into three levels each."""
    if psi.size == 2:
        return np.append(psi, 0.0)
    out = np.zeros((3, 3), dtype=complex)
    out[:2, :2] = psi.reshape(2, 2)
    return out
