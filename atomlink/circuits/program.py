"""A distributed program: opens, closes, gates and moves of home, in an order that limits of a node can hold.

`open`: one pair copies a qubit from a node that holds it to a linked one. `close`: a copy is read in X, and Z goes to
the home if it was 1. `home`: another holder takes over the home's place (with an open before and a close after it:
state teleportation). `local`: an operation of one qubit on its holder at a node. `gate`: a two-qubit gate at a node.
A program is only an order of steps: what may run at the same time is `schedule`'s to find.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from atomlink.circuits.anneal import bridged
from atomlink.circuits.circuit import DIAGONAL, Circuit, CircuitError, Op
from atomlink.circuits.native import breaks
from atomlink.circuits.segments import Ints, Segments, middle_phase, segments

HALF_TURN = Op("u", (0,), (np.pi / 2, 0.0, np.pi))


@dataclass(frozen=True)
class Step:
    """One step at `node` (an open: from `source`); `index` is the number of the circuit's operation, -1 without one."""

    kind: str
    node: int
    qubits: tuple[int, ...]
    source: int = -1
    op: Op | None = None
    index: int = -1


@dataclass(frozen=True)
class Nodes:
    """What holds the circuit: `count` nodes of `room` qubits and `ports` communication atoms each (None: no limit).

    `links` are pairs of nodes; None stands for all of them.
    """

    count: int
    room: int
    ports: int | None = None
    links: frozenset[tuple[int, int]] | None = None

    def linked(self, node: int) -> list[int]:
        """Return the nodes that share a link with this one."""
        return [other for other in range(self.count) if other != node and (
            self.links is None or (min(node, other), max(node, other)) in self.links)]  # fmt: skip

    def path(self, sources: set[int], target: int) -> list[int]:
        """Return the nodes of a shortest way from any of the sources to the target."""
        came: dict[int, int] = dict.fromkeys(sorted(sources), -1)
        queue = deque(sorted(sources))
        while queue:
            node = queue.popleft()
            if node == target:
                way = [node]
                while came[way[-1]] >= 0:
                    way.append(came[way[-1]])
                return way[::-1]
            for other in self.linked(node):
                if other not in came:
                    came[other] = node
                    queue.append(other)
        raise CircuitError(f"No links lead to node {target}: the nodes must be connected.")


@dataclass(frozen=True)
class Program:
    """Steps that do on `nodes` what `circuit` (native) does; `start`, shape (n,): where each qubit is at first."""

    circuit: Circuit
    nodes: Nodes
    start: tuple[int, ...]
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def pairs(self) -> int:
        """Return the number of pairs that the program uses."""
        return sum(step.kind == "open" for step in self.steps)


def build(circuit: Circuit, nodes: Nodes, home: Ints, held: Ints, graph: Segments | None = None) -> Program:
    """Return the program for homes and node sets of segments (see `segments`); raise where limits cannot be kept."""
    return _Builder(circuit, nodes, home, held, graph or segments(circuit)).program()


