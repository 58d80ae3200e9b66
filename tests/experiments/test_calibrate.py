"""`atomlink calibrate` on the default lab, from a belief that is off."""

from pathlib import Path

import pytest
from lab_runs import ROOT, atomlink

from analysis.load import load
from analysis.report import main_report
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers.parameter_log import read
from experiments.calibration.nodes import nodes_of

NODES = nodes_of(pair(("alice", "bob"), FOUR))

NODE = next(node.name for node in NODES if node.experiment.endswith(":MicrowaveRabi"))
PULSE = "param.alice.t_mw_pi_s"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "device_db.py").write_text((ROOT / "device_db.py").read_text())
    return tmp_path


@pytest.mark.slow
def test_a_belief_that_is_off_is_found_and_set_right(lab: Path) -> None:
    """A pi time 20 % off: the check sees it, the measurement sets it within 4 of its errors, then all is quiet."""
    atomlink(lab, "params", "set", PULSE, "12", "us")
    first = atomlink(lab, "calibrate", NODE, "--seed", "5")
    assert f"{NODE}: check, out of spec" in first and f"{NODE}: measure, in spec" in first
    (change,) = (row.changes[PULSE] for row in read(lab / "params.log") if PULSE in row.changes and row.rid >= 0)
    assert change.error is not None and abs(change.value - 10e-6) < 4 * change.error
    assert f"{NODE}: skip, in spec (fresh)" in atomlink(lab, "calibrate", NODE)
    runs = [load(path) for path in sorted(lab.glob("results/*/*/*.h5"))]
    lines = main_report(runs[0].path)
    assert any(line.startswith("calibrations: ") for line in lines) and "calibrations: 0" in main_report(runs[1].path)


def test_an_unknown_target_is_one_line(lab: Path) -> None:
    text = atomlink(lab, "calibrate", "no_such_node", code=2)
    assert "must be one of" in text and len(text.splitlines()) == 1


def test_a_dry_run_says_what_is_stale_and_touches_nothing(lab: Path) -> None:
    assert f"{NODE}: to be checked, never checked" in atomlink(lab, "calibrate", "--dry-run")
    assert not (lab / "calibration.log").exists() and not (lab / "params.log").exists()
    assert not (lab / "results").exists()
