"""A circuit: a list of gates on numbered qubits and classical bits.

Source of the native gate set {u, cp, rzz}: OpenQASM 3 (arXiv 2104.14722), section on built-in gates.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomlink.errors import UsageError

DIAGONAL = frozenset({"cp", "rzz"})  # the two-qubit gates that are kept; all of them commute


class CircuitError(UsageError):
    """A circuit cannot be read, or asks for what the nodes cannot do."""


@dataclass(frozen=True)
class Op:
    """One operation: `u` (theta, phi, lambda), `cp` (phase), `rzz` (angle), `measure`, `reset` or `barrier`.

    `bit` is the classical bit that a measurement writes; `when` are (bit, value) pairs that must all hold.
    """

    name: str
    qubits: tuple[int, ...]
    params: tuple[float, ...] = ()
    bit: int = -1
    when: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Circuit:
    """Operations on `n` qubits and `bits` classical bits, in the order of the file."""

    n: int
    ops: tuple[Op, ...]
    bits: int = 0
    names: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Refuse a control on a bit that no measurement has written yet."""
        written: set[int] = set()
        for op in self.ops:
            for bit, _value in op.when:
                if bit not in written:
                    raise CircuitError(f"A gate is controlled by bit {bit}, which is not measured before: measure it "
                                       "first, or drop the condition.")  # fmt: skip
            if op.name == "measure":
                written.add(op.bit)

    @property
    def two_qubit_gates(self) -> int:
        """Return the number of two-qubit gates."""
        return sum(op.name in DIAGONAL for op in self.ops)


def u_matrix(theta: float, phi: float, lam: float) -> NDArray[np.complex128]:
    """Return U(theta, phi, lambda) of OpenQASM, complex, shape (2, 2)."""
    c, s = np.cos(theta / 2), np.sin(theta / 2)
    return np.array([[c, -np.exp(1j * lam) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + lam)) * c]])


def u_angles(matrix: NDArray[np.complex128]) -> tuple[float, float, float]:
    """Return (theta, phi, lambda) of a unitary of shape (2, 2), up to its global phase."""
    c, s = abs(matrix[0, 0]), abs(matrix[1, 0])
    theta = 2 * float(np.arctan2(s, c))
    if s < 1e-9:
        return 0.0, 0.0, float(np.angle(matrix[1, 1] / matrix[0, 0]))
    if c < 1e-9:
        return float(np.pi), float(np.angle(-matrix[1, 0] / matrix[0, 1])), 0.0
    return theta, float(np.angle(matrix[1, 0] / matrix[0, 0])), float(np.angle(-matrix[0, 1] / matrix[0, 0]))


def diagonal_phases(op: Op) -> NDArray[np.complex128]:
    """Return the four diagonal elements |00>, |01>, |10>, |11> of a two-qubit gate."""
    angle = op.params[0]
    if op.name == "cp":
        return np.array([1, 1, 1, np.exp(1j * angle)])
    return np.exp(-0.5j * angle * np.array([1, -1, -1, 1]))
