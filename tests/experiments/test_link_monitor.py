"""The link monitor end to end: looks in lab time, an alarm, a calibration that has its turn. Seeds fixed, 4 sigma."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lab_runs import COMMAND, execute, make_lab

from analysis import figures
from analysis.experiments.link_monitor import analyse, figure
from analysis.load import load
from drivers.parameter_log import read

FILE = "link/link_monitor.py"
LOOKS = ("--scenario", "bright", "--seed", "3", "repeats=4", "shots=20", "period=60")


def test_looks_come_at_their_times_and_say_what_the_link_does(tmp_path: Path) -> None:
    """Truth: 0.056 heralds per attempt, less where an atom was lost (up to 1000 attempts in vain); F above a half."""
    done = execute(tmp_path, FILE, *LOOKS)
    assert done.code == 0 and done.run is not None, done.text
    data = done.run.datasets
    np.testing.assert_allclose(data["scan.t_s"], [0, 60, 120, 180], atol=0.05)
    result = analyse(done.run)
    heralds, attempts = data["scan.heralds"].sum(), data["scan.attempts"].sum()
    assert 0.01 < heralds / attempts < 0.056 * (1 + 4 / np.sqrt(heralds))
    cycle_s = data["scan.t_attempting_s"].sum() / attempts
    assert result.estimates["rate_hz"].value == pytest.approx(heralds / attempts / cycle_s) and 5e-6 < cycle_s < 7e-6
    assert result.estimates["fidelity"].sigmas_from(0.5) > 4
    assert result.estimates["looks"].value == 4 and result.estimates["alarms_rate"].value == 0
    assert set(result.updates) == {"param.midpoint.reference_rate_hz", "param.midpoint.reference_fidelity"}
    assert figures.as_svg(figure(done.run, result)).count("<path") > 20


def test_a_fallen_link_has_a_calibration_before_the_next_look_and_its_beliefs_are_used(tmp_path: Path) -> None:
    """The reference is out of reach: every look is an alarm, as soon as its evidence exceeds ln 4."""
    words = [*COMMAND[:-1], "params", "set", "param.midpoint.reference_rate_hz", "1e5", "Hz", *LOOKS[:2]]
    make_lab(tmp_path, FILE)
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    said = monitored(tmp_path, "Monitored", "shots=20", "looks_to_false_alarm=2", 'target_rate="microwave"')
    assert said.index("Look 1") < said.index("rechecking microwave with priority 1") < said.index("Look 2")
    run = load(next(tmp_path.glob("results/*/*/*-Monitored.h5")))
    np.testing.assert_array_equal(run.datasets["scan.calibrated"], [1, 1])
    assert run.belief("param.bob.t_mw_pi_s") == 10.1e-6  # what the second look believed
    revisions = read(tmp_path / "params.bright.log")
    assert revisions[-1].rid > run.rid
    assert analyse(run).updates == {}  # not of one link
    left_alone = {**run.datasets, "scan.calibrated": np.zeros(2)}
    assert len(analyse(replace(run, datasets=left_alone)).updates) == 2  # alarms against what was believed before


def test_a_time_out_that_has_passed_is_acted_on_once_without_an_alarm(tmp_path: Path) -> None:
    make_lab(tmp_path, FILE)
    said = monitored(tmp_path, "Neglected", "shots=5", "period=60")
    assert said.index("Look 1") < said.index("keeping up fibre_delay with priority 1") < said.index("Look 2")
    data = load(next(tmp_path.glob("results/*/*/*-Neglected.h5"))).datasets
    np.testing.assert_array_equal(data["scan.kept_up"], [1, 0])
    np.testing.assert_array_equal(data["scan.calibrated"], [0, 0])


def monitored(folder: Path, class_name: str, *words: str) -> str:
    """Take two looks with a monitor of monitored_link.py; return what was said."""
    source = Path(__file__).with_name("monitored_link.py")
    shutil.copy(source, folder / source.name)
    done = execute(folder, str(folder / source.name), "-c", class_name, *LOOKS[:4], "repeats=2", *words)
    assert done.code == 0, done.text
    return done.text
