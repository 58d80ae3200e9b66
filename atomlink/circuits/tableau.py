"""A stabiliser state whose qubits come and go: Clifford gates and measurements on hundreds of qubits.

Source: Aaronson and Gottesman, quant-ph/0406196, without the destabilisers: a row-reduced form replaces them.
Rows are Pauli operators: x, z bool, shape (n, n), and sign; Y is x = z = 1.
"""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits.circuit import CircuitError

_PAULIS = {(1, 0): np.array([[0, 1], [1, 0]], dtype=complex), (0, 1): np.diag([1, -1]).astype(complex)}
_PAULIS[1, 1] = 1j * _PAULIS[1, 0] @ _PAULIS[0, 1]


class Tableau:
    """A stabiliser state over named qubits; the same calls as `dense.Dense`."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Start with no qubit."""
        self.rng = rng
        self.names: list[Hashable] = []
        self.x = np.zeros((0, 0), dtype=bool)
        self.z = np.zeros((0, 0), dtype=bool)
        self.sign_bits = np.zeros(0, dtype=bool)
        self.probability = 1.0
        self._known: dict[bytes, dict[tuple[int, int], tuple[int, int, int]]] = {}

    def add(self, *qubits: Hashable) -> None:
        """Add qubits in |0>."""
        for qubit in qubits:
            n = len(self.names)
            x, z = np.zeros((n + 1, n + 1), dtype=bool), np.zeros((n + 1, n + 1), dtype=bool)
            x[:n, :n], z[:n, :n] = self.x, self.z
            z[n, n] = True
            self.x, self.z, self.sign_bits = x, z, np.append(self.sign_bits, False)
            self.names.append(qubit)

    def pair(self, a: Hashable, b: Hashable) -> None:
        """Add two qubits in the Bell state (|00> + |11>)/sqrt 2."""
        self.add(a, b)
        self._h(self.names.index(a))
        self.cx(a, b)

    def _h(self, i: int) -> None:
        self.sign_bits ^= self.x[:, i] & self.z[:, i]
        self.x[:, i], self.z[:, i] = self.z[:, i].copy(), self.x[:, i].copy()

    def u(self, qubit: Hashable, matrix: NDArray[np.complex128]) -> None:
        """Apply a Clifford unitary of shape (2, 2); raise ValueError if it is none."""
        key = np.round(matrix, 6).tobytes()
        if key not in self._known:
            self._known[key] = {pauli: _image(matrix, pauli) for pauli in _PAULIS}
        i = self.names.index(qubit)
        old = (self.x[:, i].copy(), self.z[:, i].copy())
        for pauli, (x, z, minus) in self._known[key].items():
            rows = (old[0] == pauli[0]) & (old[1] == pauli[1])
            self.x[rows, i], self.z[rows, i] = x, z
            self.sign_bits[rows] ^= bool(minus)

    def diagonal(self, a: Hashable, b: Hashable, phases: NDArray[np.complex128]) -> None:
        """Multiply by phases of |00>, |01>, |10>, |11>: S to a power on each, and CZ or nothing."""
        for qubit, phase in ((a, phases[2] / phases[0]), (b, phases[1] / phases[0])):
            self.u(qubit, np.diag([1, phase]))
        both = phases[3] * phases[0] / (phases[1] * phases[2])
        if abs(both - 1) > 1e-9:
            if abs(both + 1) > 1e-9:
                raise ValueError("not a Clifford gate")
            self._cz(self.names.index(a), self.names.index(b))

    def _cz(self, i: int, j: int) -> None:
        x, z = self.x, self.z
        self.sign_bits ^= x[:, i] & x[:, j] & (z[:, i] ^ z[:, j])
        z[:, i] ^= x[:, j]
        z[:, j] ^= x[:, i]

    def cx(self, control: Hashable, target: Hashable) -> None:
        """Apply a CNOT."""
        i, j = self.names.index(control), self.names.index(target)
        self._h(j)
        self._cz(i, j)
        self._h(j)

    def flip(self, qubit: Hashable) -> None:
        """Apply X."""
        self.sign_bits ^= self.z[:, self.names.index(qubit)]

    def sign(self, qubit: Hashable) -> None:
        """Apply Z."""
        self.sign_bits ^= self.x[:, self.names.index(qubit)]

    def _times(self, rows: NDArray[np.intp], by: int) -> None:
        """Multiply rows by another one."""
        x1, z1, x2, z2 = self.x[rows], self.z[rows], self.x[by], self.z[by]
        # the power of i of each factor: Y times Z and so on, as in eq. 3 of the source
        g = (x2 & z2) * (z1.astype(int) - x1) + (x2 & ~z2) * (z1 * (2 * x1.astype(int) - 1)) \
            + (~x2 & z2) * (x1 * (1 - 2 * z1.astype(int)))  # fmt: skip
        total = 2 * self.sign_bits[rows] + 2 * int(self.sign_bits[by]) + g.sum(axis=1)
        self.sign_bits[rows] = total % 4 == 2
        self.x[rows] ^= x2
        self.z[rows] ^= z2

    def measure(self, qubit: Hashable, keep: bool = False, want: int | None = None) -> int:
        """Read a qubit in Z, project, and remove it unless it is to be kept; `want` chooses an outcome that is random.

        `probability` is that of the outcome afterwards. An outcome that cannot be is refused with CircuitError.
        """
        i = self.names.index(qubit)
        rows = np.flatnonzero(self.x[:, i])
        if len(rows):
            pivot = int(rows[0])
            self._times(rows[1:], pivot)
            bit = int(self.rng.random() < 0.5) if want is None else want
            self.x[pivot], self.z[pivot] = False, False
            self.z[pivot, i], self.sign_bits[pivot] = True, bool(bit)
            self.probability = 0.5
        else:
            pivot = self._isolate(i)
            bit = int(self.sign_bits[pivot])
            self.probability = 1.0
            if want not in (None, bit):
                raise CircuitError(f"Outcome {want} of {qubit} has probability 0, but was met elsewhere.")
        if not keep:
            self._times(np.array([r for r in np.flatnonzero(self.z[:, i]) if r != pivot], dtype=np.intp), pivot)
            self.x = np.delete(np.delete(self.x, pivot, 0), i, 1)
            self.z = np.delete(np.delete(self.z, pivot, 0), i, 1)
            self.sign_bits = np.delete(self.sign_bits, pivot)
            del self.names[i]
        return bit

    def _isolate(self, i: int) -> int:
        """Make one row Z of qubit i alone (there is one in the group), by row reduction; return its number."""
        n = len(self.names)
        order = [(self.x, k) for k in range(n)] + [(self.z, k) for k in range(n) if k != i]
        top = 0
        for table, k in order:
            rows = np.flatnonzero(table[top:, k]) + top
            if len(rows) == 0:
                continue
            self._swap(top, int(rows[0]))
            others = np.flatnonzero(table[:, k])
            self._times(others[others > top], top)
            top += 1
        return n - 1

    def _swap(self, a: int, b: int) -> None:
        for table in (self.x, self.z, self.sign_bits):
            table[[a, b]] = table[[b, a]]

    def join(self, copy: Hashable, of: Hashable) -> bool:
        """Say that a copy may stay as it is: a tableau has room for it."""
        return True

    def canonical(self, order: list[Hashable]) -> tuple[bytes, bytes, bytes]:
        """Return what is equal for equal states, and for no others: the fully reduced rows, qubits in this order."""
        columns = [self.names.index(q) for q in order]
        self.x, self.z = self.x[:, columns], self.z[:, columns]
        self.names = list(order)
        top = 0
        for table in (self.x, self.z):
            for k in range(len(order)):
                rows = np.flatnonzero(table[top:, k]) + top
                if len(rows):
                    self._swap(top, int(rows[0]))
                    others = np.flatnonzero(table[:, k])
                    self._times(others[others != top], top)
                    top += 1
        return self.x.tobytes(), self.z.tobytes(), self.sign_bits.tobytes()


def _image(matrix: NDArray[np.complex128], pauli: tuple[int, int]) -> tuple[int, int, int]:
    """Return (x, z, minus) of U P U†."""
    image = matrix @ _PAULIS[pauli] @ matrix.conj().T
    for (x, z), other in _PAULIS.items():
        overlap = np.trace(image @ other).real / 2
        if abs(abs(overlap) - 1) < 1e-6:
            return x, z, int(overlap < 0)
    raise ValueError("not a Clifford gate")
