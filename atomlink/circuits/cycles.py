"""A table of a distributed program as cycles of a lab: what is done in a gap of the refocusing train, what is carried.

All stored atoms of all nodes see one train of pulses. A cycle is two gaps of it:

    pulse ____ act ____ pulse ____ read, recool ____ pulse       act: turns, CZ, attempts, where all atoms are refocused
                 |------ atoms are carried ------|

A node works at two places, the port and the site beside it; whoever is not needed there stands at its home. Which atom
is carried when follows from the order of the table; nodes go on side by side, and wait for one another where a pair is
heralded or a bit is needed. Lowered to what a node can do:

    CP(w)  = Rz(w/2) Rz(w/2) ZZ(-w/2)        ZZ(w) = Ry(-pi/2) CZ Rx(w) CZ Ry(pi/2), all turns on the atom at the port

    op        node   a       b       c        when
    INIT      node   atom                     pump the atom at the port to |1>, taken as |0> by a frame
    TURN      node   atom    angle            about z: a phase, kept in the head; angles in turns / 2**31
    ROTATE    node   atom    angle            about y: a pulse
    CZ        node   atom    atom
    FRAME     node   atom    bit     axis     X (0) or Z (2) if the bit is 1
    HERALD    link   atom    atom             a pair Phi+ of the atoms at both ports, stored
    MOVE      node                            carry what `moves` names next of the node
    MEASURE   node   atom    bit              push out F = 2, look; the atom is gone afterwards
    PULSE     0 or 1                          end of the first gap of a cycle, and of the second
    END
`when` = (bit, value) makes a row of the first five conditional; bit -1: always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from atomlink.circuits.circuit import CircuitError
from atomlink.circuits.table import TURN as WHOLE
from atomlink.circuits.table import Code, Table, X, Y
from atomlink.circuits.table import Row as TableRow

HALF_TURN, QUARTER_TURN = WHOLE // 2, WHOLE // 4
MOVES, MOVES_AFTER_READING = 2, 1  # that fit into a cycle
PORT, BESIDE, HOME, SIDE = range(4)  # places; SIDE: another port of the node, at the far end of its gate zone


class Do(IntEnum):
    """What a row does."""

    END = 0
    INIT = 1
    TURN = 2
    ROTATE = 3
    CZ = 4
    FRAME = 5
    HERALD = 6
    MOVE = 7
    MEASURE = 8
    PULSE = 9


class Row(NamedTuple):
    """One row; all columns are integers."""

    do: Do
    node: int = 0
    a: int = 0
    b: int = 0
    c: int = 0
    bit: int = -1
    value: int = 0


class Move(NamedTuple):
    """One atom of a node, from place to place; HOME is the atom's own site."""

    atom: int
    start: int
    stop: int


class Link(NamedTuple):
    """A link between two nodes by number: its near and its far end, and where the atoms of its pairs stand then."""

    near: int
    far: int
    near_place: int = PORT
    far_place: int = PORT


@dataclass(frozen=True)
class Cycles:
    """What one kernel walks: rows; moves of each node, in order; the node of each atom; bits; and how many of each.

    Atoms are numbered over all nodes; each is used once, a heralded one as well as one that holds a qubit.
    """

    rows: tuple[Row, ...]
    moves: tuple[tuple[Move, ...], ...]
    node_of: tuple[int, ...]
    bits: int
    cycles: int
    pairs: int

    def atoms(self, node: int) -> list[int]:
        """Return the numbers of the atoms of one node, in the order in which they are first used."""
        return [atom for atom, at in enumerate(self.node_of) if at == node]


def cycles(table: Table, nodes: int, links: Sequence[Link]) -> Cycles:
    """Return the cycles of a table; CircuitError for a pair of nodes without a link, or what no cycle can do."""
    return _Writer(table, nodes, links).write()


