"""What a program should count on registers that err as the lab believes: trajectories of state vectors, many at a time.

    pair      I, X, Y, Z on the far half with the weights of the heralded state, its halves aged until they are stored
    turn      area off by a normal number each; phase lost in the Zeeman pair; what map and transfer leave behind
    CZ        a phase that is not pi, the same in each shot; two-atom Paulis of what decays and Doppler shifts cost
    waiting   Z with (1 - e^(-t/T2))/2, X or Y with (1 - e^(-t/T1))/2 of each stored atom, cycle by cycle
    carrying  an atom is lost at each hand-over; from then on nothing acts on it, and it is read as gone
    hiding    of imaging and recooling light at the port an atom elsewhere scatters a photon, and is anything then
    reading   an atom that should stay is pushed out now and then
States are those of the program, frames taken off; a frame says only what a lost atom is read as.
Source of the method: J. Dalibard, Y. Castin, K. Molmer, PRL 68, 580 (1992).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from atomlink.circuits.circuit import Circuit
from atomlink.circuits.cycles import Cycles, Do, Row
from atomlink.circuits.dense import run
from atomlink.circuits.table import TURN as WHOLE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Complexes = npt.NDArray[np.complex128]
MOST_ATOMS = 12  # that hold qubits at a time
SEED = 1


@dataclass(frozen=True)
class NodeNoise:
    """Errors of one node: rms of a pulse's relative area; a turn's maps go wrong; a turn loses the sign; chance of one
    of 15 Paulis in a CZ of which none, one or both atoms were warmed by attempts; losses of a hand-over and of an atom
    that should stay; T1 and T2 of storage, s; chances that an atom scatters light at the port in an image, and in a
    recooling; phase of a CZ beyond pi, rad.
    """

    pulse_rms: float = 0.0
    p_map: float = 0.0
    p_sign: float = 0.0
    p_gate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    p_handover: float = 0.0
    p_pushout: float = 0.0
    t1_s: float = math.inf
    t2_s: float = math.inf
    p_image: float = 0.0
    p_recool: float = 0.0
    excess_rad: float = 0.0


@dataclass(frozen=True)
class Noise:
    """Errors by node; weights of I, X, Z, Y of each link's pairs, shape (links, 4); s of a cycle; cycles that each pair
    of the program took to come, on average.
    """

    nodes: Sequence[NodeNoise]
    pairs: Floats
    cycle_s: float
    waited: Sequence[float]


def counts(program: Cycles, noise: Noise, shots: int, bits: int, seed: int = SEED) -> Floats:
    """Return the probabilities of all outcomes of the first `bits` bits, shape (2**bits,), from so many trajectories.

    Raises ValueError where more than MOST_ATOMS atoms hold qubits at a time.
    """
    found = _Shots(program, noise, shots, np.random.default_rng(seed)).run()
    outcomes = sum((found[:, k].astype(np.int64) << k for k in range(bits)), np.zeros(shots, dtype=np.int64))
    return np.bincount(outcomes, minlength=1 << bits) / shots


class _Shots:
    """Many shots of one program: `psi` has shape (shots, 2, 2, ...), an axis for each atom of `axes`."""

    def __init__(self, program: Cycles, noise: Noise, shots: int, rng: np.random.Generator) -> None:
        self.program, self.noise, self.n, self.rng = program, noise, shots, rng
        self.psi: Complexes = np.ones((shots, 1), dtype=complex)
        self.axes: list[int] = []
        n = len(program.node_of)
        self.x = np.zeros((n, shots), dtype=bool)  # of the frame: what the atom is flipped by
        self.lost = np.zeros((n, shots), dtype=bool)
        self.bits = np.zeros((shots, max(1, program.bits)), dtype=bool)
        self.taken = [0] * len(program.moves)
        self.heralded = 0
        self.warm: set[int] = set()  # atoms that have heralded; nothing cools them afterwards

    def run(self) -> Bools:
        """Walk the rows; return the bits, shape (shots, bits)."""
        for row in self.program.rows:
            act = np.ones(self.n, dtype=bool) if row.bit < 0 else self.bits[:, row.bit] == bool(row.value)
            self._do(row, act)
        return self.bits

    def _do(self, row: Row, act: Bools) -> None:
        if row.do == Do.INIT:
            self._add(row.a)
            self.x[row.a] = True  # pumping leaves |1>
        elif row.do == Do.TURN:
            self._turn_z(row.a, 2 * math.pi * row.b / WHOLE, act)
        elif row.do == Do.ROTATE:
            self._rotate(row.a, 2 * math.pi * (row.b if row.b <= WHOLE // 2 else row.b - WHOLE) / WHOLE, act)
        elif row.do == Do.CZ:
            self._cz(row.node, row.a, row.b, act)
        elif row.do == Do.FRAME:
            self._frame(row, act & self.bits[:, row.b])
        elif row.do == Do.HERALD:
            self._herald(row)
        elif row.do == Do.MOVE:
            move = self.program.moves[row.node][self.taken[row.node]]
            self.taken[row.node] += 1
            kept = (1 - self.noise.nodes[row.node].p_handover) ** 2
            self._lose(move.atom, self.rng.random(self.n) >= kept)
        elif row.do == Do.MEASURE:
            self._measure(row)
        elif row.do == Do.PULSE and row.node == 1:
            self._wait(self.noise.cycle_s)

    # -- atoms come and go ---------------------------------------------------------------------------------------------

    def _add(self, atom: int) -> None:
        """Take an atom in |0>, as the frame says it."""
        if len(self.axes) >= MOST_ATOMS:
            raise ValueError(f"more than {MOST_ATOMS} atoms hold qubits at a time")
        zero = np.zeros((self.n, self.psi.shape[1], 2), dtype=complex)
        zero[:, :, 0] = self.psi
        self.psi = zero.reshape(self.n, -1)
        self.axes.append(atom)

    def _view(self, atom: int) -> Complexes:
        """Return psi as (shots, before, 2, after) of one atom; what is written into it is written into psi."""
        k = self.axes.index(atom)
        return self.psi.reshape(self.n, 1 << k, 2, -1)

    def _herald(self, row: Row) -> None:
        waited = self.noise.waited[self.heralded]
        self.heralded += 1
        self._wait(self.noise.cycle_s * waited)
        near, far = row.a, row.b
        self.warm |= {near, far}
        for atom in (near, far):
            node = self.program.node_of[atom]
            self._scatter(node, 1 - (1 - self.noise.nodes[node].p_recool) ** waited)
        self._add(near)
        self._add(far)
        self.x[far] = True  # heralds tell Psi+, the program wants Phi+
        pair = self.psi.reshape(self.n, -1, 2, 2)
        pair[:, :, 1, 1] = pair[:, :, 0, 0]
        pair[:, :, (0, 1), (0, 1)] /= math.sqrt(2)
        # An atom that was lost on its way to the port heralds nothing: who has come is there.
        error = self.rng.choice(4, self.n, p=self.noise.pairs[row.node])
        self._flip(far, (error == 1) | (error == 3), (error == 2) | (error == 3))

    def _measure(self, row: Row) -> None:
        atom, noise = row.a, self.noise.nodes[row.node]
        one = self._collapse(atom)
        physical = one ^ self.x[atom]
        # Read after one more refocusing pulse: |1> stays, if it is there and the push-out lets it be.
        left = physical & ~self.lost[atom] & (self.rng.random(self.n) >= noise.p_pushout)
        self.bits[:, row.b] = left ^ self.x[atom]
        self.axes.remove(atom)
        self._scatter(row.node, noise.p_image)

    def _scatter(self, node: int, p: float) -> None:
        """Let the atoms of a node that light at the port does not mean meet it with probability p."""
        for atom in self.axes:
            if self.program.node_of[atom] == node:
                met = self.rng.random(self.n) < p
                self._flip(atom, met & (self.rng.random(self.n) < 0.5), met & (self.rng.random(self.n) < 0.5))

    def _frame(self, row: Row, act: Bools) -> None:
        """Follow a frame: the atom is taken as flipped from now on, which is as good as a flip."""
        x = act if row.c == 0 else np.zeros_like(act)
        self.x[row.a] ^= x
        self._flip(row.a, x, act & ~x)

    def _collapse(self, atom: int) -> Bools:
        """Draw an atom's level, and take its axis away."""
        view = self._view(atom)
        weights = (np.abs(view) ** 2).sum(axis=(1, 3))
        one = self.rng.random(self.n) * weights.sum(axis=1) >= weights[:, 0]
        kept = np.take_along_axis(view, one.astype(np.int64)[:, None, None, None], axis=2)
        psi = kept.reshape(self.n, -1)
        self.psi = psi / np.linalg.norm(psi, axis=1, keepdims=True)
        return np.asarray(one)

    def _lose(self, atom: int, gone: Bools) -> None:
        gone = gone & ~self.lost[atom]
        if atom in self.axes and gone.any():
            view = self._view(atom)
            weights = (np.abs(view) ** 2).sum(axis=(1, 3))
            one = self.rng.random(self.n) * weights.sum(axis=1) >= weights[:, 0]
            view[gone & one, :, 0] = 0
            view[gone & ~one, :, 1] = 0
            self.psi /= np.linalg.norm(self.psi, axis=1, keepdims=True)
        self.lost[atom] |= gone

    # -- what acts on them ---------------------------------------------------------------------------------------------

    def _turn_z(self, atom: int, angle: float, act: Bools) -> None:
        if atom in self.axes:
            act = act & ~self.lost[atom]
            self._view(atom)[act, :, 1] *= np.exp(1j * angle)

    def _rotate(self, atom: int, angle: float, act: Bools) -> None:
        """Turn about y, with an area that errs; where the frame turns the pulse around, the error goes with it."""
        noise = self.noise.nodes[self.program.node_of[atom]]
        angles = angle * (1 + noise.pulse_rms * self.rng.standard_normal(self.n))
        angles = np.where(act & ~self.lost[atom], angles, 0.0)
        cos, sin = (f(0.5 * angles)[:, None, None] for f in (np.cos, np.sin))
        view = self._view(atom)
        zero, one = view[:, :, 0].copy(), view[:, :, 1].copy()
        view[:, :, 0], view[:, :, 1] = cos * zero - sin * one, sin * zero + cos * one
        self._depolarise(atom, noise.p_map, act)
        self._flip(atom, np.zeros_like(act), act & (self.rng.random(self.n) < noise.p_sign))

    def _cz(self, node: int, a: int, b: int, act: Bools) -> None:
        act = act & ~self.lost[a] & ~self.lost[b]
        first, second = sorted((self.axes.index(a), self.axes.index(b)))
        both = self.psi.reshape(self.n, 1 << first, 2, 1 << (second - first - 1), 2, -1)
        both[act, :, 1, :, 1] *= -1
        beyond = np.exp(-0.5j * self.noise.nodes[node].excess_rad)  # half of the excess is taken off each atom
        both[act, :, 0, :, 1] *= beyond
        both[act, :, 1, :, 0] *= beyond
        self._errors(node, a, b, act)

    def _errors(self, node: int, a: int, b: int, act: Bools) -> None:
        """Let one of the 15 Paulis of two atoms act where the gate has erred."""
        warm = (a in self.warm) + (b in self.warm)
        wrong = act & (self.rng.random(self.n) < self.noise.nodes[node].p_gate[warm])
        which = self.rng.integers(1, 16, self.n)
        for atom, code in ((a, which & 3), (b, which >> 2)):
            self._flip(atom, wrong & ((code == 1) | (code == 3)), wrong & (code >= 2))

    def _depolarise(self, atom: int, p: float, act: Bools) -> None:
        wrong = act & (self.rng.random(self.n) < p)
        which = self.rng.integers(0, 3, self.n)
        self._flip(atom, wrong & (which != 1), wrong & (which != 0))

    def _flip(self, atom: int, x: Bools, z: Bools) -> None:
        view = self._view(atom)
        view[z, :, 1] *= -1
        view[x] = view[x][:, :, ::-1]

    def _wait(self, t_s: float) -> None:
        for atom in self.axes:
            noise = self.noise.nodes[self.program.node_of[atom]]
            flip = 0.5 * -math.expm1(-t_s / noise.t1_s)
            phase = 0.5 * (1 - min(1.0, math.exp(-t_s / noise.t2_s) / (1 - flip)))
            self._flip(atom, self.rng.random(self.n) < flip, self.rng.random(self.n) < phase)


