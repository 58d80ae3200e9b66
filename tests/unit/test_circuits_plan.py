"""A schedule keeps the order of its program and the bounds of its model; `atomlink plan` says what to expect."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomlink.circuits import dense, draw, estimate, qasm
from atomlink.circuits.circuit import Op, diagonal_phases, u_matrix
from atomlink.circuits.partition import partition
from atomlink.circuits.schedule import Times, lower_bound, schedule
from atomlink.circuits.table import TURN, Code, Table, table
from atomlink.circuits.verify import verify
from sim import cli

DATA = Path(__file__).parents[1] / "data" / "circuits"
pytestmark = pytest.mark.timeout(400)  # the first call compiles the search
# Mean makespans in ms of the reference scheduler ("reserve", 12 slots) at 360 and 655 pairs per second.
RESERVE = {("ghz_40", 4): (24.5, 23.5), ("ising_1d_32_t10", 2): (68.8, 68.6), ("nzz_qaoa_3reg_32_p1", 4): (25.2, 16.2),
           ("qft_32", 4): (96.6, 58.0)}  # fmt: skip


@pytest.mark.parametrize(("name", "nodes"), RESERVE)
def test_makespans_lie_between_the_bound_and_the_reference(name, nodes):
    """20 runs: the mean is held against both with 3 standard errors of its own."""
    program = partition(qasm.read(DATA / f"{name}.qasm"), nodes, ports=4, effort=0.02)
    for rate, most in zip((360, 655), RESERVE[name, nodes], strict=True):
        times = Times(rate_hz=rate)
        spans = np.array([schedule(program, times, np.random.default_rng(k)).makespan_s * 1e3 for k in range(20)])
        error = 3 * spans.std() / np.sqrt(len(spans))
        assert lower_bound(program, times) * 1e3 - error <= spans.mean() <= 1.02 * most + error


def test_the_objective_time_finds_a_program_that_fewest_pairs_would_not():
    """QFT-16 on two nodes, 655 pairs per second: 40 runs, other ones than those that judged; 3 standard errors."""
    circuit, times = qasm.read(DATA / "qft_16.qasm"), Times()

    def mean_s(program, first=1000, runs=8):
        return np.mean([schedule(program, times, np.random.default_rng(first + k)).makespan_s for k in range(runs)])

    program = partition(circuit, 2, ports=4, effort=0.02, score=mean_s)
    spans = np.array([schedule(program, times, np.random.default_rng(k)).makespan_s * 1e3 for k in range(40)])
    assert spans.mean() <= 1.02 * 19.0 + 3 * spans.std() / np.sqrt(len(spans))
    assert verify(program, runs=1, engine="stabiliser").pairs == program.pairs
    fewest = partition(circuit, 2, ports=4, effort=0.02)
    assert mean_s(fewest, 0, 40) > 1.05 * spans.mean() / 1e3 and fewest.pairs <= program.pairs


def test_steps_in_the_order_of_their_start_still_do_what_the_circuit_does():
    program = partition(qasm.read(DATA / "qft_16.qasm"), 4, ports=4, effort=0.001)
    run = schedule(program, Times(), np.random.default_rng(2))
    order = np.lexsort((np.arange(len(run.start)), run.end))
    shuffled = replace(program, steps=tuple(program.steps[k] for k in order), nodes=replace(program.nodes, ports=None))
    assert shuffled.steps != program.steps
    assert verify(shuffled, runs=3, engine="stabiliser").pairs == program.pairs


def test_old_pairs_are_thrown_away():
    program = partition(qasm.read(DATA / "ghz_40.qasm"), 4, ports=2, effort=0.001)
    run = schedule(program, Times(cutoff_s=1e-3), np.random.default_rng(1))
    assert run.thrown_away > 0
    assert np.nanmax(run.age) <= 1e-3 + 1e-9
    assert np.isfinite(run.age).sum() == program.pairs


def test_a_pair_ages_to_a_classical_mixture():
    assert estimate.aged(0.961, 0.0, 1.5) == pytest.approx(0.961)
    assert estimate.aged(1.0, 1e9, 1.5) == pytest.approx(0.5)


def test_the_drawing_has_a_line_per_node_and_every_pair():
    program = partition(qasm.read(DATA / "qft_16.qasm"), 2, effort=0.001)
    text = draw.draw(program, most=10_000)
    assert text.count("o") - text.count("node") == program.pairs
    assert text.count("node") == 2


def test_plan_prints_pairs_makespan_and_fidelity(capsys):
    assert cli.main(["plan", str(DATA / "ghz_40.qasm"), "--nodes", "4", "--effort", "0.001"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"pairs: [3-9]; communication atoms used: [1-4] of 4; verified", out)
    assert "lower bound" in out
    assert "limited by" in out


BAD = {
    "syntax": (["--nodes", "2"], "h q[0]", "must be `;`"),
    "gate": ([], "magic q[0];", "not supported"),
    "room": (["--nodes", "2", "--room", "1"], "cx q[0],q[1];", "hold 2"),
    "links": (["--nodes", "3", "--links", "0-1"], "cx q[0],q[1];", "No links lead"),
    "link": (["--links", "0:1"], "cx q[0],q[1];", "--links"),
    "control": ([], "if (c[0]==1) x q[1];", "not measured"),
    "rate": (["--rate", "100", "--t2", "0.002"], "cx q[0],q[1];", "Pairs die faster"),
    "rate 0": (["--rate", "0"], "cx q[0],q[1];", "must be > 0"),
    "T2": (["--t2", "nan"], "cx q[0],q[1];", "must be > 0"),
    "nodes": (["--nodes", "0"], "cx q[0],q[1];", "1 to 12"),
    "effort": (["--effort", "0"], "cx q[0],q[1];", "effort"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2(case, tmp_path, capsys):
    words, body, message = BAD[case]
    path = tmp_path / "c.qasm"
    path.write_text(f"OPENQASM 2.0; qreg q[4]; creg c[4]; {body}")
    assert cli.main(["plan", str(path), *words]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def walk(rows: Table, engine: dense.Dense) -> dict[int, int]:
    """Walk a table on a state vector whose qubits are atoms; return the bits."""
    bits: dict[int, int] = {}
    at = 0
    while rows.rows[at].op != Code.END:
        op, a, b, c = rows.rows[at]
        at += 1
        angle = 2 * np.pi * c / TURN
        if op == Code.HERALD:
            engine.pair(a, b)
        elif op == Code.ROTATE:
            engine.u(a, u_matrix(angle, 0, 0) if b == 1 else u_matrix(0, 0, angle))
        elif op in (Code.CP, Code.ZZ):
            engine.diagonal(a, b, diagonal_phases(Op("cp" if op == Code.CP else "rzz", (0, 1), (angle,))))
        elif op == Code.MEASURE:
            bits[b] = engine.measure(a, keep=bool(c))
        elif op == Code.FRAME and bits[b]:
            (engine.flip if c == 0 else engine.sign)(a)
        elif op == Code.BRANCH and bits[a] != b:
            at = c
    return bits


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_rows_of_the_table_do_what_the_circuit_does(seed):
    body = (
        "h q; cx q[0],q[3]; cp(0.7) q[1],q[4]; rx(0.3) q[1]; ccx q[0],q[2],q[4]; "
        "rzz(1.1) q[1],q[3]; h q[4]; cx q[4],q[0];"
    )
    circuit = qasm.parse(f'OPENQASM 2.0; include "qelib1.inc"; qreg q[5]; {body}')
    program = partition(circuit, 2, ports=2, effort=0.001, seed=seed)
    rows = table(program, schedule(program, Times(), np.random.default_rng(seed)), Times())
    engine = dense.Dense(np.random.default_rng(seed))
    engine.add(*rows.start)
    walk(rows, engine)
    want, _ = dense.run(circuit, engine.rng)
    assert abs(np.vdot(engine.vector(list(rows.end)), want.vector(list(range(5))))) == pytest.approx(1, abs=1e-6)
    assert sum(row.op == Code.HERALD for row in rows.rows) == program.pairs > 0


def test_a_branch_skips_what_its_bit_forbids():
    circuit = qasm.parse('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; measure q[0] -> c[0]; '
                         "if (c[0]==1) x q[1]; measure q[1] -> c[1];")  # fmt: skip
    program = partition(circuit, 1)
    rows = table(program, schedule(program, Times(), np.random.default_rng(0)), Times())
    seen = set()
    for seed in range(12):
        engine = dense.Dense(np.random.default_rng(seed))
        engine.add(*rows.start)
        bits = walk(rows, engine)
        assert bits[0] == bits[1]
        seen.add(bits[0])
    assert seen == {0, 1}
