"""Two-photon interference, end to end on a link of little loss; seeds fixed, 4 sigma."""

from pathlib import Path

import pytest
from lab_runs import Outcome, execute

from analysis import hom, schema

FILE = "photons/hom_interference.py"
SIGMAS = 4


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder: Path = tmp_path_factory.mktemp("lab")
    delays = 'delays={"ty": "ExplicitScan", "sequence": [-0.48e-6, -0.24e-6, 0.0, 0.24e-6, 0.48e-6]}'
    attempts = ("attempts=14000", "singles_attempts=1000", "dark_attempts=20000")
    return execute(folder, FILE, "--scenario", "bright", "--seed", "31", delays, *attempts)


def test_the_file_keeps_the_schema(scan: Outcome) -> None:
    assert scan.code == 0 and scan.run is not None, scan.text
    schema.check(scan.run.datasets)


def test_photons_interfere_where_they_overlap_and_only_there(scan: Outcome) -> None:
    assert scan.run is not None
    result = hom.analyse(scan.run)
    visibility = dict(zip((result.delay_s * 1e9).round().tolist(), result.raw.visibility, strict=True))
    assert visibility[0].sigmas_from(0.5) > SIGMAS
    assert abs(visibility[-480].value) < 0.3 and abs(visibility[480].value) < 0.3


def test_every_delay_has_the_attempts_that_were_asked_for(scan: Outcome) -> None:
    assert scan.run is not None
    assert scan.run.datasets["hom.attempts"].tolist() == [14000] * 5


def test_the_run_says_the_visibility_without_delay_and_files_it(scan: Outcome) -> None:
    assert scan.run is not None and "visibility_without_delay" in scan.text
    assert scan.run.datasets["fit.visibility_without_delay"] > 0.5


def test_one_delay_is_enough_for_a_belief_and_none_is_refused(tmp_path: Path) -> None:
    one = 'delays={"ty": "ExplicitScan", "sequence": [0.0]}'
    attempts = ("attempts=3000", "singles_attempts=300", "dark_attempts=2000", "apply=True")
    done = execute(tmp_path, FILE, "--scenario", "bright", "--seed", "31", one, *attempts)
    assert done.code == 0 and "param.midpoint.visibility = " in done.text, done.text
    none = execute(tmp_path, FILE, "--scenario", "bright", 'delays={"ty": "ExplicitScan", "sequence": []}')
    assert none.code == 2 and "no points" in none.text and "Traceback" not in none.text
