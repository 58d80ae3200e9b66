"""`atomlink calibrate` on the default lab, from a belief that is off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lab_runs import ROOT

from analysis.load import load
from analysis.report import main_report
from drivers.parameter_log import read

MAIN = (sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())")


def command(folder: Path, *words: str, code: int = 0) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")}
    done = subprocess.run([*MAIN, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "device_db.py").write_text((ROOT / "device_db.py").read_text())
    return tmp_path


@pytest.mark.slow
def test_a_belief_that_is_off_is_found_and_set_right(lab: Path) -> None:
    """A pi time 20 % off: the check sees it, the measurement sets it within 4 of its errors, then all is quiet."""
    command(lab, "params", "set", "param.alice.t_mw_pi_s", "12", "us")
    first = command(lab, "calibrate", "microwave_rabi", "--seed", "5")
    assert "check, out of spec" in first and "measure, in spec" in first
    change = read(lab / "params.log")[-1].changes["param.alice.t_mw_pi_s"]
    assert change.error is not None and abs(change.value - 10e-6) < 4 * change.error
    assert "skip, in spec (fresh)" in command(lab, "calibrate", "microwave_rabi")
    runs = [load(path) for path in sorted(lab.glob("results/*/*/*.h5"))]
    lines = main_report(runs[0].path)
    assert "checks: 1" in lines and "calibrations: 1" in lines


def test_an_unknown_target_is_one_line(lab: Path) -> None:
    text = command(lab, "calibrate", "microwave_raby", code=2)
    assert "must be one of" in text and len(text.splitlines()) == 1


def test_a_dry_run_says_what_is_stale_and_touches_nothing(lab: Path) -> None:
    assert "microwave_rabi: to be checked, never checked" in command(lab, "calibrate", "--dry-run")
    assert not (lab / "calibration.log").exists() and not (lab / "params.log").exists()
