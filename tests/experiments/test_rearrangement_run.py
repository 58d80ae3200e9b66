"""Rearrangement, end to end through the DDS cards and the camera; seed fixed, 4 sigma."""

from pathlib import Path

import numpy as np
import pytest
from lab_runs import Outcome, execute

from analysis import figures, schema
from analysis.experiments import rearrangement

FILE = "atoms/rearrangement.py"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder: Path = tmp_path_factory.mktemp("lab")
    size = ("rows=12", "columns=12", "target=6", "n_shots=2", "rounds=2")
    return execute(folder, FILE, "--scenario", "array", "--seed", "5", *size)


def test_the_file_keeps_the_schema(small: Outcome) -> None:
    assert small.code == 0 and small.run is not None, small.text
    schema.check(small.run.datasets)
    assert small.run.datasets["array.electrons"].shape == (2, 3, 12, 12)


def test_the_target_is_full_after_two_rounds_as_the_last_image_says(small: Outcome) -> None:
    """Loading fills 0.507; each of at most 2 moves per atom and round loses 0.6 %."""
    assert small.run is not None
    found = rearrangement.analyse(small.run).estimates
    assert abs(found["loaded"].sigmas_from(0.507)) < 4
    assert found["filled"].value > 0.95
    assert 0 <= found["lost"].value < 0.1


def test_the_report_shows_both_images(small: Outcome) -> None:
    assert small.run is not None
    svg = figures.as_svg(rearrangement.figure(small.run, rearrangement.analyse(small.run)))
    assert svg.count("<image") >= 2


def test_a_target_with_too_few_atoms_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "array", "rows=6", "columns=6", "target=6", "n_shots=1")
    assert done.code == 2
    assert "too few atoms" in done.text and "site_threshold" in done.text


def test_a_scenario_without_an_array_is_refused(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "default", "n_shots=1")
    assert done.code == 2 and "scenario `array`" in " ".join(done.text.split())


def test_sites_are_counted_from_the_images_alone(small: Outcome) -> None:
    """The estimates follow from electrons and threshold: lift the threshold, and nothing is loaded."""
    assert small.run is not None
    seen = small.run.datasets["array.electrons"][:, 0] > small.run.datasets["array.threshold"]
    assert rearrangement.analyse(small.run).estimates["loaded"].value == pytest.approx(np.mean(seen))
