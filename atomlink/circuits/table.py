"""A scheduled program as a table of integers, for one kernel that walks the rows of all nodes.

    op       a        b       c
    ROTATE   atom     axis    angle     axis 1: Y (a pulse), 2: Z (a phase); angles in turns / 2**31
    CP, ZZ   atom     atom    angle     controlled phase; exp(-i angle/2 ZZ)
    HERALD   atom     atom    cutoff    attempts until a pair Phi+ is there; us, 0 without cutoff
    MEASURE  atom     bit     0         read in Z; the atom is free afterwards, unless c is 1
    FRAME    atom     bit     axis      X (0) or Z (2) if the bit is 1: a change of frame, no pulse
    BRANCH   bit      value   row       go to the row if the bit has not this value
    WAIT     us       0       0         nothing starts for so long (XY8 on what is stored)
    END      0        0       0
"""

import heapq
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from atomlink.circuits.circuit import Op
from atomlink.circuits.program import Program, Step
from atomlink.circuits.schedule import Schedule, Times

TURN = 2**31
Y, Z, X = 1, 2, 0


class Code(IntEnum):
    """What a row does."""

    END = 0
    ROTATE = 1
    CP = 2
    ZZ = 3
    HERALD = 4
    MEASURE = 5
    FRAME = 6
    BRANCH = 7
    WAIT = 8


class Row(NamedTuple):
    """One row; all columns are 64-bit integers."""

    op: Code
    a: int = 0
    b: int = 0
    c: int = 0


class Table(NamedTuple):
    """Rows, the atoms of the qubits at the start and at the end, atoms per node, and the number of bits.

    Atom k of node i has the number i * atoms + k. Bits of the circuit come first.
    """

    rows: tuple[Row, ...]
    start: tuple[int, ...]
    end: tuple[int, ...]
    atoms: int
    bits: int


def table(program: Program, run: Schedule, times: Times) -> Table:
    """Return the rows of one program in the order of a schedule."""
    return _Writer(program, run, times).write()


class _Writer:
    def __init__(self, program: Program, run: Schedule, times: Times) -> None:
        self.program, self.run = program, run
        self.atoms = program.nodes.room + 2 * times.slots + 1
        self.cutoff = 0 if np.isinf(times.cutoff_s) else round(1e6 * times.cutoff_s)
        self.free = [list(range(node * self.atoms, (node + 1) * self.atoms)) for node in range(program.nodes.count)]
        self.atom = {(q, node): heapq.heappop(self.free[node]) for q, node in enumerate(program.start)}
        self.halves: dict[int, tuple[int, int]] = {}
        self.at = list(program.start)
        self.rows: list[Row] = []
        self.bits = program.circuit.bits

    def write(self) -> Table:
        start = tuple(self.atom[q, node] for q, node in enumerate(self.program.start))
        events = [(float(t), k, False) for k, t in enumerate(self.run.start)]
        events += [(float(t), -1 - k, True) for k, t in enumerate(self.run.herald) if not np.isnan(t)]
        now = 0.0
        for when, key, herald in sorted(events):
            if when - now >= 1e-6:
                self._row(Code.WAIT, int(1e6 * (when - now)))
                now = when
            if herald:
                self._herald(-1 - key)
            else:
                self._step(key, self.program.steps[key])
        self._row(Code.END)
        return Table(tuple(self.rows), start, tuple(self.atom[q, node] for q, node in enumerate(self.at)), self.atoms,
                     self.bits)  # fmt: skip

    def _row(self, op: Code, a: int = 0, b: int = 0, c: int = 0) -> None:
        self.rows.append(Row(op, a, b, c))

    def _herald(self, index: int) -> None:
        step = self.program.steps[index]
        near, far = heapq.heappop(self.free[step.source]), heapq.heappop(self.free[step.node])
        self.halves[index] = (near, far)
        self._row(Code.HERALD, near, far, self.cutoff)

    def _turn(self, atom: int, axis: int, angle: float) -> None:
        counts = round(angle / (2 * np.pi) * TURN) % TURN
        if counts:
            self._row(Code.ROTATE, atom, axis, counts)

    def _hadamard(self, atom: int) -> None:
        self._turn(atom, Z, np.pi)
        self._turn(atom, Y, np.pi / 2)

    def _read(self, atom: int, node: int) -> int:
        bit, self.bits = self.bits, self.bits + 1
        self._row(Code.MEASURE, atom, bit)
        heapq.heappush(self.free[node], atom)
        return bit

    def _step(self, index: int, step: Step) -> None:
        q = step.qubits[0]
        if step.kind == "open":
            near, far = self.halves[index]
            self._hadamard(near)
            self._row(Code.CP, self.atom[q, step.source], near, TURN // 2)
            self._hadamard(near)
            self._row(Code.FRAME, far, self._read(near, step.source), X)
            self.atom[q, step.node] = far
        elif step.kind == "close":
            atom = self.atom.pop((q, step.node))
            self._hadamard(atom)
            self._row(Code.FRAME, self.atom[q, self.at[q]], self._read(atom, step.node), Z)
        elif step.kind == "home":
            self.at[q] = step.node
        elif step.op is not None:
            self._operation(step.op, [self.atom[r, step.node] for r in step.qubits])

    def _operation(self, op: Op, atoms: list[int]) -> None:
        branches = []
        for bit, value in op.when:
            branches.append((len(self.rows), bit, value))
            self._row(Code.BRANCH)
        if op.name == "u":
            theta, phi, lam = op.params
            self._turn(atoms[0], Z, lam)
            self._turn(atoms[0], Y, theta)
            self._turn(atoms[0], Z, phi)
        elif op.name in ("cp", "rzz"):
            # a turn more is another sign of exp(-i angle/2 ZZ), which is a global phase
            counts = round(op.params[0] / (2 * np.pi) * TURN) % TURN
            self._row(Code.CP if op.name == "cp" else Code.ZZ, atoms[0], atoms[1], counts)
        elif op.name in ("measure", "reset"):
            bit = op.bit
            if op.name == "reset":
                bit, self.bits = self.bits, self.bits + 1
            self._row(Code.MEASURE, atoms[0], bit, 1)
            if op.name == "reset":
                self._row(Code.FRAME, atoms[0], bit, X)
        for at, bit, value in branches:
            self.rows[at] = Row(Code.BRANCH, bit, value, len(self.rows))
