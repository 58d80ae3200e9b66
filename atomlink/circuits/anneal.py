"""Simulated annealing over homes and copies of segments, compiled by numba where that is installed.

Energy: pairs, plus `penalty` for each gate and each handover that the sets do not serve. One more copy serves any of
them at no more than the penalty, so the least energy is the least number of pairs, and every move is local.
`work` counts looks at neighbours: the budget is in these, not in seconds, so that a seed gives one result.
Arrays as in `segments`; node sets are bit masks; tree, shape (2**k,): pairs that connect a set of nodes (or empty: one
less than its nodes).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from numba import njit

    COMPILED = True
except ImportError:
    COMPILED = False


def _fast(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(cache=True, nogil=True)(function) if COMPILED else function


@_fast
def pairs_of(mask: int, tree: NDArray[np.int64]) -> int:
    """Return the number of pairs that connect a set of nodes."""
    if len(tree):
        return int(tree[mask])
    count = -1
    while mask:
        mask &= mask - 1
        count += 1
    return count


@_fast
def _apart(a: int, b: int, home: Any, held: Any) -> bool:
    """Say whether a qubit cannot get from segment a to the next one, b."""
    return not ((held[b] >> home[a]) & 1 or (held[a] >> home[b]) & 1)


@_fast
def bridged(m: int, home: Any, held: Any, offset: Any, neighbour: Any) -> int:
    """Return the set of nodes, the home among them, whose copies live through segment m; 0 where there are none."""
    p = home[m]
    if home[m - 1] != p or home[m + 1] != p or held[m] != 1 << p:
        return 0
    mask = held[m - 1] & held[m + 1]
    for at in range(offset[m], offset[m + 1]):
        mask &= held[neighbour[at]]
    return int(mask) if (mask >> p) & 1 else 0


@_fast
def _bonus(m: int, home: Any, held: Any, offset: Any, neighbour: Any, bridge: Any, tree: Any) -> int:
    if not bridge[m]:
        return 0
    mask = bridged(m, home, held, offset, neighbour)
    return pairs_of(mask, tree) if mask else 0


@_fast
def _meet(u: int, v: int, home: Any, held: Any, third: bool) -> bool:
    """Say whether two segments can have a gate: at any node, or (not `third`) at a home of one of them."""
    if third:
        return held[u] & held[v] != 0
    return (held[u] >> home[v]) & 1 or (held[v] >> home[u]) & 1


@_fast
def _local(v: int, home: Any, held: Any, last: Any, offset: Any, neighbour: Any, bridge: Any, tree: Any, penalty: int,
           any_bridge: bool, third: bool) -> int:  # fmt: skip
    """Return the part of the energy that segment v has a share in."""
    mask = held[v]
    energy = pairs_of(mask, tree)
    for at in range(offset[v], offset[v + 1]):
        if not _meet(neighbour[at], v, home, held, third):
            energy += penalty
    if not last[v] and _apart(v, v + 1, home, held):
        energy += penalty
    if v > 0 and not last[v - 1] and _apart(v - 1, v, home, held):
        energy += penalty
    if any_bridge:
        energy -= _bonus(v, home, held, offset, neighbour, bridge, tree)
        if not last[v]:
            energy -= _bonus(v + 1, home, held, offset, neighbour, bridge, tree)
        if v > 0 and not last[v - 1]:
            energy -= _bonus(v - 1, home, held, offset, neighbour, bridge, tree)
        for at in range(offset[v], offset[v + 1]):
            energy -= _bonus(neighbour[at], home, held, offset, neighbour, bridge, tree)
    return energy


@_fast
def total(home: Any, held: Any, last: Any, offset: Any, neighbour: Any, bridge: Any, tree: Any, penalty: int,
          third: bool) -> int:  # fmt: skip
    """Return the energy of a whole state."""
    energy = 0
    for v in range(len(home)):
        energy += pairs_of(held[v], tree) - _bonus(v, home, held, offset, neighbour, bridge, tree)
        for at in range(offset[v], offset[v + 1]):
            if neighbour[at] > v and not _meet(neighbour[at], v, home, held, third):
                energy += penalty
        if not last[v] and _apart(v, v + 1, home, held):
            energy += penalty
    return energy


@_fast
def _respond(v: int, nodes: int, home: Any, held: Any, last: Any, offset: Any, neighbour: Any, bridge: Any, tree: Any,
             penalty: int, any_bridge: bool, third: bool, work: Any) -> int:  # fmt: skip
    """Toggle the copy of v that gains most, again and again; return the change of energy (<= 0)."""
    gained = 0
    now = _local(v, home, held, last, offset, neighbour, bridge, tree, penalty, any_bridge, third)
    while True:
        best, choice = now, -1
        for node in range(nodes):
            if node != home[v]:
                held[v] ^= 1 << node
                energy = _local(v, home, held, last, offset, neighbour, bridge, tree, penalty, any_bridge, third)
                held[v] ^= 1 << node
                if energy < best:
                    best, choice = energy, node
        work[0] += nodes * (offset[v + 1] - offset[v] + 3)
        if choice < 0:
            return gained
        held[v] ^= 1 << choice
        gained += best - now
        now = best


@_fast
def _shift(v: int, node: int, sign: int, start: Any, end: Any, load: Any) -> None:
    for t in range(start[v], end[v]):
        load[node, t] += sign


@_fast
def _fits(v: int, node: int, room: int, start: Any, end: Any, load: Any) -> bool:
    for t in range(start[v], end[v]):  # noqa: SIM110 - numba compiles no generators within all()
        if load[node, t] > room:
            return False
    return True


@_fast
def anneal(rng: np.random.Generator, nodes: int, room: int, home: Any, held: Any, first: Any, qubit: Any, start: Any,
           end: Any, last: Any, offset: Any, neighbour: Any, bridge: Any, tree: Any, penalty: int, third: bool,
           hot: float, cold: float, budget: int) -> int:  # fmt: skip
    """Anneal `home` and `held` in place; return the energy of the best state met, which is what they hold at the end.

    room: qubits that a node can be home of; hot, cold: temperatures in pairs; budget: looks at neighbours.
    """
    size, qubits = len(home), len(first) - 1
    any_bridge = False
    for v in range(size):
        any_bridge = any_bridge or bridge[v]
    load = np.zeros((nodes, end.max()), dtype=np.int64)
    for v in range(size):
        _shift(v, home[v], 1, start, end, load)
    energy = total(home, held, last, offset, neighbour, bridge, tree, penalty, third)
    best, best_home, best_held = energy, home.copy(), held.copy()
    log_v = np.zeros(64 * size + 1024, dtype=np.int64)
    log_p, log_s = np.zeros_like(log_v), np.zeros_like(log_v)
    moved = np.zeros(2 * size + 2, dtype=np.int64)
    work = np.zeros(1, dtype=np.int64)
    while work[0] < budget:
        temperature = hot * (cold / hot) ** (work[0] / budget)
        if rng.random() < 0.8:  # one copy more or less
            v, node = int(rng.random() * size), int(rng.random() * nodes)
            work[0] += 2 * (offset[v + 1] - offset[v] + 3)
            if node == home[v]:
                continue
            before = _local(v, home, held, last, offset, neighbour, bridge, tree, penalty, any_bridge, third)
            held[v] ^= 1 << node
            change = _local(v, home, held, last, offset, neighbour, bridge, tree, penalty, any_bridge, third) - before
            if change > 0 and rng.random() >= np.exp(-change / temperature):
                held[v] ^= 1 << node
            else:
                energy += change
        else:  # a qubit, or two, lives elsewhere for a while
            v = int(rng.random() * size)
            q, a, b = qubit[v], home[v], int(rng.random() * nodes)
            if a == b:
                continue
            low, high = first[q], first[q + 1] - 1
            if rng.random() < 0.6:
                reach = 1.0 / (0.02 + rng.random())
                low = max(low, v - int(reach * rng.random())) if rng.random() < 0.7 else low
                high = min(high, v + int(reach * rng.random())) if rng.random() < 0.7 else high
            count = 0
            for w in range(low, high + 1):
                if home[w] == a:
                    moved[count] = w
                    count += 1
            ours = count
            if rng.random() < 0.75:  # with another one the other way
                other = int(rng.random() * qubits)
                for w in range(first[other], first[other + 1]):
                    if home[w] == b and start[w] < end[high] and end[w] > start[low]:
                        moved[count] = w
                        count += 1
            for at in range(count):
                w = moved[at]
                _shift(w, home[w], -1, start, end, load)
                _shift(w, b if at < ours else a, 1, start, end, load)
                work[0] += (end[w] - start[w]) // 4
            fits = True
            for at in range(count):
                fits = fits and _fits(moved[at], b if at < ours else a, room, start, end, load)
            change, logged = 0, 0
            if fits:
                for at in range(count):
                    w = moved[at]
                    log_v[logged], log_p[logged], log_s[logged] = w, home[w], held[w]
                    logged += 1
                    before = _local(w, home, held, last, offset, neighbour, bridge, tree, penalty, any_bridge, third)
                    old, new = home[w], b if at < ours else a
                    had = (held[w] >> new) & 1
                    home[w] = new
                    held[w] |= 1 << new
                    if not had:
                        held[w] &= ~(1 << old)
                    change += _local(w, home, held, last, offset, neighbour, bridge, tree, penalty, any_bridge,
                                     third) - before  # fmt: skip
                    work[0] += 2 * (offset[w + 1] - offset[w] + 3)
                for at in range(count):
                    w = moved[at]
                    change += _respond(w, nodes, home, held, last, offset, neighbour, bridge, tree, penalty,
                                       any_bridge, third, work)  # fmt: skip
                for at in range(count):
                    w = moved[at]
                    for i in range(offset[w], offset[w + 1]):
                        u = neighbour[i]
                        if logged < len(log_v):
                            log_v[logged], log_p[logged], log_s[logged] = u, home[u], held[u]
                            logged += 1
                            change += _respond(u, nodes, home, held, last, offset, neighbour, bridge, tree, penalty,
                                               any_bridge, third, work)  # fmt: skip
            if not fits or (change > 0 and rng.random() >= np.exp(-change / temperature)):
                for at in range(count):
                    w = moved[at]
                    _shift(w, b if at < ours else a, -1, start, end, load)
                    _shift(w, a if at < ours else b, 1, start, end, load)
                for at in range(logged - 1, -1, -1):
                    home[log_v[at]], held[log_v[at]] = log_p[at], log_s[at]
            else:
                energy += change
        if energy < best:
            best = energy
            best_home[:] = home
            best_held[:] = held
    home[:] = best_home
    held[:] = best_held
    return best
