"""Place a circuit on several nodes with few pairs.

Search: simulated annealing from several seeds over homes and copies of segments, then a program for each candidate;
the program with the fewest pairs (pairs really opened, under the limits of the nodes) is the result. One seed and one
effort give one result on every machine.

Fewest pairs are not the shortest time: which end of a gate is copied, and when its copy closes, decides how long others
wait. With a `score` of the caller's the program of the least score wins, and the search has more to choose from: short
annealings from qubits laid out in blocks, which keep the circuit's own order, with and without the spare places.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits import anneal as search
from atomlink.circuits.circuit import Circuit, CircuitError
from atomlink.circuits.native import native
from atomlink.circuits.program import Nodes, Program, build
from atomlink.circuits.segments import Ints, Segments, segments

MOST_NODES = 12
BUDGET = 150_000_000 if search.COMPILED else 600_000  # looks at neighbours of one annealing: some 7 s
ROUNDS = 6
HOT, COLD = 0.7, 0.12  # pairs
IN_BLOCKS, WARM = 24, (0.2, 0.3)  # annealings from blocks, and the pairs at which they begin: above, blocks dissolve


@dataclass(frozen=True)
class _Plan:
    """Homes and node sets of all segments, and the pairs that they cost without limits."""

    home: Ints
    held: Ints
    energy: int


def partition(circuit: Circuit, nodes: int, room: int | None = None, ports: int | None = None,
              links: Sequence[tuple[int, int]] | None = None, seed: int = 0, effort: float = 1.0,
              score: Callable[[Program], float] | None = None) -> Program:  # fmt: skip
    """Return a program for `nodes` nodes of `room` qubits (default: n/nodes rounded up, plus 1) with few pairs.

    ports: communication atoms of a node (default: no limit); links: pairs of nodes (default: all);
    effort: 1 is about half a minute on two cores where numba is installed; score: what is to be least instead of the
    pairs, as the mean makespan; it raises CircuitError for a program that cannot be.
    """
    place = check_nodes(circuit, nodes, room, ports, links)
    circuit = native(circuit)
    graph = segments(circuit)
    tree = steiner_trees(place)
    plans = _anneal_all(graph, place, tree, seed, effort)
    if ports is None and score is None:
        plans = plans[:4]
    elif score is not None:
        plans += _in_blocks(graph, place, tree, seed, effort)
    programs = [_built(circuit, place, plan, graph, score or _pairs) for plan in plans]
    found = [program for program in programs if not isinstance(program, CircuitError)]
    if not found:
        raise next(error for error in programs if isinstance(error, CircuitError))
    return min(found, key=lambda scored: scored[0])[1]


def _pairs(program: Program) -> float:
    return program.pairs


def check_nodes(circuit: Circuit, nodes: int, room: int | None, ports: int | None,
                links: Sequence[tuple[int, int]] | None) -> Nodes:  # fmt: skip
    """Return the nodes, or raise the one-line error that says what they cannot do."""
    if not 1 <= nodes <= MOST_NODES:
        raise CircuitError(f"Argument `nodes` must be 1 to {MOST_NODES}, but is {nodes}.")
    room = -(-circuit.n // nodes) + 1 if room is None else room
    if room * nodes < circuit.n:
        raise CircuitError(f"The circuit has {circuit.n} qubits, but {nodes} nodes of {room} hold {nodes * room}: "
                           "take more nodes, or more qubits a node.")  # fmt: skip
    if ports is not None and ports < 2 and nodes > 1:
        raise CircuitError(f"Argument `ports` (communication atoms of a node) must be >= 2, but is {ports}.")
    if links is not None:
        for a, b in links:
            if not (0 <= a < nodes and 0 <= b < nodes and a != b):
                raise CircuitError(f"Link {a}-{b} must join two different nodes of 0 to {nodes - 1}.")
    known = None if links is None else frozenset((min(a, b), max(a, b)) for a, b in links)
    place = Nodes(nodes, room, ports, known)
    for node in range(nodes):
        try:
            place.path({0}, node)
        except CircuitError:
            raise CircuitError(f"No links lead from node 0 to node {node}: add one, all must be connected.") from None
    return place


def steiner_trees(place: Nodes) -> Ints:
    """Return the pairs that connect each set of nodes, shape (2**count,); empty where every two nodes are linked."""
    if all(len(place.linked(node)) == place.count - 1 for node in range(place.count)):
        return np.zeros(0, dtype=np.int64)
    size = 1 << place.count
    connected = np.zeros(size, dtype=bool)
    near = [sum(1 << other for other in place.linked(node)) for node in range(place.count)]
    for node in range(place.count):
        connected[1 << node] = True
    for mask in range(1, size):
        if connected[mask]:
            for node in range(place.count):
                if not mask >> node & 1 and near[node] & mask:
                    connected[mask | 1 << node] = True
    count = np.array([mask.bit_count() - 1 for mask in range(size)], dtype=np.int64)
    tree = np.where(connected, count, place.count)
    for node in range(place.count):  # the least over all connected sets that contain the set
        without = (np.arange(size) >> node & 1) == 0
        tree[without] = np.minimum(tree[without], tree[np.arange(size)[without] | 1 << node])
    tree[0] = 0
    return np.asarray(tree, dtype=np.int64)


def _anneal_all(graph: Segments, place: Nodes, tree: Ints, seed: int, effort: float) -> list[_Plan]:
    """Return plans of several annealings, the cheapest first."""
    rounds = max(2, round(ROUNDS * effort))
    budget = int(BUDGET * min(1.0, ROUNDS * effort / rounds))
    # Copies at a third node gather in numbers that few communication atoms cannot hold: then half goes without them.
    without = 3 if place.ports is None else 2
    third = [place.count > 2 and k % without != without - 1 for k in range(rounds)]
    with ThreadPoolExecutor(max(1, min(2, os.cpu_count() or 1))) as pool:
        plans = list(pool.map(lambda k: _anneal(graph, place, tree, (seed, k), budget, third[k]), range(rounds)))
    return sorted(plans, key=lambda plan: plan.energy)


def _in_blocks(graph: Segments, place: Nodes, tree: Ints, seed: int, effort: float) -> list[_Plan]:
    """Return plans of short annealings that begin with the qubits in blocks, in order, copied at home alone."""
    qubits = len(graph.first) - 1
    node = np.arange(qubits) * place.count // max(qubits, 1)
    full = replace(place, room=-(-qubits // place.count))
    budget = int(BUDGET * min(1.0, max(effort, 0.3)) / IN_BLOCKS)
    return [
        _anneal(graph, nodes, tree, (seed, ROUNDS, k), budget, False, node[graph.qubit], hot)
        for nodes in dict.fromkeys((place, full))
        for k in range(IN_BLOCKS // 4)
        for hot in WARM
    ]


def _anneal(graph: Segments, place: Nodes, tree: Ints, seed: tuple[int, ...], budget: int, third: bool,
            home: Ints | None = None, hot: float = HOT) -> _Plan:  # fmt: skip
    rng = np.random.default_rng(seed)
    if home is None:
        qubits = len(graph.first) - 1
        node = np.empty(qubits, dtype=np.int64)
        node[rng.permutation(qubits)] = np.arange(qubits) % place.count
        home = node[graph.qubit]
    held = np.left_shift(1, home)
    last = _last(graph)
    penalty = max(1, int(tree.max(initial=0)))
    rules = (last, graph.offset, graph.neighbour, graph.bridge, tree, penalty, third)
    if place.count > 1:
        spans = (graph.first, graph.qubit, graph.start, graph.end)
        search.anneal(rng, place.count, place.room, home, held, *spans, *rules, hot * penalty, COLD, budget)
    _repair(graph, home, held, third)
    return _Plan(home, held, int(search.total(home, held, *rules)))


def _last(graph: Segments) -> NDArray[np.bool_]:
    last = np.zeros(graph.size, dtype=bool)
    last[graph.first[1:] - 1] = True
    return last


def _repair(graph: Segments, home: Ints, held: Ints, third: bool) -> None:
    """Add a copy for every gate and every handover that the sets do not serve yet."""
    last = _last(graph)
    for v in range(graph.size):
        if not last[v] and not (held[v + 1] >> home[v] & 1 or held[v] >> home[v + 1] & 1):
            held[v] |= 1 << home[v + 1]
        for u in graph.neighbour[graph.offset[v] : graph.offset[v + 1]]:
            if not (held[v] & held[u] if third else held[v] >> home[u] & 1 or held[u] >> home[v] & 1):
                held[v] |= 1 << home[u]


def _built(circuit: Circuit, place: Nodes, plan: _Plan, graph: Segments,
           score: Callable[[Program], float]) -> tuple[float, Program] | CircuitError:  # fmt: skip
    try:
        program = build(circuit, place, plan.home, plan.held, graph)
        return score(program), program
    except CircuitError as error:
        return error
