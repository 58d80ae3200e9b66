"""A state vector whose qubits come and go; a copy in a cat state costs no memory while it is one.

State: complex amplitudes over the live qubits, one axis of length 2 each. A qubit `copy` whose value equals that of
another in every amplitude is stored as an alias of it; this is checked on the amplitudes, never assumed.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits.circuit import Circuit, CircuitError, Op, diagonal_phases, u_matrix

MOST_QUBITS = 24
_H = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)
_X = np.array([[0, 1], [1, 0]], dtype=complex)


class Dense:
    """A state vector over named qubits; `rng` draws the outcomes of measurements."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Start with no qubit."""
        self.rng = rng
        self.state: NDArray[np.complex128] = np.ones((), dtype=complex)
        self.axes: list[Hashable] = []
        self.alias: dict[Hashable, Hashable] = {}
        self.probability = 1.0

    def add(self, *qubits: Hashable) -> None:
        """Add qubits in |0>."""
        for qubit in qubits:
            if len(self.axes) >= MOST_QUBITS:
                raise CircuitError(f"The state vector holds {MOST_QUBITS} qubits, and one more is asked for: verify "
                                   "with Clifford angles.")  # fmt: skip
            self.state = np.stack([self.state, np.zeros_like(self.state)], axis=-1)
            self.axes.append(qubit)

    def pair(self, a: Hashable, b: Hashable) -> None:
        """Add two qubits in the Bell state (|00> + |11>)/sqrt 2."""
        self.add(a, b)
        self.u(a, _H)
        self.cx(a, b)

    def _axis(self, qubit: Hashable) -> int:
        return self.axes.index(self.alias.get(qubit, qubit))

    def u(self, qubit: Hashable, matrix: NDArray[np.complex128]) -> None:
        """Apply a unitary of shape (2, 2)."""
        if abs(matrix[1, 0]) > 1e-12 or abs(matrix[0, 1]) > 1e-12:
            self.expand(qubit)
        axis = self._axis(qubit)
        old = np.ascontiguousarray(self.state).reshape(1 << axis, 2, -1)
        new = np.empty_like(old)
        for row in (0, 1):
            new[:, row] = matrix[row, 0] * old[:, 0] + matrix[row, 1] * old[:, 1]
        self.state = new.reshape(self.state.shape)

    def diagonal(self, a: Hashable, b: Hashable, phases: NDArray[np.complex128]) -> None:
        """Multiply by phases of |00>, |01>, |10>, |11> of two qubits."""
        i, j = self._axis(a), self._axis(b)
        shape = [2 if axis in (i, j) else 1 for axis in range(len(self.axes))]
        table = phases.reshape(2, 2)
        self.state = self.state * (table if i < j else table.T).reshape(shape)

    def cx(self, control: Hashable, target: Hashable) -> None:
        """Apply a CNOT."""
        self.u(target, _H)
        self.diagonal(control, target, np.array([1, 1, 1, -1], dtype=complex))
        self.u(target, _H)

    def measure(self, qubit: Hashable, keep: bool = False, want: int | None = None) -> int:
        """Read a qubit in Z, project, and remove it unless it is to be kept; `want` forces an outcome.

        `probability` is that of the outcome afterwards. An outcome that cannot be is refused with CircuitError.
        """
        self.expand(qubit)
        axis = self._axis(qubit)
        halves = np.moveaxis(self.state, axis, 0)
        weight = [float(np.vdot(half, half).real) for half in halves]
        bit = int(self.rng.random() * sum(weight) >= weight[0]) if want is None else want
        self.probability = weight[bit] / sum(weight)
        if self.probability < 1e-12:
            raise CircuitError(f"Outcome {bit} of {qubit} has probability 0, but was met elsewhere.")
        half = halves[bit] / np.sqrt(weight[bit])
        if keep:
            self.state = np.moveaxis(np.stack([half * (bit == 0), half * (bit == 1)]), 0, axis)
        else:
            self.state = half
            del self.axes[axis]
        return bit

    def flip(self, qubit: Hashable) -> None:
        """Apply X."""
        self.u(qubit, _X)

    def sign(self, qubit: Hashable) -> None:
        """Apply Z."""
        self.u(qubit, np.diag([1, -1]).astype(complex))

    def join(self, copy: Hashable, of: Hashable) -> bool:
        """Store `copy` as an alias of `of`, if they are equal in every amplitude; say whether they are."""
        if copy in self.alias or self._axis(copy) == self._axis(of):
            return True
        i, j = self._axis(of), self._axis(copy)
        moved = np.moveaxis(self.state, (i, j), (0, 1))
        if max(np.abs(moved[0, 1]).max(initial=0), np.abs(moved[1, 0]).max(initial=0)) > 1e-9:
            return False
        root = self.alias.get(of, of)
        kept = np.stack([moved[0, 0], moved[1, 1]])
        del self.axes[j]
        self.state = np.moveaxis(kept, 0, self.axes.index(root))
        for name, other in list(self.alias.items()):
            if other == copy:
                self.alias[name] = root
        self.alias[copy] = root
        return True

    def expand(self, qubit: Hashable) -> None:
        """Give every qubit that shares an axis with this one an axis of its own."""
        root = self.alias.get(qubit, qubit)
        for copy in [name for name, other in self.alias.items() if other == root]:
            del self.alias[copy]
            axis = self.axes.index(root)
            zeros = np.zeros_like(np.take(self.state, 0, axis))
            first, second = np.take(self.state, 0, axis), np.take(self.state, 1, axis)
            both = np.stack([np.stack([first, zeros]), np.stack([zeros, second])])
            self.state = np.moveaxis(both, (0, 1), (axis, -1))
            self.axes.append(copy)

    def vector(self, order: list[Hashable]) -> NDArray[np.complex128]:
        """Return the amplitudes, shape (2**n,), with the first of `order` as the most significant bit."""
        for qubit in order:
            self.expand(qubit)
        return np.transpose(self.state, [self._axis(q) for q in order]).reshape(-1)



