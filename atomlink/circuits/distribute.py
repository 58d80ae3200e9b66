"""From a circuit to the cycles that registers in a line of links walk."""

from collections.abc import Sequence

from atomlink.circuits.circuit import Circuit
from atomlink.circuits.cycles import Cycles, Link, cycles
from atomlink.circuits.partition import partition
from atomlink.circuits.schedule import Times, in_order
from atomlink.circuits.table import table

EFFORT = 0.02  # of the search for few pairs: circuits that registers of today hold are small


def distribute(circuit: Circuit, n_nodes: int, links: Sequence[Link], n_there: int | None = None) -> Cycles:
    """Return the cycles of a circuit on the first `n_nodes` of a lab's nodes (of `n_there`), each with its share of the
    qubits, rounded up. The same circuit and links give the same cycles.
    """
    used = [link for link in links if max(link[:2]) < n_nodes]
    room = -(-circuit.n // n_nodes)
    program = partition(circuit, n_nodes, room, None, [(link.near, link.far) for link in used], effort=EFFORT)
    return cycles(table(program, in_order(program), Times(slots=2 * circuit.n)), n_there or n_nodes, links)


def line(n_nodes: int) -> list[Link]:
    """Return the links of nodes in a line, each at both nodes' first ports."""
    return [Link(k, k + 1) for k in range(n_nodes - 1)]