@dataclass
class _Node:
    """Where a node's atoms are, and from when on it is free."""

    act: int = 0  # the first cycle that can take another act
    carry: int = 0  # the first gap that can take another move
    room: dict[int, int] = field(default_factory=dict)  # moves that fit into a gap still
    port: int | None = None
    beside: int | None = None
    moves: list[Move] = field(default_factory=list)


class _Writer:
    def __init__(self, table: Table, nodes: int, links: Sequence[Link]) -> None:
        self.table, self.links = table, list(links)
        self.nodes = [_Node() for _ in range(nodes)]
        self.node_of: list[int] = []
        self.atom: dict[int, int] = {}  # of the table -> of the lab
        self.fresh: set[int] = set()  # atoms that no pulse has seen
        self.ready: dict[int, int] = {}  # bit -> the first cycle that knows it
        self.acts: dict[int, list[Row]] = {}
        self.heralds: dict[int, list[Row]] = {}
        self.readings: dict[int, list[Row]] = {}
        self.carried: dict[int, list[Row]] = {}
        self.pairs = self.row = 0
        for number in table.start:
            self.atom[number] = self._new(number // table.atoms)

    def _new(self, node: int) -> int:
        self.node_of.append(node)
        self.fresh.add(len(self.node_of) - 1)
        return len(self.node_of) - 1

    def write(self) -> Cycles:
        """Walk the table once, then write cycle after cycle."""
        branches: list[tuple[int, int, int]] = []  # (row where it ends, bit, value)
        for at, row in enumerate(self.table.rows):
            self.row = at
            branches = [branch for branch in branches if branch[0] > at]
            if row.op == Code.BRANCH:
                branches.append((row.c, row.a, row.b))
            elif row.op not in (Code.WAIT, Code.END):
                self._take(row, branches)
        last = max(max((*each, -1)) for each in (self.acts, self.heralds, self.readings, self.carried))
        rows: list[Row] = []
        for k in range(last + 1):
            rows += sorted(self.acts.get(k, []), key=lambda row: row.node)
            rows += self.heralds.get(k, [])
            reading = {row.node for row in self.readings.get(k, [])}
            carried = self.carried.get(k, [])
            rows += [row for row in carried if row.node not in reading]
            rows += [Row(Do.PULSE, 0), *self.readings.get(k, [])]
            rows += [row for row in carried if row.node in reading]
            rows.append(Row(Do.PULSE, 1))
        rows.append(Row(Do.END))
        return Cycles(tuple(rows), tuple(tuple(node.moves) for node in self.nodes), tuple(self.node_of),
                      self.table.bits, last + 1, self.pairs)  # fmt: skip

    # -- rows of the table ---------------------------------------------------------------------------------------------

    def _take(self, row: TableRow, branches: list[tuple[int, int, int]]) -> None:
        op, a, b, c = row
        if len(branches) > 1:
            raise CircuitError("A gate waits for more than one bit: compute the condition in one, no kernel has more.")
        when = branches[0][1:] if branches else (-1, 0)
        if op == Code.HERALD:
            self._herald(a, b)
            return
        atom = self.atom[a]
        node = self.nodes[self.node_of[atom]]
        if when[0] >= 0:
            node.act = max(node.act, self.ready[when[0]])
        if op == Code.MEASURE:
            if when[0] >= 0:
                raise CircuitError("A measurement waits for a bit: measure always, and use the bit.")
            self._measure(a, b, keep=bool(c))
        elif op == Code.FRAME:
            node.act = max(node.act, self.ready[b])
            self._act(atom, Row(Do.FRAME, 0, atom, b, c, *when))
        elif op == Code.ROTATE:
            if b == Y:
                self._bring(atom)
                self._act(atom, Row(Do.ROTATE, 0, atom, c, 0, *when))
            else:
                self._act(atom, Row(Do.TURN, 0, atom, c, 0, *when))
        elif op == Code.CP and c == HALF_TURN:
            self._meet(atom, self.atom[b])
            self._act(atom, Row(Do.CZ, 0, atom, self.atom[b], 0, *when))
        elif op == Code.CP:
            self._act(atom, Row(Do.TURN, 0, atom, c // 2, 0, *when))
            self._act(self.atom[b], Row(Do.TURN, 0, self.atom[b], c // 2, 0, *when))
            self._zz(atom, self.atom[b], (WHOLE - c // 2) % WHOLE, when)
        else:
            self._zz(atom, self.atom[b], c, when)

    def _zz(self, a: int, b: int, angle: int, when: tuple[int, int]) -> None:
        """Make exp(-i angle/2 ZZ); a turn more is another sign of it."""
        target, other = self._meet(a, b)
        for do, angle_ in ((Do.ROTATE, QUARTER_TURN), (Do.CZ, 0), (Do.TURN, QUARTER_TURN), (Do.ROTATE, angle),
                           (Do.TURN, WHOLE - QUARTER_TURN), (Do.CZ, 0), (Do.ROTATE, WHOLE - QUARTER_TURN)):  # fmt: skip
            self._act(target, Row(do, 0, target, other if do == Do.CZ else angle_, 0, *when))

    def _act(self, atom: int, row: Row) -> None:
        at = self.node_of[atom]
        node = self.nodes[at]
        self.acts.setdefault(node.act, []).append(row._replace(node=at))
        if row.do in (Do.INIT, Do.ROTATE, Do.CZ):
            node.carry = max(node.carry, node.act)

    def _herald(self, a: int, b: int) -> None:
        nodes = a // self.table.atoms, b // self.table.atoms
        link, swapped = next(((k, link[:2] != nodes) for k, link in enumerate(self.links) if {*link[:2]} == {*nodes}),
                             (-1, False))  # fmt: skip
        if link < 0:
            raise CircuitError(f"The program wants a pair of nodes {nodes[0]} and {nodes[1]}, which share no link.")
        self.atom[a], self.atom[b] = (self._new(node) for node in nodes)
        ends = (self.atom[b], self.atom[a]) if swapped else (self.atom[a], self.atom[b])
        for atom, place in zip(ends, self.links[link][2:], strict=True):
            self.fresh.discard(atom)
            if place == PORT:
                self._place(atom, self._stays_beside(atom))
            else:
                self._clear(self.node_of[atom])
                self._carry(self.node_of[atom], Move(atom, HOME, SIDE))
        both = [self.nodes[node] for node in nodes]
        when = max(node.act for node in both)
        self.heralds.setdefault(when, []).append(Row(Do.HERALD, link, *ends))
        self.pairs += 1
        for node in both:
            node.act, node.carry = when + 1, when
        for atom, place in zip(ends, self.links[link][2:], strict=True):
            if place == SIDE:  # light at the port would meet it there, and the gate's light, too
                self._carry(self.node_of[atom], Move(atom, SIDE, HOME))

    def _measure(self, number: int, bit: int, keep: bool) -> None:
        atom = self.atom.pop(number)
        self._bring(atom)
        at = self.node_of[atom]
        node = self.nodes[at]
        when = node.act
        while any(row.node == at for row in self.readings.get(when, [])) or node.room.get(when, MOVES) < MOVES:
            when += 1
        self.readings.setdefault(when, []).append(Row(Do.MEASURE, at, atom, bit))
        self.ready[bit] = when + 1
        node.act, node.carry, node.port = when + 1, when, None
        node.room[when] = MOVES_AFTER_READING
        if keep:  # what follows finds the state that was seen, in another atom
            self.atom[number] = self._new(at)
            if any(row.op not in (Code.WAIT, Code.END) and number in (row.a, row.b) for row in self._rest(bit)):
                self._bring(self.atom[number])
                node.act = max(node.act, self.ready[bit])
                self._act(self.atom[number], Row(Do.FRAME, 0, self.atom[number], bit, X))

    def _rest(self, bit: int) -> Sequence[TableRow]:
        """Return the rows after the measurement of a bit."""
        rows = self.table.rows
        return rows[max(k for k, row in enumerate(rows) if row.op == Code.MEASURE and row.b == bit) + 1 :]

    # -- places --------------------------------------------------------------------------------------------------------

    def _bring(self, atom: int) -> None:
        """Have an atom at the port, pumped if no pulse has seen it."""
        self._place(atom, self._stays_beside(atom))
        if atom in self.fresh:
            self.fresh.discard(atom)
            self._act(atom, Row(Do.INIT, 0, atom))

    def _stays_beside(self, atom: int) -> int | None:
        """Return who stands beside the port when this atom is at it: whoever does, or who has made way and is next."""
        node = self.nodes[self.node_of[atom]]
        if node.port is not None and node.port != atom and self._next_partner(node.port) == atom:
            return node.port
        return None if node.beside == atom else node.beside

    def _next_partner(self, atom: int) -> int | None:
        """Return whom an atom is coupled to next, None where it is wanted at the port before."""
        number = next((each for each, of_lab in self.atom.items() if of_lab == atom), -1)
        for op, a, b, c in self.table.rows[self.row + 1 :]:
            if op in (Code.CP, Code.ZZ) and number in (a, b):
                return self.atom.get(b if a == number else a)
            if number == a and (op == Code.MEASURE or (op == Code.ROTATE and b == Y and c)):
                return None
        return None

    def _meet(self, a: int, b: int) -> tuple[int, int]:
        """Have two atoms at port and beside it; return who is at the port, and who beside it."""
        if self.node_of[a] != self.node_of[b]:
            raise CircuitError(f"A gate couples atoms of nodes {self.node_of[a]} and {self.node_of[b]}.")
        for atom in (a, b):
            if atom in self.fresh:
                self._bring(atom)
        node = self.nodes[self.node_of[a]]
        port, beside = (a, b) if len(self._ways(node, a, b)) <= len(self._ways(node, b, a)) else (b, a)
        self._place(port, beside)
        return port, beside

    def _place(self, port: int, beside: int | None) -> None:
        node = self.nodes[self.node_of[port]]
        for move in self._ways(node, port, beside):
            self._carry(self.node_of[port], move)
        node.port, node.beside = port, beside

    def _clear(self, at: int) -> None:
        """Have nobody at the port and beside it."""
        node = self.nodes[at]
        for atom, place in ((node.port, PORT), (node.beside, BESIDE)):
            if atom is not None:
                self._carry(at, Move(atom, place, HOME))
        node.port = node.beside = None

    def _carry(self, at: int, move: Move) -> None:
        """Do a move of a node in the first gap with room."""
        node = self.nodes[at]
        while node.room.get(node.carry, MOVES) <= 0:
            node.carry += 1
        node.room[node.carry] = node.room.get(node.carry, MOVES) - 1
        node.act = max(node.act, node.carry + 1)
        node.moves.append(move)
        self.carried.setdefault(node.carry, []).append(Row(Do.MOVE, at))

    def _ways(self, node: _Node, port: int, beside: int | None) -> list[Move]:
        """Return the moves that bring one atom to the port and one (or none) beside it."""
        stands = {node.port: PORT, node.beside: BESIDE}
        wanted: Mapping[int | None, int] = {port: PORT, beside: BESIDE}
        ways = [Move(atom, place, HOME) for atom, place in stands.items() if atom is not None and atom not in wanted]
        goes = [Move(atom, stands.get(atom, HOME), place) for atom, place in wanted.items()
                if atom is not None and stands.get(atom, HOME) != place]  # fmt: skip
        if len(goes) == 2 and all(move.start != HOME for move in goes):  # they change places: one makes way
            one, other = goes
            return [*ways, Move(one.atom, one.start, HOME), other, Move(one.atom, HOME, one.stop)]
        # Whoever leaves one of the two places goes first.
        return ways + sorted(goes, key=lambda move: move.start == HOME)
