"""A circuit on several nodes: partitioned, run on their registers with heralded pairs between them, and counted."""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment
from artiq.language.environment import NumberValue, StringValue

from atomlink.at_port import node_of
from atomlink.circuits import named, qasm
from atomlink.circuits.circuit import Circuit, CircuitError
from atomlink.circuits.cycles import PORT, SIDE, Link
from atomlink.circuits.distribute import distribute
from atomlink.errors import UsageError
from atomlink.topology import LinkSpec, Topology
from drivers.network import topology
from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import Columns, Plot
from experiments.sequences.processors import Processors
from experiments.sequences.program import ProgramRun
from experiments.sequences.program_kernels import DONE
from experiments.sequences.scan import Point, Scan

MOST_BITS = 12


def _shares(columns: Columns) -> dict[str, Any]:
    found = np.bincount(np.concatenate([np.asarray(row) for row in columns["outcomes"]]))
    n = found.sum()
    share = found / n
    return {"y": share, "x": np.arange(len(found)), "error": np.sqrt((share * (1 - share) + 0.25 / n) / n)}


SHARES = Plot("outcomes", "xy", _shares, about=("share of shots", "outcome, as a number"))


class DistributedCircuit(EnvExperiment):
    """Distributed circuit

    partition over the nodes --[ load, cool ]--( act, carry, read; pairs are heralded when one is due )--> next shot
    One table of rows for all nodes, one kernel that walks it; bits that were read turn frames, not atoms.
    """

    simulated_in = "register"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        text = self.get_argument("circuit", StringValue("ghz_4"), "Circuit",
                                 f"An OpenQASM file, or one of {', '.join(named.names())}.")  # fmt: skip
        whole = {"precision": 0, "scale": 1, "step": 1, "type": "int"}
        n_nodes = self.get_argument("n_nodes", NumberValue(2, min=1, max=12, **whole), "Circuit", "Nodes to run it on.")
        self.text, self.n_nodes = str(text or "ghz_4"), int(n_nodes or 2)
        network = topology(self)
        self.names, self.links = line_of_nodes(network, self.n_nodes)
        self.link_table = link_table(self.names, self.links)
        self.scan = Scan(self, (), shots=50, repeats=4, plots=[SHARES])
        self.program_run = ProgramRun(self, self.names, self.links)
        self.processors = Processors(self, self.program_run)

    def prepare(self) -> None:
        """Partition the circuit, read the beliefs, and write the rows; UsageError where the lab cannot run it."""
        if len(self.names) < self.n_nodes:
            raise UsageError(
                f"n_nodes is {self.n_nodes}, but this lab has no {self.n_nodes} nodes in a line of links, each at a "
                "port of its own: take fewer, or another lab, such as the scenario repeater."
            )
        self.circuit = read_circuit(self.text)
        self.program = distribute(self.circuit, self.n_nodes, self.link_table, len(self.names))
        self.program_run.load_program(self.program)
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take so many shots in every row; keep what there is when asked to stop."""
        self.processors.connect()
        level = {
            **self.program_run.run_level(), "scan.circuit": self.text, "scan.qasm": named.source(self.text),
            "scan.n_nodes": self.n_nodes, "scan.pairs": self.program.pairs, "scan.cycles": self.program.cycles,
            "scan.bits": self.circuit.bits, "scan.link_table": np.array(self.link_table, dtype=np.int32),
        }  # fmt: skip
        self.scan.run(self.measure, self.processors.begin, self.program_run.close, level)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return the outcome of each shot (bit k of the circuit is bit k of the number), and what the pairs took."""
        run = self.program_run
        pairs = max(1, self.program.pairs)
        row: dict[str, Any] = {"outcomes": [], "waited": [0] * pairs, "given_up": 0, "t_lab_s": 0.0, "loads": 0,
                               "off_middle_s2": 0.0, "t_turn_s": 0.0, "attempts": 0}
        loads, period = self.processors.loads, self.core.ref_period
        while len(row["outcomes"]) < self.scan.shots:
            reason = self.processors.shoot()
            row["t_lab_s"] += int(run.t_lab_mu) * period
            if reason != DONE:
                row["given_up"] += 1
                continue
            row["outcomes"].append(sum(int(run.bits[k]) << k for k in range(self.circuit.bits)))
            row["waited"] = [int(a) + int(b) for a, b in zip(row["waited"], run.waited, strict=True)]
            row["off_middle_s2"] += float(run.off_mu2) * period**2
            row["attempts"] += int(run.attempts)
            row["t_turn_s"] += int(run.turn_mu) * period
        row["outcomes"] = np.array(row["outcomes"], dtype=np.int64)
        row["loads"] = self.processors.loads - loads
        return row

    def analyze(self) -> None:
        """Compare the counts with the circuit's own, and with what the lab believes of itself."""
        self.result = conclude(self, self.scan)


def read_circuit(text: str) -> Circuit:
    """Return a circuit by name or file; CircuitError where it has no bits to count, or too many."""
    circuit = qasm.parse(named.source(text), text)
    if not 1 <= circuit.bits <= MOST_BITS:
        raise CircuitError(f"The circuit {text} has {circuit.bits} classical bits, must have 1 to {MOST_BITS}: what is "
                           "counted is what it measures.")  # fmt: skip
    return circuit


def line_of_nodes(network: Topology, n_nodes: int) -> tuple[tuple[str, ...], tuple[LinkSpec, ...]]:
    """Return so many nodes in a line and the links between them, the first that the lab has; none where it has none.

    A node's links begin at different ports of it, its first or its second.
    """
    if n_nodes <= 1:
        link = network.links[:1]
        return tuple(node_of(atom) for each in link for atom in each.atoms), link
    for name in network.node_names:
        found = _further(network, (name,), (), n_nodes)
        if found:
            return found
    return (), ()


def _further(network: Topology, names: tuple[str, ...], links: tuple[LinkSpec, ...], n_nodes: int,
             ) -> tuple[tuple[str, ...], tuple[LinkSpec, ...]] | None:  # fmt: skip
    if len(names) == n_nodes:
        return names, links
    taken = {atom for link in links for atom in link.atoms}
    stations = {link.station for link in links}
    for link in network.links:
        ends = [node_of(atom) for atom in link.atoms]
        other = next((end for end in ends if end != names[-1]), "")
        if names[-1] not in ends or other in names or taken & {*link.atoms} or link.station in stations:
            continue
        if any(network.number_of(atom) > 1 for atom in link.atoms):
            continue
        found = _further(network, (*names, other), (*links, link), n_nodes)
        if found:
            return found
    return None


def link_table(names: tuple[str, ...], links: tuple[LinkSpec, ...]) -> list[Link]:
    """Return the links by numbers of nodes and places of their atoms."""
    table = []
    for link in links:
        near, far = (names.index(node_of(atom)) for atom in link.atoms)
        places = [PORT if atom == node_of(atom) else SIDE for atom in link.atoms]
        table.append(Link(near, far, *places))
    return table
