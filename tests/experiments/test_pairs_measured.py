"""Bell tomography and the lifetime of pairs, end to end at test size. Seeds fixed, 4 sigma."""

from pathlib import Path

import numpy as np
import pytest
from lab_runs import execute

from analysis import figures, schema
from analysis.experiments import bell_tomography, pair_lifetime


def test_tomography_finds_an_entangled_state_near_psi_plus(tmp_path: Path) -> None:
    """Truth: overlap 0.95 and few dark counts leave a fidelity between 0.9 and 1 and no phase worth speaking of."""
    done = execute(tmp_path, "link/bell_tomography.py", "--scenario", "bright", "--seed", "6", "n_pairs=135")
    assert done.code == 0 and done.run is not None, done.text
    schema.check(done.run.datasets)
    assert done.run.text("link.setting_names") == "XX,XY,XZ,YX,YY,YZ,ZX,ZY,ZZ"
    result = bell_tomography.analyse(done.run)
    assert result.estimates["fidelity"].sigmas_from(0.9) > -4 and result.estimates["fidelity"].sigmas_from(1.0) < 4
    assert result.estimates["concurrence"].sigmas_from(0.0) > 4
    assert abs(result.estimates["phase_rad"].sigmas_from(0.0)) < 4
    assert done.run.datasets["fit.fidelity"] == result.estimates["fidelity"].value
    assert figures.as_svg(bell_tomography.figure(done.run, result)).count("<path") > 20


def test_coherence_of_stored_pairs_decays_as_that_of_both_nodes_together(tmp_path: Path) -> None:
    """Truth: T2* of 300 us at each node, 212 us for the pair."""
    wait = 't_wait={"ty": "RangeScan", "start": 3e-5, "stop": 3.3e-4, "npoints": 4, "randomize": false, "seed": null}'
    done = execute(tmp_path, "link/pair_lifetime.py", "--scenario", "bright", "--seed", "8", wait, "shots=45")
    assert done.code == 0 and done.run is not None, done.text
    np.testing.assert_array_equal(done.run.datasets["scan.table"].sum(axis=1), 45)
    result = pair_lifetime.analyse(done.run)
    assert abs(result.estimates["pair.t2_star_s"].sigmas_from(300e-6 / np.sqrt(2))) < 4
    assert result.estimates["pair.t2_star_believed_s"].value == pytest.approx(300e-6 / np.sqrt(2))
    assert result.estimates["fidelity_first"].sigmas_from(0.5) > 4
    assert figures.as_svg(pair_lifetime.figure(done.run, result)).count("<path") > 20
