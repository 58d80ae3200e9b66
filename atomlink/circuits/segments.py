"""The graph that is partitioned: segments of qubits, the gates between them, and what bridges two segments.

A segment v of a qubit gets a home p(v) and a set S(v) of nodes that hold it, p(v) in S(v): the home and its copies
(cat states). A gate runs where both of its segments are: S(u) and S(v) must meet. From one segment to the next the
qubit is at one node, so that p(v) is in S(v+1), or p(v+1) in S(v). A set of s nodes costs s - 1 pairs however it is
made, so that packets, gates on a third node and state teleportation are one problem: minimise the sum of |S(v)| - 1.

*Bridge* (embedding, arXiv 2212.12688): between two Hadamard-like gates a segment m with nothing but CZs is a CNOT onto
the qubit. Copies live through it where every partner of m is present, too: they are paid for once.
Source of the packets: quant-ph/0402148 (cat-entangler); of the set form: derived here, tests prove it by execution.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits.circuit import DIAGONAL, Circuit, Op
from atomlink.circuits.native import breaks, is_cz

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Segments:
    """Segments in the order of their qubits, and the gates between them.

    `first`, shape (n + 1,): the segments of qubit q are first[q] … first[q + 1] - 1. `qubit`, `start`, `end`, shape
    (V,): the qubit, and when the segment begins and ends in numbers of breaks. `offset`, shape (V + 1,), and
    `neighbour`: the partners of segment v are neighbour[offset[v]:offset[v + 1]]. `bridge`, bool, shape (V,).
    `of_op`: for every operation of the circuit, the segments of its qubits (for a break: those that it begins).
    """

    first: Ints
    qubit: Ints
    start: Ints
    end: Ints
    offset: Ints
    neighbour: Ints
    bridge: NDArray[np.bool_]
    of_op: tuple[tuple[int, ...], ...]
    events: int

    @property
    def size(self) -> int:
        """Return the number of segments."""
        return len(self.qubit)


def segments(circuit: Circuit) -> Segments:
    """Return the segments of a native circuit; nothing before a qubit's first or after its last gate breaks one."""
    counted = _counted_breaks(circuit)
    local = [0] * circuit.n
    of_op: list[list[tuple[int, int]]] = []
    spans: list[list[list[int]]] = [[[0, 0]] for _ in range(circuit.n)]
    events = 1
    for index, op in enumerate(circuit.ops):
        if counted[index]:
            q = op.qubits[0]
            spans[q][-1][1] = events
            spans[q].append([events, 0])
            local[q] += 1
            events += 1
        of_op.append([(q, local[q]) for q in op.qubits])
    first = np.cumsum([0] + [len(some) for some in spans]).astype(np.int64)
    for some in spans:
        some[-1][1] = events
    flat = np.array([span for some in spans for span in some], dtype=np.int64)
    named = tuple(tuple(int(first[q]) + k for q, k in some) for some in of_op)
    offset, neighbour = _adjacency(circuit, named, len(flat))
    qubit = np.repeat(np.arange(circuit.n), np.diff(first))
    return Segments(first, qubit, flat[:, 0].copy(), flat[:, 1].copy(), offset, neighbour,
                    _bridges(circuit, named, len(flat), counted), named, events)


def _counted_breaks(circuit: Circuit) -> list[bool]:
    """Say of every operation whether it ends a segment: it breaks, and its qubit has gates before and after it."""
    last = [-1] * circuit.n
    for index, op in enumerate(circuit.ops):
        if op.name in DIAGONAL:
            for q in op.qubits:
                last[q] = index
    seen = [False] * circuit.n
    counted = []
    for index, op in enumerate(circuit.ops):
        if op.name in DIAGONAL:
            for q in op.qubits:
                seen[q] = True
        counted.append(breaks(op) and seen[op.qubits[0]] and index < last[op.qubits[0]])
    return counted


def _adjacency(circuit: Circuit, named: tuple[tuple[int, ...], ...], size: int) -> tuple[Ints, Ints]:
    partners: list[set[int]] = [set() for _ in range(size)]
    for op, some in zip(circuit.ops, named, strict=True):
        if op.name in DIAGONAL:
            partners[some[0]].add(some[1])
            partners[some[1]].add(some[0])
    offset = np.cumsum([0] + [len(some) for some in partners]).astype(np.int64)
    return offset, np.array([v for some in partners for v in sorted(some)], dtype=np.int64)


def is_half_turn(op: Op) -> bool:
    """Say whether a gate is a Hadamard up to phases before and after it."""
    return op.name == "u" and not op.when and abs(np.cos(op.params[0])) < 1e-9


def middle_phase(before: Op, after: Op) -> int:
    """Return 0 or 1 for I or Z between the Hadamards of two half turns, or -1 where it is neither."""
    turns = [(op.params[0] if op.params[0] > 0 else op.params[0] + 2 * np.pi) for op in (before, after)]
    if any(abs(turn - np.pi / 2) > 1e-9 for turn in turns):
        return -1
    # u(pi/2, phi, lam) = P(phi) H P(lam - pi), up to a global phase
    angle = (before.params[1] + after.params[2] - np.pi) / np.pi
    return int(round(angle)) % 2 if abs(angle - round(angle)) < 1e-9 else -1


def _bridges(circuit: Circuit, named: tuple[tuple[int, ...], ...], size: int, counted: list[bool]) -> NDArray[np.bool_]:
    good = np.ones(size, dtype=bool)
    begins: list[Op | None] = [None] * size
    ends: list[Op | None] = [None] * size
    busy = np.zeros(size, dtype=bool)
    for op, some, count in zip(circuit.ops, named, counted, strict=True):
        if count:
            begins[some[0]] = op
            ends[some[0] - 1] = op
        elif op.name in DIAGONAL:
            for v in some:
                busy[v] = True
                good[v] &= is_cz(op) and not op.when
        else:
            for v in some:
                good[v] = False
    for v in range(size):
        before, after = begins[v], ends[v]
        good[v] &= bool(busy[v] and before is not None and after is not None and is_half_turn(before)
                        and is_half_turn(after) and middle_phase(before, after) >= 0)  # fmt: skip
    return good
