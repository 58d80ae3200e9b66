"""Places for the boxes of a directed graph and ways for its arrows that pass behind no box.

A node lies one row below the lowest of those it depends on; an arrow that skips rows gets a narrow place of its own in
each of them. The order within the rows is that of the mean place of the neighbours, by turns of those above and those
below. Source: K. Sugiyama, S. Tagawa, M. Toda, IEEE Trans. SMC 11, 109 (1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

Place = tuple[float, float]
Edge = tuple[str, str]
Slot = str | tuple[str, str, int]  # a node, or where the arrow (parent, child) passes row k

BOX, PASSAGE = 1.0, 0.35  # widths of a place in a row
SWEEPS = 8


def layered(graph: Mapping[str, Sequence[str]]) -> tuple[dict[str, Place], dict[Edge, list[Place]]]:
    """Return (x, row) of every node, x = 0 in the middle, and the places that each arrow (parent, child) goes through.

    `graph` names what a node depends on. An arrow's places begin with its parent and end with its child.
    """
    rows = rows_of(graph)
    chains: dict[Edge, list[Slot]] = {
        (parent, child): [parent, *((parent, child, k) for k in range(rows[parent] + 1, rows[child])), child]
        for child, parents in graph.items()
        for parent in parents
    }
    order: list[list[Slot]] = [[] for _ in range(1 + max(rows.values(), default=0))]
    for name in graph:
        order[rows[name]].append(name)
    for parent, child in chains:
        for k in range(rows[parent] + 1, rows[child]):
            order[k].append((parent, child, k))
    links = [link for chain in chains.values() for link in pairwise(chain)]
    for sweep in range(SWEEPS):
        _sort(order, links, downwards=sweep % 2 == 0)
    x = {slot: place for row in order for slot, place in _spread(row).items()}
    places = {name: (x[name], float(rows[name])) for name in graph}
    ways = {edge: [(x[slot], float(_row(slot, rows))) for slot in chain] for edge, chain in chains.items()}
    return places, ways


def rows_of(graph: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the row of every node: the longest way to it from one that depends on nothing."""
    rows: dict[str, int] = {}

    def find(name: str) -> int:
        if name not in rows:
            rows[name] = max((1 + find(parent) for parent in graph[name]), default=0)
        return rows[name]

    for name in graph:
        find(name)
    return rows


def _row(slot: Slot, rows: Mapping[str, int]) -> int:
    return rows[slot] if isinstance(slot, str) else slot[2]


def _sort(order: list[list[Slot]], links: Sequence[tuple[Slot, Slot]], downwards: bool) -> None:
    """Order each row by the mean place of its neighbours in the row before it, in the direction of the sweep."""
    neighbours: dict[Slot, list[Slot]] = {}
    for upper, lower in links:
        neighbours.setdefault(lower if downwards else upper, []).append(upper if downwards else lower)
    for row in order if downwards else reversed(order):
        at = {slot: x for other in order for slot, x in _spread(other).items()}
        mean = {slot: sum(at[near] for near in neighbours[slot]) / len(neighbours[slot]) if slot in neighbours
                else at[slot] for slot in row}  # fmt: skip
        row.sort(key=mean.__getitem__)


def _spread(row: Sequence[Slot]) -> dict[Slot, float]:
    """Return x of each place in a row, the row centred."""
    widths = [BOX if isinstance(slot, str) else PASSAGE for slot in row]
    found, edge = {}, -sum(widths) / 2
    for slot, width in zip(row, widths, strict=True):
        found[slot] = edge + width / 2
        edge += width
    return found
