"""The budget of a run in a lab whose beliefs are right."""

from pathlib import Path

import pytest
from lab_runs import execute

from analysis.budget import budget
from analysis.budget_time import time_budget
from analysis.link import analyse


@pytest.mark.slow
def test_right_beliefs_predict_fidelity_and_time_of_the_default_lab(tmp_path: Path) -> None:
    """Fidelity: 3 sigma of 4000 pairs (0.004 each); time: a tenth, for slack and lost atoms are not predicted."""
    bell = 'settings="bell (XX YY ZZ)"'
    done = execute(tmp_path, "link/remote_entanglement.py", "--seed", "21", bell, "n_pairs=4000")
    assert done.code == 0 and done.run is not None, done.text
    result = analyse(done.run)
    found = budget(done.run, result)
    assert found is not None and abs(found.sigmas) < 3
    assert done.run.datasets["link.t_analysis_s"] > done.run.datasets["link.wait_s"]
    for part in time_budget(done.run, result, found):
        assert part.predicted is not None and part.measured is not None
        assert part.predicted == pytest.approx(part.measured.value, rel=0.1)
