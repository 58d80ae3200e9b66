"""The small experiments, end to end, on the default lab; seeds fixed."""

from pathlib import Path

import numpy as np
from lab_runs import execute

from analysis.experiments.load_and_image import analyse
from analysis.report import report


def test_pulse_runs_and_leaves_a_file(tmp_path: Path) -> None:
    done = execute(tmp_path, "setup/pulse.py", "duration=1e-6")
    assert done.code == 0 and done.run is not None, done.text


def test_a_pulse_longer_than_allowed_is_refused(tmp_path: Path) -> None:
    done = execute(tmp_path, "setup/pulse.py", "duration=2.0")
    assert done.code == 2 and done.run is None
    assert "duration" in done.text


def test_loading_and_images_are_those_of_a_tweezer(tmp_path: Path) -> None:
    """Enhanced loading fills 0.78 of the tries, an image loses 0.5 %, counts are far from the threshold. 4 sigma."""
    done = execute(tmp_path, "atoms/load_and_image.py", "--seed", "21", "n_shots=100")
    assert done.code == 0 and done.run is not None, done.text
    present, counts = done.run.datasets["images.present"], done.run.datasets["images.counts"]
    assert present.shape == (100, 3, 2)
    loaded = present[:, 1][present[:, 0] == 0].mean()
    assert 0.66 < loaded < 0.90
    survived = present[:, 2][present[:, 1] == 1].mean()
    assert survived > 0.95
    estimates = analyse(done.run).estimates
    assert estimates["alice.loaded"].n + estimates["bob.loaded"].n == (present[:, 0] == 0).sum()
    assert all(abs(estimates[f"{node}.loaded"].sigmas_from(0.78)) < 4 for node in ("alice", "bob"))
    assert "alice.survived: " in done.text and done.run.datasets["run.complete"] == 1
    assert "Loading and images" in report(done.run.path).read_text()
    bright, dark = counts[present == 1], counts[present == 0]
    assert np.median(bright) > 300 and np.median(dark) < 15
