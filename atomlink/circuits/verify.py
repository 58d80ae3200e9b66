"""Run a distributed program, pair by pair, measurement by measurement, beside the circuit that it is meant to be.

Up to 20 qubits: state vectors, from random product states. Above: stabiliser states of the same structure, with every
angle brought to a Clifford one (cp -> CZ, rzz -> a quarter turn, u -> the nearest quarter turns). Measured bits of the
program are forced upon the circuit, and their probabilities must agree, too. Limits of nodes are counted at each step.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atomlink.circuits.circuit import Circuit, CircuitError, Op, u_matrix
from atomlink.circuits.dense import Dense, Record, act
from atomlink.circuits.program import Program
from atomlink.circuits.tableau import Tableau

DENSE_QUBITS = 20
_H = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)


@dataclass(frozen=True)
class Verdict:
    """What was found: the engine, runs done, pairs used, the most communication atoms and homes at a node."""

    engine: str
    runs: int
    pairs: int
    ports: int
    homes: int


def verify(program: Program, circuit: Circuit | None = None, runs: int = 2, seed: int = 0,
           engine: str | None = None) -> Verdict:  # fmt: skip
    """Run program and circuit (default: its own) side by side; raise CircuitError where they differ.

    A circuit other than the program's native form can be compared on state vectors alone: angles of the two forms are
    not brought to the same Clifford ones.
    """
    engine = engine or ("dense" if program.circuit.n <= DENSE_QUBITS else "stabiliser")
    ports, homes = check_limits(program)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        if engine == "dense":
            _compare_dense(program, circuit or program.circuit, rng)
        else:
            _compare_stabiliser(program, rng)
    return Verdict(engine, runs, program.pairs, ports, homes)


def check_limits(program: Program) -> tuple[int, int]:
    """Return the most communication atoms and homes that any node has at once; raise where that exceeds its limits.

    An open takes one atom at each end until its first half is read; a copy keeps the far one until it is closed.
    """
    nodes, at = program.nodes, list(program.start)
    holders = [{node} for node in at]
    homes = np.bincount(at, minlength=nodes.count)
    copies = np.zeros(nodes.count, dtype=int)
    most_ports, most_homes = 0, int(homes.max())
    for step in program.steps:
        q = step.qubits[0]
        if step.kind == "open":
            if step.source not in holders[q] or step.node in holders[q] or step.node not in nodes.linked(step.source):
                raise CircuitError(f"Step {step} opens a copy from where there is none, or where one is, or no link.")
            most_ports = max(most_ports, copies[step.source] + 1, copies[step.node] + 1)
            copies[step.node] += 1
            holders[q].add(step.node)
        elif step.kind == "close":
            if step.node not in holders[q] or step.node == at[q]:
                raise CircuitError(f"Step {step} closes what is no copy.")
            copies[step.node] -= 1
            holders[q].discard(step.node)
        elif step.kind == "home":
            for node, sign in ((at[q], -1), (step.node, 1)):
                homes[node] += sign
                copies[node] -= sign
            at[q] = step.node
            most_homes = max(most_homes, int(homes.max()))
        if any(step.node not in holders[r] for r in step.qubits if step.kind in ("gate", "local", "home")):
            raise CircuitError(f"Step {step} acts on a qubit that its node does not hold.")
    if most_homes > nodes.room or (nodes.ports is not None and most_ports > nodes.ports):
        raise CircuitError(f"A node holds {most_homes} qubits and {most_ports} communication atoms, must hold at most "
                           f"{nodes.room} and {nodes.ports}.")  # fmt: skip
    return int(most_ports), most_homes


def execute(program: Program, engine: Dense | Tableau, record: Record) -> list[Hashable]:
    """Run a program on an engine that holds qubits (q, start node); return their names at the end."""
    at = list(program.start)
    copies: dict[int, set[int]] = {q: set() for q in range(len(at))}
    for step in program.steps:
        q = step.qubits[0]
        if step.kind == "open":
            half, copy = ("half", q), (q, step.node)
            engine.pair(half, copy)
            engine.cx((q, step.source), half)
            if engine.measure(half):
                engine.flip(copy)
            copies[q].add(step.node)
            if not engine.join(copy, (q, at[q])):
                raise CircuitError(f"Step {step}: the copy is not equal to its qubit in every amplitude.")
        elif step.kind == "close":
            engine.u((q, step.node), _H)
            copies[q].discard(step.node)
            if engine.measure((q, step.node)):
                engine.sign((q, at[q]))
        elif step.kind == "home":
            copies[q] = (copies[q] | {at[q]}) - {step.node}
            at[q] = step.node
        elif step.op is not None:
            act(step.op, [(r, step.node) for r in step.qubits], engine, record, step.index)
        for r in step.qubits:
            for node in copies[r]:  # a copy that was turned (bridge) is a cat state again after its second turn
                engine.join((r, node), (r, at[r]))
    if any(copies.values()):
        raise CircuitError("The program ends with copies open: close them.")
    return [(q, at[q]) for q in range(len(at))]


def _compare_dense(program: Program, circuit: Circuit, rng: np.random.Generator) -> None:
    turns = [random_unitary(rng) for _ in range(circuit.n)]
    states: list[Dense] = []
    record = Record()
    for names, distributed in _starts(program):
        engine, before = Dense(rng), record
        for name, turn in zip(names, turns, strict=True):
            engine.add(name)
            engine.u(name, turn)
        if distributed:
            names = execute(program, engine, record)
        else:  # measurements have the same order in both forms, not the same numbers
            numbers = zip(_measurements(program.circuit), _measurements(circuit), strict=True)
            record = Record(outcomes={b: before.outcomes[a] for a, b in numbers if a in before.outcomes})
            _rerun(circuit, engine, record)
        engine.state = engine.vector(names)
        states.append(engine)
    overlap = abs(np.vdot(states[0].state, states[1].state))
    if abs(overlap - 1) > 1e-9 or abs(record.probability - before.probability) > 1e-9:
        raise CircuitError(f"The program does not do what its circuit does: overlap {overlap:.6f}, probabilities "
                           f"{before.probability:.6g} and {record.probability:.6g}, must be equal.")  # fmt: skip


def _measurements(circuit: Circuit) -> list[int]:
    return [index for index, op in enumerate(circuit.ops) if op.name in ("measure", "reset")]


def _starts(program: Program) -> list[tuple[list[Hashable], bool]]:
    """Return the names of the qubits at the start, of the program and of its circuit."""
    return [([(q, node) for q, node in enumerate(program.start)], True), (list(range(len(program.start))), False)]


def _rerun(circuit: Circuit, engine: Dense | Tableau, record: Record) -> None:
    for index, op in enumerate(circuit.ops):
        act(op, op.qubits, engine, record, index)


def _compare_stabiliser(program: Program, rng: np.random.Generator) -> None:
    circuit = replace(program.circuit, ops=tuple(map(clifford, program.circuit.ops)))
    steps = tuple(replace(step, op=clifford(step.op)) if step.op else step for step in program.steps)
    program = replace(program, circuit=circuit, steps=steps)
    turns = rng.integers(0, 4, size=(circuit.n, 3)) * (np.pi / 2)
    found = []
    record = Record()
    for names, distributed in _starts(program):
        engine, before = Tableau(rng), record
        for name, turn in zip(names, turns, strict=True):
            engine.add(name)
            engine.u(name, u_matrix(*turn))
        record = Record(outcomes=dict(before.outcomes))
        if distributed:
            names = execute(program, engine, record)
        else:
            _rerun(circuit, engine, record)
        found.append(engine.canonical(names))
    if found[0] != found[1] or record.probability != before.probability:
        raise CircuitError("The program does not do what its circuit does: stabiliser states differ, must be equal.")


def clifford(op: Op) -> Op:
    """Return the operation with Clifford angles, diagonal where it was and a half turn where it was one."""
    quarter = np.pi / 2
    if op.name == "cp":
        return replace(op, params=(np.pi,))
    if op.name == "rzz":
        return replace(op, params=(quarter if op.params[0] > 0 else -quarter,))
    if op.name == "u":
        theta, phi, lam = (round(angle / quarter) * quarter for angle in op.params)
        return replace(op, params=(theta if abs(np.sin(op.params[0] / 2)) < 1e-9 else max(theta, quarter), phi, lam))
    return op


def random_unitary(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Return a unitary of shape (2, 2), Haar random."""
    q, r = np.linalg.qr(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)))
    return np.asarray(q * (np.diag(r) / abs(np.diag(r))))