def ideal(circuit: Circuit) -> Floats:
    """Return the probabilities of a circuit's outcomes, shape (2**bits,): exact where it measures at its end only, else
    from 20 000 runs.
    """
    measured = [(op.qubits[0], op.bit) for op in circuit.ops if op.name == "measure"]
    last = {q: k for k, op in enumerate(circuit.ops) for q in op.qubits if op.name != "barrier"}
    ends = all(op.name != "measure" or last[op.qubits[0]] == k for k, op in enumerate(circuit.ops))
    if not ends or any(op.when or op.name == "reset" for op in circuit.ops) or len({b for _, b in measured}) < len(
        measured
    ):
        rng, found = np.random.default_rng(SEED), np.zeros(1 << circuit.bits)
        for _ in range(20_000):
            found[sum(value << bit for bit, value in run(circuit, rng)[1].items())] += 1
        return found / found.sum()
    gates = tuple(op for op in circuit.ops if op.name != "measure")
    state, _ = run(replace(circuit, ops=gates), np.random.default_rng(SEED))
    weights = np.abs(state.vector(list(range(circuit.n)))) ** 2  # qubit 0 is the most significant
    number = np.arange(len(weights))
    outcome = sum(((number >> (circuit.n - 1 - q) & 1) << bit for q, bit in measured), np.zeros_like(number))
    return np.bincount(outcome, weights, minlength=1 << circuit.bits).astype(np.float64)


def hellinger_fidelity(p: Floats, q: Floats) -> float:
    """Return (sum sqrt(p q))^2 of two distributions."""
    return float(np.sqrt(p * q).sum() ** 2)
