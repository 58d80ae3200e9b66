"""g2(0) from counts made by hand."""

from pathlib import Path

import numpy as np
import pytest

from analysis.experiments.hbt_g2 import analyse
from analysis.load import Run


def run(dark: list[int]) -> Run:
    """Return 10,000 attempts for every pattern: 500 clicks of each detector, 2 coincidences of each pair."""
    patterns = np.zeros((1, 16))
    patterns[0, [1, 2, 4, 8]] = 500
    patterns[0, [3, 5, 6, 9, 10, 12]] = 2
    datasets = {"scan.patterns": patterns, "scan.attempts": np.full((1, 16), 10_000.0), "scan.node": "alice",
                "scan.dark": np.array([dark]), "scan.dark_gates": np.array([1000])}  # fmt: skip
    return Run(path=Path(), rid=1, class_name="HbtG2", start_time=0.0, run_time=0.0, artiq_version="", expid={},
               datasets=datasets, archive={}, metadata={})  # fmt: skip


def test_g2_is_the_ratio_to_independent_photons() -> None:
    assert analyse(run([1, 1, 1, 1])).estimates["g2"].value == pytest.approx(2 / (10_000 * 0.05**2))


def test_no_dark_click_leaves_an_error_of_what_half_a_click_would_do() -> None:
    none, one = (analyse(run(dark)).estimates["g2_of_dark_clicks"] for dark in ([0] * 4, [0, 1, 0, 0]))
    assert none.value == 0
    assert none.error == pytest.approx(one.value * np.sqrt(4 * 0.5), rel=0.01)