class Engine(Protocol):
    """What runs operations: a state vector or a stabiliser state."""

    probability: float

    def u(self, qubit: Hashable, matrix: NDArray[np.complex128]) -> None:
        """Apply a one-qubit unitary."""

    def diagonal(self, a: Hashable, b: Hashable, phases: NDArray[np.complex128]) -> None:
        """Apply a diagonal two-qubit unitary."""

    def measure(self, qubit: Hashable, keep: bool = False, want: int | None = None) -> int:
        """Read a qubit in Z."""

    def flip(self, qubit: Hashable) -> None:
        """Apply X."""


@dataclass
class Record:
    """What was measured: classical bits, outcomes by the number of their operation, and how probable all of it was.

    An outcome that is there before its operation is forced.
    """

    bits: dict[int, int] = field(default_factory=dict)
    outcomes: dict[int, int] = field(default_factory=dict)
    probability: float = 1.0


def act(op: Op, names: Sequence[Hashable], engine: Engine, record: Record, index: int) -> None:
    """Apply one operation of a circuit, the `index`th, to the named qubits."""
    if any(record.bits[bit] != value for bit, value in op.when):
        return
    if op.name == "u":
        engine.u(names[0], u_matrix(*op.params))
    elif op.name in ("cp", "rzz"):
        engine.diagonal(names[0], names[1], diagonal_phases(op))
    elif op.name in ("measure", "reset"):
        bit = engine.measure(names[0], keep=True, want=record.outcomes.get(index))
        record.outcomes[index] = bit
        record.probability *= engine.probability
        if op.name == "measure":
            record.bits[op.bit] = bit
        elif bit:
            engine.flip(names[0])


def run(circuit: Circuit, rng: np.random.Generator, start: Dense | None = None) -> tuple[Dense, dict[int, int]]:
    """Run a circuit from |0...0>, or from `start` with its qubits named 0..n-1; return the state and the bits."""
    state, record = start or Dense(rng), Record()
    if start is None:
        state.add(*range(circuit.n))
    for index, op in enumerate(circuit.ops):
        act(op, list(op.qubits), state, record, index)
    return state, record.bits
