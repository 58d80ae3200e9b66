"""When the steps of a distributed program run, with pairs that come at random: the abstract time model.

Pairs come on each link as a Poisson process while both ports attempt it; a port serves one link at a time. A pair takes
a slot at both nodes from the start of its attempts: the near one until the copy is open, the far one until it closes.
Attempts may run ahead of need and out of order while more than half of the slots is free at both nodes; else the order
of the program is kept (without this reserve nodes fill up with pairs that wait for each other).
A pair older than the cutoff at its use is thrown away and attempted anew. Times in seconds.
"""

import heapq
from bisect import insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits.circuit import CircuitError
from atomlink.circuits.program import Program, Step


@dataclass(frozen=True)
class Times:
    """What steps take, in s; rate in pairs per second of a link that attempts; slots: atoms for pairs per node.

    Defaults: a rotation, a CZ with its move, the CNOT and read-out of an open, the read-out of a close.
    """

    rate_hz: float = 655.0
    local_s: float = 2e-6
    gate_s: float = 0.5e-3
    open_s: float = 1.26e-3
    close_s: float = 0.76e-3
    measure_s: float = 0.76e-3
    slots: int = 12
    cutoff_s: float = float("inf")

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not self.rate_hz > 0:
            raise CircuitError(f"Argument `rate` (pairs per second) must be > 0, but is {self.rate_hz:g}.")
        if not self.cutoff_s > 0:
            raise CircuitError(f"Argument `cutoff` must be > 0 s, but is {self.cutoff_s:g}.")
        if self.slots < 2:
            raise CircuitError(f"Argument `slots` must be >= 2, but is {self.slots}.")


