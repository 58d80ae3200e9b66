"""A circuit on several nodes does what it did on one, with few pairs, within the limits of the nodes."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomlink.circuits import dense, qasm, verify
from atomlink.circuits.circuit import CircuitError
from atomlink.circuits.partition import partition, steiner_trees
from atomlink.circuits.program import HALF_TURN, Nodes, Program, Step
from atomlink.circuits.tableau import Tableau

DATA = Path(__file__).parents[1] / "data" / "circuits"
TARGETS = {(row["circuit"], int(row["qpus"])): int(row["best"]) for row in csv.DictReader((DATA / "pairs.csv").open())}
pytestmark = pytest.mark.timeout(400)  # the first call compiles, which takes a minute on a busy machine
LITTLE = 0.01  # effort: 2 annealings, half a second in all once compiled


def load(name: str) -> qasm.Circuit:
    return qasm.read(DATA / f"{name}.qasm")


def written(body: str, n: int) -> qasm.Circuit:
    return qasm.parse(f'OPENQASM 2.0; include "qelib1.inc"; qreg q[{n}]; creg c[{n}]; {body}')


EASY = ["ghz_40", "ising_2d_6x6_t5", "nzz_qaoa_3reg_32_p1", "qaoa_er05_32", "qft_16"]


@pytest.mark.parametrize("nodes", [2, 4])
@pytest.mark.parametrize("name", EASY)
def test_a_short_search_needs_no_more_pairs_than_published_tools(name, nodes):
    program = partition(load(name), nodes, effort=LITTLE)
    found = verify.verify(program, runs=1)
    assert found.pairs == program.pairs <= TARGETS[name, nodes]
    assert found.homes <= -(-program.circuit.n // nodes) + 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "nodes"), TARGETS)
def test_a_full_search_needs_no_more_pairs_than_published_tools(name, nodes):
    program = partition(load(name), nodes)
    verify.verify(program, runs=1)
    assert program.pairs <= TARGETS[name, nodes]


@pytest.mark.parametrize("ports", [2, 4])
def test_few_communication_atoms_are_enough(ports):
    for name, nodes in (("qaoa_er05_32", 4), ("nzz_ising_2d_6x6_t5", 2)):
        program = partition(load(name), nodes, ports=ports, effort=LITTLE)
        assert verify.verify(program, runs=1).ports <= ports
        assert program.pairs <= TARGETS[name, nodes]


def random_circuit(rng: np.random.Generator, n: int, gates: int) -> qasm.Circuit:
    kinds = {"h": 1, "rx(0.3)": 1, "t": 1, "x": 1, "cx": 2, "cp(0.7)": 2, "rzz(0.4)": 2, "ccx": 3, "swap": 2}
    lines = []
    for _ in range(gates):
        kind = rng.choice(list(kinds))
        lines.append(f"{kind} " + ",".join(f"q[{q}]" for q in rng.permutation(n)[: kinds[kind]]) + ";")
    return written("".join(lines), n)


@pytest.mark.parametrize("links", [None, [(0, 1), (1, 2)]])
@pytest.mark.parametrize("ports", [None, 3])
def test_random_circuits_on_three_nodes_are_the_circuit_that_was_read(ports, links):
    rng = np.random.default_rng(11)
    for _ in range(6):
        circuit = random_circuit(rng, 7, 40)
        program = partition(circuit, 3, ports=ports, links=links, effort=0.001)
        assert verify.verify(program, circuit, runs=1).engine == "dense"
        assert verify.verify(program, runs=1, engine="stabiliser").pairs == program.pairs


def test_measured_bits_and_what_they_control_agree():
    circuit = written(
        "h q[0]; cx q[0],q[3]; measure q[3] -> c[3]; if (c[3]==1) x q[1]; if (c[3]==1) cp(0.3) q[1],q[2]; "
        "h q[1]; cx q[1],q[2]; reset q[0]; cx q[2],q[0]; measure q[2] -> c[2]; cx q[3],q[1];",
        4,
    )
    for seed in range(4):
        verify.verify(partition(circuit, 2, seed=seed, effort=0.001), circuit, runs=4, seed=seed)


def test_programs_with_bridges_are_the_circuit_that_was_read():
    """A turn of a copy has no operation of the circuit: that is how a bridge shows in a program."""
    rng = np.random.default_rng(0)
    bridged = 0
    for seed in range(16):
        lines = []
        for _ in range(40):
            a, b = rng.permutation(8)[:2]
            lines.append(rng.choice([f"cx q[{a}],q[{b}];", f"cx q[{a}],q[{b}];", f"cx q[{b}],q[{a}];", f"h q[{a}];"]))
        circuit = written("".join(lines), 8)
        program = partition(circuit, 2, effort=0.002, seed=seed)
        verify.verify(program, circuit, runs=1)
        bridged += any(step.kind == "local" and step.index < 0 for step in program.steps)
    assert bridged >= 2


def test_one_seed_gives_one_program():
    circuit = load("nzz_qaoa_3reg_32_p1")
    assert partition(circuit, 3, seed=4, effort=LITTLE) == partition(circuit, 3, seed=4, effort=LITTLE)


def test_a_wrong_program_is_found_out():
    program = partition(load("qft_16"), 2, effort=0.001)
    for kind in ("gate", "local", "open", "close"):
        at = next(k for k, step in enumerate(program.steps) if step.kind == kind)
        for engine in ("dense", "stabiliser"):
            with pytest.raises(CircuitError):
                verify.verify(
                    replace(program, steps=program.steps[:at] + program.steps[at + 1 :]), runs=8, engine=engine
                )


def test_limits_are_counted():
    program = partition(load("qft_16"), 2, effort=0.001)
    ports, homes = verify.check_limits(program)
    for nodes in (Nodes(2, homes - 1), Nodes(2, homes, ports - 1), Nodes(2, homes, None, frozenset())):
        with pytest.raises(CircuitError):
            verify.check_limits(replace(program, nodes=nodes))


PRIMITIVES = {
    "copy and close": (2, [Step("open", 1, (0,), 0), Step("close", 1, (0,))], []),
    "state teleportation": (1, [Step("open", 1, (0,), 0), Step("home", 1, (0,), 0), Step("close", 0, (0,))], []),
    "gate": (2, [Step("open", 1, (0,), 0), "gate", Step("close", 1, (0,))], ["gate"]),
    "gate over two hops": (
        2,
        [Step("open", 2, (0,), 0), Step("open", 1, (0,), 2), Step("close", 2, (0,)), "gate", Step("close", 1, (0,))],
        ["gate"],
    ),
    "gate at a third node": (
        2,
        [Step("open", 2, (0,), 0), Step("open", 2, (1,), 1), "gate2", Step("close", 2, (1,)), Step("close", 2, (0,))],
        ["gate"],
    ),
    "bridge": (
        3,
        [
            Step("open", 1, (0,), 0),
            "gate",
            "h0",
            "h1",
            Step("open", 0, (2,), 1),
            "x0",
            "x1",
            "h0",
            "h1",
            "gate",
            Step("close", 1, (0,)),
            Step("close", 0, (2,)),
        ],
        ["gate", "h", "x", "h", "gate"],
    ),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_outcome_of_a_primitive_gives_the_same_exact_map(name):
    """Each qubit is entangled with a partner: the final state is the map itself (Choi), for each string of outcomes."""
    n, steps, ops = PRIMITIVES[name]
    h, cp, cz = HALF_TURN, qasm.parse("OPENQASM 2.0; qreg q[2]; cp(0.7) q[0],q[1];").ops[0], None
    cz = replace(cp, qubits=(0, 2), params=(np.pi,))
    meaning = {"gate": cp, "h": h, "x": cz}
    known = {"gate": Step("gate", 1, (0, 1), op=cp), "gate2": Step("gate", 2, (0, 1), op=cp)}
    known |= {f"h{k}": Step("local", k, (0,), op=h) for k in (0, 1)}
    known |= {f"x{k}": Step("gate", k, (0, 2), op=cz) for k in (0, 1)}
    circuit = qasm.Circuit(n, tuple(meaning[word] for word in ops))
    program = Program(circuit, Nodes(3, 3), (0, 1, 1)[:n], tuple(known.get(step, step) for step in steps))
    want = choi(n)
    dense.run(circuit, want.rng, want)
    expected = want.vector([*range(n), *(("partner", q) for q in range(n))])
    random = sum(step.kind in ("open", "close") for step in program.steps)
    for outcome in range(2**random):
        engine = choi(n, program.start)
        drawn = iter([outcome >> k & 1 for k in range(random)])
        engine.rng = type("Drawn", (), {"random": lambda self, drawn=drawn: 0.75 if next(drawn) else 0.25})()
        names = verify.execute(program, engine, dense.Record())
        found = engine.vector([*names, *(("partner", q) for q in range(n))])
        assert abs(np.vdot(expected, found)) == pytest.approx(1, abs=1e-12)
        assert engine.probability == pytest.approx(0.5)


def choi(n: int, start: tuple[int, ...] = ()) -> dense.Dense:
    engine = dense.Dense(np.random.default_rng(0))
    for q in range(n):
        engine.pair((q, start[q]) if start else q, ("partner", q))
    return engine


def test_stabiliser_and_state_vector_agree_on_random_clifford_circuits():
    rng = np.random.default_rng(3)
    for _ in range(30):
        circuit = random_circuit(rng, 5, 30)
        circuit = replace(circuit, ops=tuple(map(verify.clifford, circuit.ops)))
        fast, bits = Tableau(rng), dense.Record()
        fast.add(*range(5))
        for index, op in enumerate(circuit.ops):
            dense.act(op, op.qubits, fast, bits, index)
        slow, _ = dense.run(circuit, rng)
        for q in range(5):
            bit = fast.measure(q)
            slow.measure(q, keep=True, want=bit)
            assert slow.probability == pytest.approx(fast.probability, abs=1e-9)


def test_trees_over_a_line_count_hops():
    tree = steiner_trees(Nodes(4, 1, None, frozenset({(0, 1), (1, 2), (2, 3)})))
    assert [int(tree[mask]) for mask in (0b1, 0b11, 0b1001, 0b101, 0b1111)] == [0, 1, 3, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 0}, "1 to 12"),
        ({"nodes": 3, "room": 1}, "hold 3"),
        ({"nodes": 2, "ports": 1}, ">= 2"),
        ({"nodes": 3, "links": [(0, 1)]}, "No links lead"),
        ({"nodes": 2, "links": [(0, 5)]}, "must join"),
    ],
)
def test_what_the_nodes_cannot_do_is_refused(arguments, message):
    with pytest.raises(CircuitError, match=message):
        partition(written("cx q[0],q[1];", 4), **arguments)
