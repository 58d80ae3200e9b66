"""An instrument fails during a run: the run ends safe, says why, and mislabels no shot."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from lab_runs import Outcome, execute

from analysis.journal import fold
from analysis.load import Run

FILE = Path(__file__).parent / "unlocking_laser.py"
OPTIONS = ("--scenario", "bright", "n_pairs=36", "watch_locks=True", "randomise=False")
HELPLESS = "3 attempts to bring it back did not help"


def run(folder: Path, name: str) -> tuple[Outcome, Run, int]:
    """Run one of the classes; return its outcome, its file, and when the door was slammed (mu)."""
    shutil.copy(FILE, folder / FILE.name)
    outcome = execute(folder, str(folder / FILE.name), "-c", name, *OPTIONS)
    slammed = re.search(r"slammed at (\d+)", outcome.text)
    assert slammed is not None and outcome.run is not None, outcome.text
    return outcome, outcome.run, int(slammed[1])


def labels(found: Run) -> tuple[np.ndarray, np.ndarray]:
    return found.datasets["shots.t_herald_mu"], found.datasets["shots.valid"]


@pytest.mark.parametrize("name", ["DoorSlams", "WireLatches", pytest.param("MirrorTurns", marks=pytest.mark.slow)])
def test_what_comes_back_lets_the_run_go_on_and_the_time_in_between_is_vetoed(tmp_path: Path, name: str) -> None:
    outcome, found, slammed = run(tmp_path, name)
    assert outcome.code == 0 and "shutters open: 0 of" in outcome.text, outcome.text
    times, valid = labels(found)
    start, stop = found.datasets["link.veto_mu"][0]
    assert start < slammed < stop
    inside = (times > start) & (times < stop)
    assert inside.sum() == 8 and np.array_equal(valid == 0, inside)  # the shots since the check before
    assert valid[times > stop].all() and (times > stop).sum() > 8
    journal = next(tmp_path.glob("results/*/*/*.journal"))
    assert np.array_equal(fold(journal)["shots.valid"], valid)  # what `atomlink recover` would say
    if name == "WireLatches":
        assert bias_changes(outcome) == [("[20.0, 0.0, 20.0, 20.0]", 0), ("[20.0, 20.0, 20.0, 20.0]", 0)]


def bias_changes(outcome: Outcome) -> list[tuple[str, int]]:
    """Return the bias currents that were set, and how many shutters of the world were open then."""
    return [(bias, int(n)) for bias, n in re.findall(r"bias (.*), shutters open then: (\d+)", outcome.text)]


def error_line(text: str) -> str:
    """Return the one line that says why; where it stands among the others depends on how pipes are flushed."""
    (line,) = [line for line in text.splitlines() if line.startswith("atomlink: error")]
    return line


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("DiodeAges", f"alice_laser has tripped: it is not locked; {HELPLESS}", marks=pytest.mark.slow),
        pytest.param("ControllerDies", "alice_laser has tripped: it cannot be read", marks=pytest.mark.slow),
        ("WireStaysLatched", f"snspd_electronics has tripped: detector 1 has latched or has no bias; {HELPLESS}"),
        pytest.param("MirrorSticks", f"fibre_switch has tripped: port 1 leads to 30, must to 17; {HELPLESS}",
                     marks=pytest.mark.slow),
    ],
)
def test_what_stays_lost_ends_the_run_dark_with_its_data_and_one_line(tmp_path: Path, name: str, why: str) -> None:
    outcome, found, slammed = run(tmp_path, name)
    assert outcome.code == 2 and "shutters open: 0 of" in outcome.text, outcome.text
    assert re.match(f"atomlink: error: {why}", error_line(outcome.text))
    times, valid = labels(found)
    assert len(times) == 24 and found.datasets["run.complete"] == 0
    assert np.array_equal(valid == 0, times > found.datasets["link.veto_mu"][0][0]) and valid.sum() == 16
    assert times.max() < slammed
    assert {opened for _, opened in bias_changes(outcome)} <= {0}


def test_a_switch_that_sticks_ends_the_run_before_its_first_shot(tmp_path: Path) -> None:
    outcome, found, _ = run(tmp_path, "MirrorStuckAtStart")
    assert outcome.code == 2 and "shutters open: 0 of" in outcome.text, outcome.text
    assert re.match("atomlink: error: fibre_switch has tripped", error_line(outcome.text))
    assert len(found.datasets["shots.valid"]) == 0 and found.datasets["run.complete"] == 0
    (log,) = tmp_path.glob("results/*/*/*.instruments.jsonl")
    assert "port 1 was set to nothing but reads back 30" in log.read_text()  # what is in the way is let go first


def test_photons_counted_while_a_detector_had_latched_are_forgotten_and_counted_again(tmp_path: Path) -> None:
    shutil.copy(FILE.with_name("latching_hom.py"), tmp_path)
    one_delay = 'delays={"ty":"RangeScan","start":0.0,"stop":0.0,"npoints":1,"randomize":false,"seed":null}'
    counts = ("attempts=6000", "singles_attempts=2000", "dark_attempts=0")
    file = str(tmp_path / "latching_hom.py")
    outcome = execute(
        tmp_path, file, "-c", "LatchingHom", "--scenario", "bright", "watch_locks=True", one_delay, *counts
    )
    assert outcome.code == 0 and outcome.run is not None, outcome.text
    done = [int(n) for n in re.findall(r"\d+", outcome.text.rpartition("done at the checks:")[2].splitlines()[0])]
    # Before the first block, after the first and the second, which is spoiled; brought back, with the first alone left;
    # after the second again, the third, and the single clicks.
    assert len(done) == 7 and done[3] == 2000
    assert outcome.run.datasets["hom.attempts"].tolist() == [6000]


def test_the_idle_kernel_closes_every_shutter(tmp_path: Path) -> None:
    shutil.copy(FILE.with_name("left_open.py"), tmp_path)
    outcome = execute(tmp_path, str(tmp_path / "left_open.py"))
    assert outcome.code == 0 and re.search(r"shutters open before [1-9]\d*, after 0\n", outcome.text), outcome.text