@dataclass(frozen=True)
class Schedule:
    """Start, end, herald and age at use (NaN: no pair), s, shape (steps,), of each step; and pairs thrown away."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    herald: NDArray[np.float64]
    age: NDArray[np.float64]
    thrown_away: int

    @property
    def makespan_s(self) -> float:
        """Return when the last step ends."""
        return float(self.end.max(initial=0.0))


@dataclass(frozen=True)
class Graph:
    """Steps as a graph: what each waits for, how long it takes, the longest path to the end, and its rank.

    The rank is that path where gates on one atom take their turns: who is first when several may start.
    """

    before: tuple[tuple[int, ...], ...]
    takes: NDArray[np.float64]
    tail: NDArray[np.float64]
    rank: NDArray[np.float64]


def dependencies(program: Program, times: Times) -> Graph:
    """Return the graph of a program: gates of one segment may run in any order.

    Everything else keeps its order on each holder of a qubit.
    """
    takes = np.array([_takes(step, times) for step in program.steps])
    turned: dict[tuple[int, int], int] = {}  # the last step on a holder that does not commute with gates
    since: dict[tuple[int, int], list[int]] = {}  # and the gates and opens after it
    closes: dict[int, list[int]] = {}
    measured: dict[int, int] = {}
    before, load = [], np.zeros(len(takes))
    for index, step in enumerate(program.steps):
        q = step.qubits[0]
        needs = {measured[bit] for bit, _ in (step.op.when if step.op else ())}
        for holder, commutes in holders_of(step):
            needs |= {turned[holder]} if holder in turned else set()
            if commutes:
                since.setdefault(holder, []).append(index)
            else:
                gates = since.pop(holder, [])
                needs.update(gates)
                if holder in turned:
                    load[turned[holder]] = max(load[turned[holder]], takes[gates].sum() if gates else 0.0)
                turned[holder] = index
        if step.kind == "local":  # the signs of closed copies are known before the qubit is turned; gates commute
            needs.update(closes.pop(q, []))
        if step.kind == "close":
            closes.setdefault(q, []).append(index)
        if step.op is not None and step.op.name == "measure":
            measured[step.op.bit] = index
        before.append(tuple(sorted(needs)))
    tail, rank = takes.copy(), takes + load
    for index in range(len(before) - 1, -1, -1):
        for need in before[index]:
            tail[need] = max(tail[need], takes[need] + tail[index])
            rank[need] = max(rank[need], takes[need] + max(load[need] - takes[index], 0.0) + rank[index])
    return Graph(tuple(before), takes, tail, rank)


def holders_of(step: Step) -> list[tuple[tuple[int, int], bool]]:
    """Return the holders (qubit, node) of a step, and whether it commutes there with gates (all are diagonal)."""
    if step.kind == "gate":
        return [((q, step.node), True) for q in step.qubits]
    q = step.qubits[0]
    if step.kind == "open":
        return [((q, step.source), True), ((q, step.node), False)]
    if step.kind == "home":
        return [((q, step.source), True), ((q, step.node), True)]
    return [((q, step.node), False)]


def _takes(step: Step, times: Times) -> float:
    if step.kind == "local":
        assert step.op is not None
        return times.local_s if step.op.name == "u" else times.measure_s
    return {"gate": times.gate_s, "open": times.open_s, "close": times.close_s}.get(step.kind, 0.0)


def lower_bound(program: Program, times: Times) -> float:
    """Return what no schedule of this program can be faster than on average, s.

    The longest path with pairs for nothing; and at each node all of its pairs, one after the other, with what follows.
    """
    graph = dependencies(program, times)
    bound = float(graph.tail.max(initial=0.0))
    for node in range(program.nodes.count):
        tails = [graph.tail[i] for i, step in enumerate(program.steps) if step.kind == "open" and node in _ends(step)]
        if tails:
            bound = max(bound, len(tails) / times.rate_hz + float(min(tails)))
    return bound


def _ends(step: Step) -> tuple[int, int]:
    return step.source, step.node


def schedule(program: Program, times: Times, rng: np.random.Generator) -> Schedule:
    """Return one run of a program; raise where its copies need more slots than a node has."""
    return _Run(program, times, rng).run()


def in_order(program: Program) -> Schedule:
    """Return the schedule that does one step a millisecond, in the program's order; each pair comes when it is used."""
    start = 1e-3 * np.arange(1, len(program.steps) + 1)
    herald = np.where([step.kind == "open" for step in program.steps], start - 1e-4, np.nan)
    return Schedule(start.astype(np.float64), start.astype(np.float64), herald.astype(np.float64),
                    (start - herald).astype(np.float64), 0)  # fmt: skip


