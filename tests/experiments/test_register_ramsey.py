"""Stored qubits of a register, one measured midway, end to end. Seed fixed, 4 sigma."""

import math
from pathlib import Path

import numpy as np
import pytest
from lab_runs import execute

from analysis import figures
from analysis.experiments.register_ramsey import NAME, analyse, figure, together

FILE = "atoms/register_ramsey.py"
T2_S, LIFETIME_S = 1.5, 1380.0  # of scenario `register`


def test_stored_qubits_keep_their_phase_as_t2_says_while_one_of_them_is_measured(tmp_path: Path) -> None:
    """1/2 + C/2 exp(-t/T2); C: 1 % of pumping and of what hidden atoms scatter, at most 4 %."""
    done = execute(tmp_path, FILE, "--seed", "5", "t_wait=0.05s,0.5s,1s,1.6s", "shots=24", "n_qubits=3")
    assert done.code == 0 and done.run is not None, done.text
    result, data = analyse(done.run), together(done.run)
    for t, share, error in zip(data.x, data.y, data.error, strict=True):
        low, high = (0.5 + 0.5 * c * math.exp(-t / T2_S - t / LIFETIME_S) for c in (0.96, 1.0))
        assert low - 4 * error < share < high + 4 * error, (t, share, error)
    assert abs(result.estimates["seen_midway"].sigmas_from(0.5)) < 4
    assert abs(result.estimates["t2_storage_s"].sigmas_from(T2_S)) < 4
    assert result.updates["param.alice.t2_storage_s"] == result.fits[NAME]["decay"]
    assert figures.as_svg(figure(done.run, result)).count("<path") > 20
    assert np.asarray(done.run.datasets["scan.kept"]).shape == (4, 3)


def test_any_node_of_the_cluster_has_a_register(tmp_path: Path) -> None:
    """Eight shots of three qubits, hardly aged: two thirds are right with less than 1e-6 of doubt."""
    done = execute(tmp_path, FILE, "--scenario", "cluster", "--seed", "5", 'node="cleo"', "t_wait=0.05s", "shots=8")
    assert done.code == 0 and done.run is not None, done.text
    assert together(done.run).y.min() > 2 / 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("t_wait=10ms:20ms:2",), "the measurement needs 0.0142193 s"),
        (("n_qubits=5",), "the gate zone of alice has 4 sites"),
        (("rows=3", "columns=3"), "but the array 3 x 3"),
        (("--scenario", "default"), "tweezer array, which this scenario does not have"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_moves(tmp_path: Path, words: tuple[str], says: str) -> None:
    done = execute(tmp_path, FILE, *words)
    assert done.code == 2 and says in done.text.splitlines()[-1] and done.run is None, done.text
