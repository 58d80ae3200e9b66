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
from experiments.calibration.nodes import NODES

NODE = next(node.name for node in NODES if node.experiment.endswith(":MicrowaveRabi"))
PULSE = "param.alice.t_mw_pi_s"
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
    command(lab, "params", "set", PULSE, "12", "us")
    first = command(lab, "calibrate", NODE, "--seed", "5")
    assert f"{NODE}: check, out of spec" in first and f"{NODE}: measure, in spec" in first
    (change,) = (row.changes[PULSE] for row in read(lab / "params.log") if PULSE in row.changes and row.rid >= 0)
    assert change.error is not None and abs(change.value - 10e-6) < 4 * change.error
    assert f"{NODE}: skip, in spec (fresh)" in command(lab, "calibrate", NODE)
    runs = [load(path) for path in sorted(lab.glob("results/*/*/*.h5"))]
    lines = main_report(runs[0].path)
    assert any(line.startswith("calibrations: ") for line in lines) and "calibrations: 0" in main_report(runs[1].path)


def test_an_unknown_target_is_one_line(lab: Path) -> None:
    text = command(lab, "calibrate", "no_such_node", code=2)
    assert "must be one of" in text and len(text.splitlines()) == 1


def test_a_dry_run_says_what_is_stale_and_touches_nothing(lab: Path) -> None:
    assert f"{NODE}: to be checked, never checked" in command(lab, "calibrate", "--dry-run")
    assert not (lab / "calibration.log").exists() and not (lab / "params.log").exists()