class _Builder:
    """Walks the circuit; gates run as soon as their qubits meet, and copies are opened when a segment is to end."""

    def __init__(self, circuit: Circuit, nodes: Nodes, home: Ints, held: Ints, graph: Segments) -> None:
        self.circuit, self.nodes, self.graph = circuit, nodes, graph
        self.plan, self.held = [int(p) for p in home], [int(s) for s in held]
        self.now = [int(v) for v in graph.first[:-1]]  # the segment that each qubit is in
        self.at = [self.plan[v] for v in self.now]
        self.holders = [{node} for node in self.at]
        self.steps: list[Step] = []
        self.begin = _beginnings(circuit)  # no gate of a qubit may run before what comes before its first one
        self.begun = [at < 0 for at in self.begin]
        self.waiting: list[dict[int, int]] = [{} for _ in range(graph.size)]  # of a segment: gate -> partner segment
        self.needs: Counter[tuple[int, int]] = Counter()  # gates of a segment that were planned at a node
        self.where: dict[int, int] = {}
        self.kept = [bridged(m, home, held, graph.offset, graph.neighbour) if graph.bridge[m] else 0
                     for m in range(graph.size)]  # fmt: skip
        self.kept = [mask if mask & (mask - 1) else 0 for mask in self.kept]
        self.pinned: set[tuple[int, int]] = set()
        for index, op in enumerate(circuit.ops):
            if op.name in DIAGONAL:
                self._plan_gate(index, *graph.of_op[index])
        for v in range(graph.size - 1):
            if graph.qubit[v] == graph.qubit[v + 1] and not self._stays(v):
                self.needs[v, self.plan[v + 1]] += 1

    def _stays(self, v: int) -> bool:
        """Say whether the operation between segment v and the next one is done at the home of v."""
        return self.plan[v] == self.plan[v + 1] or bool(self.held[v + 1] >> self.plan[v] & 1)

    def _plan_gate(self, index: int, a: int, b: int) -> None:
        both = self.held[a] & self.held[b]
        if not both:
            raise CircuitError(f"Gate {index} has no node that holds both of its qubits: repair the sets first.")
        homes = [p for p in (self.plan[a], self.plan[b]) if both >> p & 1]
        self.where[index] = homes[0] if homes else (both & -both).bit_length() - 1
        kept = self.kept[a] or self.kept[b]
        for v, u in ((a, b), (b, a)):
            self.waiting[v][index] = u
            for node in _members(kept) if kept else [self.where[index]]:
                self.needs[v, node] += 1

    def program(self) -> Program:
        start = tuple(self.at)
        for v in self.now:
            self._run_ready(v)
        for index, op in enumerate(self.circuit.ops):
            some = self.graph.of_op[index]
            if op.name in DIAGONAL:
                if op.when:
                    self._gate(index)
            elif op.name == "barrier":
                continue
            elif some[0] > self.now[op.qubits[0]]:
                self._next_segment(index, op)
            else:
                q = op.qubits[0]
                if self.begun[q] and breaks(op):
                    self._finish(self.now[q])
                self._step("local", self.at[q], (q,), op=op, index=index)
                if index == self.begin[q]:
                    self.begun[q] = True
                    self._run_ready(self.now[q])
        for q in range(self.circuit.n):
            self._finish(self.now[q])
        return Program(self.circuit, self.nodes, start, tuple(self.steps))

    def _step(self, kind: str, node: int, qubits: tuple[int, ...], **more: object) -> None:
        self.steps.append(Step(kind, node, qubits, **more))  # type: ignore[arg-type]

    def _qubit(self, v: int) -> int:
        return int(self.graph.qubit[v])

    def _busy(self, node: int) -> list[int]:
        """Return the qubits that hold a communication atom of a node."""
        return [q for q in range(self.circuit.n) if node in self.holders[q] and self.at[q] != node]

    def _make_room(self, node: int, taken: int) -> None:
        """Close copies at a node until one more communication atom is free there."""
        limit = self.nodes.ports
        while limit is not None and len(busy := self._busy(node)) >= limit:
            free = [q for q in busy if q != taken and (q, node) not in self.pinned]
            if not free:
                raise CircuitError(f"Node {node} needs more than its {limit} communication atoms: give it more.")
            self._close(min(free, key=lambda q: (self.needs[self.now[q], node], q)), node)

    def _open(self, q: int, node: int) -> None:
        """Bring a copy of a qubit to a node, over other nodes where no link leads there."""
        if node in self.holders[q]:
            return
        way = self.nodes.path(self.holders[q], node)
        for source, target in zip(way, way[1:], strict=False):
            self._make_room(source, q)
            self._make_room(target, q)
            self._step("open", target, (q,), source=source)
            self.holders[q].add(target)
        for between in way[1:-1]:
            if not self.needs[self.now[q], between]:
                self._close(q, between)

    def _close(self, q: int, node: int) -> None:
        self._step("close", node, (q,))
        self.holders[q].discard(node)

    def _rehome(self, q: int, node: int) -> None:
        if self.at[q] != node:
            self._open(q, node)
            self._step("home", node, (q,), source=self.at[q])
            self.at[q] = node

    def _tidy(self, v: int) -> None:
        """Close the copies that the segment needs no more."""
        q = self._qubit(v)
        for node in sorted(self.holders[q]):
            if node != self.at[q] and self.needs[v, node] <= 0 and (q, node) not in self.pinned:
                self._close(q, node)

    def _run_ready(self, v: int) -> None:
        """Run the gates of a segment whose other qubit is at a node where this one is, too."""
        for index, u in list(self.waiting[v].items()):
            q, r = self._qubit(v), self._qubit(u)
            kept = self.kept[v] or self.kept[u]
            begun = self.begun[q] and self.begun[r] and self.now[r] == u and self.now[q] == v
            if not begun or kept or self.circuit.ops[index].when:
                continue
            both = self.holders[q] & self.holders[r]
            if both:
                self._place(index, self.where[index] if self.where[index] in both else min(both))

    def _place(self, index: int, *nodes: int) -> None:
        op = self.circuit.ops[index]
        a, b = self.graph.of_op[index]
        for node in nodes:
            self._step("gate", node, op.qubits, op=op, index=index)
        kept = self.kept[a] or self.kept[b]
        for v in (a, b):
            del self.waiting[v][index]
            for node in _members(kept) if kept else [self.where[index]]:
                self.needs[v, node] -= 1
        self._tidy(a)
        self._tidy(b)

    def _gate(self, index: int) -> None:
        """Bring the qubits of a gate together and run it."""
        a, b = self.graph.of_op[index]
        kept = self.kept[a] or self.kept[b]
        pins = set()
        for node in _members(kept) if kept else [self.where[index]]:
            for v in (a, b):
                q = self._qubit(v)
                pins |= {(q, node)} - self.pinned
                self.pinned.add((q, node))
                self._open(q, node)
        if not self.circuit.ops[index].when:
            self._run_ready(a)
            self._run_ready(b)
        self.pinned -= pins
        if index in self.waiting[a]:
            self._place(index, *(_members(kept) if kept else [self.where[index]]))
        else:
            self._tidy(a)
            self._tidy(b)

    def _finish(self, v: int) -> None:
        """Run all gates of a segment that still wait, one node after the other."""
        self._run_ready(v)
        while self.waiting[v]:
            q = self._qubit(v)
            index = min(self.waiting[v], key=lambda i: (self.where[i] not in self.holders[q], self.where[i], i))
            if self.now[self._qubit(self.waiting[v][index])] != self.waiting[v][index]:
                raise AssertionError("a gate waits for a segment that has not begun, or is over")
            self._gate(index)
            self._run_ready(v)
        self._tidy(v)

    def _next_segment(self, index: int, op: Op) -> None:
        """End a qubit's segment, run the operation that ends it, and begin the next one."""
        q = op.qubits[0]
        v = self.now[q]
        if self.kept[v + 1]:  # copies that live through the next segment must be there before it begins
            for node in _members(self.kept[v + 1]):
                self.needs[v, node] += 1
                self._open(q, node)
                self.pinned.add((q, node))
        self._finish(v)
        if not self._stays(v):
            self._rehome(q, self.plan[v + 1])
        kept = self.kept[v] or self.kept[v + 1]
        for node in sorted(self.holders[q] - {self.at[q]} - set(_members(kept))):
            self._close(q, node)
        self._step("local", self.at[q], (q,), op=op, index=index)
        for node in _members(kept & ~(1 << self.at[q])) if kept else []:
            self._copy_turns(q, node, v if self.kept[v] else -1, op)
        self.now[q] = v + 1
        if self.kept[v]:
            self.pinned -= {(q, node) for node in _members(kept)}
        self._rehome(q, self.plan[v + 1])
        self._run_ready(v + 1)
        self._tidy(v + 1)

    def _copy_turns(self, q: int, node: int, middle: int, op: Op) -> None:
        """Turn a copy that lives through a bridge: the Hadamard alone, and the Z between both at the second one."""
        if middle >= 0:
            before = next(o for o, some in zip(self.circuit.ops, self.graph.of_op, strict=True)
                          if some and some[0] == middle and o.qubits == (q,))  # fmt: skip
            if middle_phase(before, op):
                self._step("local", node, (q,), op=Op("u", (q,), (0.0, 0.0, np.pi)))
        self._step("local", node, (q,), op=Op("u", (q,), HALF_TURN.params))


def _beginnings(circuit: Circuit) -> list[int]:
    """Return the number of the last operation on each qubit before its first gate, -1 where there is none."""
    begin, gated = [-1] * circuit.n, [False] * circuit.n
    for index, op in enumerate(circuit.ops):
        for q in op.qubits:
            if op.name in DIAGONAL:
                gated[q] = True
            elif op.name != "barrier" and not gated[q]:
                begin[q] = index
    return begin


def _members(mask: int) -> list[int]:
    return [node for node in range(mask.bit_length()) if mask >> node & 1]
