"""The sweep itself: its lab gives what a run gives, and its verdicts tell good errors from wrong ones. Seeds fixed."""

from typing import Any

import numpy as np
import pytest
from artiq.language.scan import RangeScan
from covered import coverage
from rows import ROWS
from sweep import kept, merged
from swept_lab import SweptLab, from_json, to_json

from analysis.twins import twin_of
from experiments.calibration.subexperiment import load_class

SMALL = {"shots": 3, "t_mw": RangeScan(0.0, 30e-6, 5)}
RABI = "atoms.microwave_rabi:MicrowaveRabi"


def columns(run: Any) -> dict[str, Any]:
    return {key: np.asarray(value).tolist() for key, value in run.datasets.items() if key.startswith("scan.")}


def test_a_seed_gives_the_same_whichever_came_before() -> None:
    """Compiled kernels above a new world are as good as a new lab, and seeds differ."""
    lab = SweptLab(RABI, SMALL)
    runs = [lab.run(seed) for seed in (1, 2, 1)]
    assert columns(runs[0]) == columns(runs[2]) != columns(runs[1])
    assert columns(from_json(to_json(runs[0]))) == columns(runs[0])
    both = merged(runs[:2])
    assert both.datasets["scan.n"].sum() == 2 * 5 * 3


@pytest.mark.parametrize(("claimed", "verdict"), [(1.0, "good"), (0.5, "bad"), (2.0, "bad")])
def test_errors_that_are_half_or_twice_too_large_are_seen(claimed: float, verdict: str) -> None:
    """400 normal estimates of error 1: covered 68 %, 38 %, 95 %."""
    rng = np.random.default_rng(1)
    found = coverage([(float(value), claimed, 0.0) for value in rng.normal(size=400)])
    assert found.verdict() == verdict and abs(found.rms - 1 / claimed) < 0.2 / claimed


def test_few_runs_leave_it_open() -> None:
    assert coverage([(0.0, 1.0, 0.0)] * 4 + [None]).verdict() == "open"
    assert coverage([None]).verdict() == "bad"


def test_data_of_another_row_are_not_taken_for_this_one(tmp_path: Any) -> None:
    path = tmp_path / "row.jsonl"
    kept(path, ROWS[0])
    with path.open("a") as file:
        file.write("1\t{}\n2\t{\"torn")
    assert list(kept(path, ROWS[0])) == [1]
    assert kept(path, ROWS[1]) == {}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_names_an_experiment_with_a_twin(row: Any) -> None:
    assert row.analyse is not None or twin_of(load_class(row.experiment).__name__) is not None