class _Run:
    """An event loop over steps that end and pairs that come."""

    def __init__(self, program: Program, times: Times, rng: np.random.Generator) -> None:
        self.steps, self.times, self.rng = program.steps, times, rng
        self.graph = dependencies(program, times)
        n = len(self.steps)
        self.after: list[list[int]] = [[] for _ in range(n)]
        for index, needs in enumerate(self.graph.before):
            for need in needs:
                self.after[need].append(index)
        self.missing = [len(needs) for needs in self.graph.before]
        self.start, self.end = np.zeros(n), np.zeros(n)
        self.herald, self.age = np.full(n, np.nan), np.full(n, np.nan)
        self.free = [times.slots] * program.nodes.count
        self.port = [True] * program.nodes.count
        opens = [i for i in range(n) if self.steps[i].kind == "open"]
        self.wanted = sorted(opens, key=lambda i: (-self.graph.rank[i], i))
        self.events: list[tuple[float, int, str]] = []
        self.frees = _far_ends(program)
        self.thrown_away = 0
        self.queue: list[tuple[float, int]] = []  # what may run once its atoms are idle
        self.busy: set[tuple[int, int]] = set()

    def run(self) -> Schedule:
        """Run to the end."""
        for index, missing in enumerate(self.missing):
            if not missing:
                self._ready(index, 0.0)
        self._start_idle(0.0)
        self._attempt(0.0)
        done = 0
        while self.events:
            now, index, what = heapq.heappop(self.events)
            if what == "herald":
                self.herald[index] = now
                for node in _ends(self.steps[index]):
                    self.port[node] = True
                if not self.missing[index]:
                    self._use(index, now)
            else:
                done += 1
                self._finish(index, now)
            self._start_idle(now)
            self._attempt(now)
        if done < len(self.steps):
            raise CircuitError(f"The copies of this program need more than {self.times.slots} slots at a node: give it "
                               "more, or partition with fewer communication atoms (`--ports`).")  # fmt: skip
        return Schedule(self.start, self.end, self.herald, self.age, self.thrown_away)

    def _ready(self, index: int, now: float) -> None:
        if self.steps[index].kind != "open":
            self._begin(index, now)
        elif not np.isnan(self.herald[index]):
            self._use(index, now)

    def _use(self, index: int, now: float) -> None:
        """Open with a pair, unless it is too old."""
        age = now - self.herald[index]
        if age > self.times.cutoff_s:
            self.thrown_away += 1
            self.herald[index] = np.nan
            for node in _ends(self.steps[index]):
                self.free[node] += 1
            self.wanted.insert(0, index)
            return
        self._begin(index, now)

    def _begin(self, index: int, now: float) -> None:
        insort(self.queue, (-self.graph.rank[index], index))

    def _start_idle(self, now: float) -> None:
        """Start what waits for nothing but its atoms, the longest rest of the program first."""
        left = []
        for entry in self.queue:
            holders = [holder for holder, _ in holders_of(self.steps[entry[1]])]
            if self.busy.isdisjoint(holders):
                self.busy.update(holders)
                self._go(entry[1], now)
            else:
                left.append(entry)
        self.queue = left

    def _go(self, index: int, now: float) -> None:
        if self.steps[index].kind == "open":
            self.age[index] = now - self.herald[index]
        self.start[index], self.end[index] = now, now + self.graph.takes[index]
        heapq.heappush(self.events, (self.end[index], index, "end"))

    def _finish(self, index: int, now: float) -> None:
        step = self.steps[index]
        self.busy.difference_update(holder for holder, _ in holders_of(step))
        if step.kind == "open":
            self.free[step.source] += 1
        for node in self.frees.get(index, ()):
            self.free[node] += 1
        for other in self.after[index]:
            self.missing[other] -= 1
            if not self.missing[other]:
                self._ready(other, now)

    def _is_next(self, index: int) -> bool:
        """Say whether no earlier open of the program at these nodes waits for its attempts."""
        here = set(_ends(self.steps[index]))
        return not any(other < index and here & set(_ends(self.steps[other])) for other in self.wanted)

    def _attempt(self, now: float) -> None:
        """Start attempts: first for opens that wait for nothing else, then ahead of need, within the reserve."""
        for ahead in (False, True):
            for index in list(self.wanted):
                a, b = _ends(self.steps[index])
                room = min(self.free[a], self.free[b])
                if (bool(self.missing[index]) == ahead and self.port[a] and self.port[b] and room > 0
                        and (room > self.times.slots // 2 or self._is_next(index))):  # fmt: skip
                    self.wanted.remove(index)
                    for node in (a, b):
                        self.port[node] = False
                        self.free[node] -= 1
                    comes = now + self.rng.exponential(1 / self.times.rate_hz)
                    heapq.heappush(self.events, (comes, index, "herald"))


def _far_ends(program: Program) -> dict[int, list[int]]:
    """Return at which step a slot of which node becomes free: a close, or a home that makes a copy a stored qubit.

    The former home of a qubit becomes its copy, and takes the slot that the new home leaves there.
    """
    frees: dict[int, list[int]] = {}
    stored = {(q, node) for q, node in enumerate(program.start)}  # holders that take no slot
    for index, step in enumerate(program.steps):
        q = step.qubits[0]
        if step.kind == "home":
            frees.setdefault(index, []).append(step.node)
            stored.add((q, step.node))
        elif step.kind == "close" and (q, step.node) not in stored:
            frees.setdefault(index, []).append(step.node)
        elif step.kind == "close":
            stored.discard((q, step.node))
    return frees
