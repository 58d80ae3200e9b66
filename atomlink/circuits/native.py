"""Bring a circuit into the form that is partitioned: few two-qubit gates, all diagonal, few gates between them.

1. One-qubit gates are merged; phases wait, and flips (X times a phase) are carried through diagonal gates.
2. CZ w CZ, with w on one qubit t alone, is one ZZ rotation: w = Rz RX(theta) Rz, so CZ w CZ = Rz H ZZ(theta) H Rz on t.
   CX RZ CX, as other compilers write ZZ, is the best known case.
3. Gates between the same two segments are added up; what adds up to nothing is dropped.
A *segment* of a qubit is what lies between two operations on it that are not diagonal. Everything in it commutes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits.circuit import DIAGONAL, Circuit, Op, u_angles, u_matrix

_TOLERANCE = 1e-9
_I = np.eye(2, dtype=complex)
_H = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)


def native(circuit: Circuit) -> Circuit:
    """Return an equivalent circuit (up to the global phase) with few diagonal two-qubit gates."""
    ops = _merge_local(list(circuit.ops), circuit.n)
    while True:
        count = sum(op.name in DIAGONAL for op in ops)
        ops = _merge_local(_recognise_zz(ops, circuit.n), circuit.n)
        ops = _merge_local(_add_up(ops, circuit.n), circuit.n)
        if sum(op.name in DIAGONAL for op in ops) == count:
            return replace(circuit, ops=tuple(ops))


def breaks(op: Op) -> bool:
    """Say whether an operation ends the segments of its qubits: it is not diagonal, or it is a measurement."""
    if op.name == "u":
        return abs(np.sin(op.params[0] / 2)) > _TOLERANCE
    return op.name in ("measure", "reset")


def is_cz(op: Op) -> bool:
    """Say whether a gate is a CZ: a controlled phase of pi."""
    return op.name == "cp" and _is_multiple(op.params[0] - np.pi, 2 * np.pi)


def _is_multiple(angle: float, of: float) -> bool:
    return abs(angle / of - round(angle / of)) < 1e-12  # QFT-32 has phases of 1.5e-9 rad, which must stay


def _is_diagonal(matrix: NDArray[np.complex128]) -> bool:
    return abs(matrix[1, 0]) < _TOLERANCE


def _is_flip(matrix: NDArray[np.complex128]) -> bool:
    return abs(matrix[0, 0]) < _TOLERANCE


def _phase(angle: float) -> NDArray[np.complex128]:
    return np.diag([1, np.exp(1j * angle)])


def _merge_local(ops: list[Op], n: int) -> list[Op]:
    """Merge one-qubit gates, and let phases and flips wait until something on their qubit does not let them through."""
    waiting = [_I] * n
    out: list[Op] = []

    def flush(q: int) -> None:
        matrix, waiting[q] = waiting[q], _I
        if not (_is_diagonal(matrix) and abs(matrix[1, 1] / matrix[0, 0] - 1) < _TOLERANCE):
            out.append(Op("u", (q,), u_angles(matrix)))

    for op in ops:
        if op.name == "u" and not op.when:
            q = op.qubits[0]
            waiting[q] = u_matrix(*op.params) @ waiting[q]
        elif op.name in DIAGONAL and not op.when:
            for q in op.qubits:
                if not _is_diagonal(waiting[q]) and not _is_flip(waiting[q]):
                    flush(q)
            out.append(_through_flips(op, waiting))
        else:
            for q in op.qubits:
                if op.name in ("measure", "reset") and not op.when and _is_diagonal(waiting[q]):
                    waiting[q] = _I  # a phase before a measurement is seen by nothing
                elif op.name != "barrier":
                    flush(q)
            if op.name != "barrier":  # a barrier orders nothing that the result depends on
                out.append(op)
    for q in range(n):
        flush(q)
    return out


def _through_flips(op: Op, waiting: list[NDArray[np.complex128]]) -> Op:
    """Return the gate that, before the flips that wait, does what `op` does after them."""
    angle = op.params[0]
    a, b = op.qubits
    if _is_flip(waiting[a]):
        if op.name == "cp":  # X CP(p) X = CP(-p) and a phase p on the other qubit: here after the other's own flip …
            waiting[b] = _phase(angle) @ waiting[b]
        angle = -angle
    if _is_flip(waiting[b]):
        if op.name == "cp":  # … and here before it
            waiting[a] = waiting[a] @ _phase(angle)
        angle = -angle
    return replace(op, params=(angle,))


def _recognise_zz(ops: list[Op], n: int) -> list[Op]:
    """Replace CZ w CZ by one ZZ rotation, wherever nothing but w stands between the two."""
    slots: list[list[Op]] = []
    last, before = [-1] * n, [-1] * n  # the places of the last two operations that break a qubit's segments
    placed: dict[tuple[int, int], int] = {}
    for op in ops:
        pair = (min(op.qubits), max(op.qubits))
        if is_cz(op) and not op.when:
            first = placed.get(pair, -1)
            for c, t in (pair, pair[::-1]):
                between = slots[last[t]] if last[t] >= 0 else []
                if (last[c] < first < last[t] and before[t] < first and len(between) == 1
                        and between[0].name == "u" and not between[0].when):  # fmt: skip
                    slots[last[t]] = _one_zz(between[0], c)
                    slots[first], before[t] = [], last[t]
                    del placed[pair]
                    break
            else:
                placed[pair] = len(slots)
                slots.append([op])
            continue
        if breaks(op):
            for q in op.qubits:
                before[q], last[q] = last[q], len(slots)
        slots.append([op])
    return [op for slot in slots for op in slot]


def _one_zz(w: Op, control: int) -> list[Op]:
    """Return CZ w CZ as a ZZ rotation of the control with the qubit of w between two one-qubit gates."""
    target = w.qubits[0]
    theta, phi, lam = w.params  # u(theta, phi, lam) = P(phi + pi/2) RX(theta) P(lam - pi/2), up to a global phase
    first, second = _H @ _phase(lam - np.pi / 2), _phase(phi + np.pi / 2) @ _H
    return [Op("u", (target,), u_angles(first)), Op("rzz", (control, target), (theta,)),
            Op("u", (target,), u_angles(second))]  # fmt: skip


def _add_up(ops: list[Op], n: int) -> list[Op]:
    """Add up the gates between the same two segments; drop what is a phase of each qubit alone."""
    segment = [0] * n
    first: dict[tuple[tuple[int, int], ...], int] = {}
    slots: list[list[Op]] = []
    for op in ops:
        if op.name in DIAGONAL and not op.when:
            key = tuple(sorted((q, segment[q]) for q in op.qubits))
            if key in first:
                slots[first[key]].append(op)
                continue
            first[key] = len(slots)
        elif breaks(op):
            for q in op.qubits:
                segment[q] += 1
        slots.append([op])
    return [op for slot in slots for op in (_sum(slot) if slot[0].name in DIAGONAL and not slot[0].when else slot)]


def _sum(gates: list[Op]) -> list[Op]:
    """Return the product of diagonal gates on the same two qubits as one gate and phases."""
    qubits = gates[0].qubits
    local = 0.0
    if all(op.name == "rzz" for op in gates):
        total = Op("rzz", qubits, (sum(op.params[0] for op in gates),))
        if _is_multiple(total.params[0], 2 * np.pi):
            return []
        if not _is_multiple(total.params[0] - np.pi, 2 * np.pi):
            return [total]
    angle = 0.0
    for op in gates:  # exp(-i a/2 ZZ) = P(a) P(a) CP(-2a), up to a global phase
        angle += op.params[0] if op.name == "cp" else -2 * op.params[0]
        local += op.params[0] if op.name == "rzz" else 0.0
    found = [] if _is_multiple(angle, 2 * np.pi) else [Op("cp", qubits, (angle,))]
    if not _is_multiple(local, 2 * np.pi):
        found += [Op("u", (q,), (0.0, 0.0, local)) for q in qubits]
    return found
