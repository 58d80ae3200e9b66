"""Circuits on registers of several nodes, through kernels and bus: counts are what the lab believes of itself."""

from pathlib import Path

import numpy as np
import pytest
from lab_runs import atomlink, command
from other_labs import write

from analysis.experiments import distributed_circuit as twin
from analysis.load import Run, load
from analysis.result import Result

EXAMPLES = (("bell", 2, "register"), ("cnot", 2, "register"), ("ghz_4", 2, "register"), ("qft_4", 1, "register"),
            ("qft_4", 2, "register"), ("ghz_6", 3, "repeater"))  # fmt: skip


def circuit(folder: Path, scenario: str, *words: str) -> tuple[Run, Result]:
    """Run a circuit in a lab of its own; return its file and result."""
    write(folder, scenario)
    atomlink(folder, "run", "distributed_circuit", "--scenario", scenario, *words)
    (file,) = folder.glob("results/*/*/*-DistributedCircuit.h5")
    run = load(file)
    return run, twin.analyse(run)


def agrees(result: Result, sigmas: float) -> bool:
    """Say whether the outcomes that the circuit makes came as often as the beliefs say."""
    found = result.estimates
    return abs(found["p_allowed"].sigmas_from(found["p_allowed_predicted"].value)) < sigmas


def test_a_pair_teleports_a_cnot_between_two_nodes(tmp_path: Path) -> None:
    """Seed 3, 120 shots: 4 sigma from the prediction; 00 and 11 half each; far from what two nodes could guess."""
    run, result = circuit(tmp_path, "register", 'circuit="bell"', "n_nodes=2", "shots=60", "repeats=2", "--seed", "3")
    assert result.estimates["p_allowed"].n == 120 and agrees(result, 4), result.estimates
    assert result.estimates["p_allowed"].sigmas_from(0.5) > 6
    zeros, ones = (int(twin.outcomes(run).counts[k]) for k in (0, 3))
    assert abs(zeros - ones) < 4 * np.sqrt(zeros + ones)
    assert run.datasets["scan.outcomes"].shape == (2, 60) and int(run.datasets["scan.pairs"]) == 1
    assert twin.figure(run, result).axes[0].get_ylabel() == "share of shots"


def test_three_nodes_share_a_state_over_the_one_between_them(tmp_path: Path) -> None:
    """Seed 5, 24 shots of GHZ-6, two pairs each: 4 sigma."""
    run, result = circuit(tmp_path, "repeater", 'circuit="ghz_6"', "n_nodes=3", "shots=24", "repeats=1", "--seed", "5")
    assert agrees(result, 4) and result.estimates["p_allowed"].sigmas_from(2 / 64) > 4, result.estimates
    assert run.text("scan.registers") == "alice,charlie,bob" and int(run.datasets["scan.pairs"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "nodes", "scenario"), EXAMPLES)
def test_examples_count_what_is_predicted(tmp_path: Path, name: str, nodes: int, scenario: str) -> None:
    """400 shots each, fixed seeds: 3 sigma."""
    _, result = circuit(tmp_path, scenario, f'circuit="{name}"', f"n_nodes={nodes}", "shots=100", "repeats=4",
                        "--seed", str(20 + nodes))  # fmt: skip
    assert agrees(result, 3), result.estimates


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("n_nodes=3",), "n_nodes is 3, but this lab has no 3 nodes in a line of links"),
        (('circuit="nowhere.qasm"',), "'nowhere.qasm' is no OpenQASM file"),
        (("spacing=0.5e-3",), "spacing is 0.0005 s, but reading and recooling between two pulses take"),
        (("columns=1",), "argument `columns` is 1, must be in the range 2"),
    ],
)
def test_what_the_lab_cannot_run_is_refused_in_one_line(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    write(tmp_path, "register")
    code, said = command(tmp_path, "run", "distributed_circuit", *words)
    error = [line for line in said.splitlines() if line.startswith("atomlink: error")]
    assert code == 2 and len(error) == 1 and says in error[0], said
    assert not list(tmp_path.glob("results/*/*/*.h5"))


def test_a_lab_whose_pairs_never_come_is_told_in_one_line(tmp_path: Path) -> None:
    """No light reaches the detectors."""
    write(tmp_path, "register")
    (tmp_path / "dark.toml").write_text('extends = "register"\n[nodes.fibre]\ninsertion = 0.0\n')
    words = ('circuit="bell"', "max_cycles=1", "--scenario", "dark.toml")
    code, said = command(tmp_path, "run", "distributed_circuit", *words)
    assert code != 0 and "50 shots in succession had no pair within max_cycles" in said, said


def test_a_circuit_with_an_error_names_line_and_column(tmp_path: Path) -> None:
    write(tmp_path, "register")
    (tmp_path / "wrong.qasm").write_text("OPENQASM 2.0;\nqreg q[2];\nfoo q[0];\n")
    code, said = command(tmp_path, "run", "distributed_circuit", 'circuit="wrong.qasm"')
    assert code == 2 and "wrong.qasm:3:1: gate `foo` is not supported" in said, said
