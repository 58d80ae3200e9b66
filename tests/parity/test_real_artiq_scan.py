"""Scans, the parameter store and a calibration pass in real ARTIQ, on the simulated core."""

import shutil
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT

from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import line_log
from drivers.parameter_log import read
from experiments.calibration.graph import Graph
from experiments.calibration.nodes import nodes_of

NODES = nodes_of(pair(("alice", "bob"), FOUR))

pytestmark = pytest.mark.timeout(300)
RUN = ["-m", "artiq.frontend.artiq_run"]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "device_db.py", tmp_path)
    return tmp_path


def test_a_scan_sets_a_belief_that_the_next_run_reads(lab: Path) -> None:
    """artiq_run: the fit of a Rabi oscillation goes into the history and into the dataset that the next run reads."""
    experiment = str(ROOT / "experiments" / "atoms" / "microwave_rabi.py")
    real_artiq.run([*RUN, experiment, "shots=12", "apply=true"], lab)
    (revision,) = read(lab / "params.log")
    name, change = next(iter(revision.changes.items()))
    assert change.previous == 1e-5 and change.error is not None and abs(change.value - 1e-5) < 4 * change.error
    real_artiq.run([*RUN, experiment, "shots=2", "apply=true", "repeats=1"], lab)
    for later in read(lab / "params.log")[1:]:
        assert later.changes.get(name) is None or later.changes[name].previous == change.value


def test_the_calibration_runs_its_experiments_as_children(lab: Path) -> None:
    node = Graph(NODES).order()[0].name
    file = ROOT / "experiments" / "calibration" / "calibrate.py"
    text = real_artiq.run([*RUN, str(file), f'target="{node}"'], lab)
    assert f"calibration.{node}.check.scan." in text
    assert line_log.read(lab / "calibration.log")[0]["node"] == node
