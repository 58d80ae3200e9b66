"""The main experiment, end to end: `atomlink run`, results file, analysis. Seeds are fixed; 4 sigma unless said."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from lab_runs import Outcome, execute, finish, start

from analysis import link, schema
from analysis.journal import fold

FILE = "link/remote_entanglement.py"
SIGMAS = 4


@pytest.fixture(scope="module")
def bell(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """400 pairs in all settings on a link of little loss, entangler."""
    return execute(tmp_path_factory.mktemp("lab"), FILE, "--scenario", "bright", "--seed", "11", "n_pairs=400")


def test_the_file_keeps_the_schema(bell: Outcome) -> None:
    assert bell.code == 0, bell.text
    assert bell.run is not None
    schema.check(bell.run.datasets)
    assert bell.run.text("run.scenario") == "bright" and int(bell.run.datasets["run.seed"]) == 11
    assert int(bell.run.datasets["run.complete"]) == 1


def test_the_pairs_are_entangled(bell: Outcome) -> None:
    assert bell.run is not None
    total = link.analyse(bell.run).total
    assert total.raw.fidelity is not None
    assert total.raw.fidelity.sigmas_from(0.5) > SIGMAS


def test_every_herald_pattern_is_turned_to_psi_plus(bell: Outcome) -> None:
    """XX and YY of Psi- shots would be negative without feed-forward."""
    assert bell.run is not None
    result = link.analyse(bell.run)
    for state in result.states:
        for basis, sign in (("XX", 1), ("YY", 1), ("ZZ", -1)):
            assert sign * state.raw.correlators[basis].sigmas_from(0.0) > 2, (state.label, basis)


def test_settings_come_equally_often_and_calibration_shots_have_no_pushout(bell: Outcome) -> None:
    assert bell.run is not None
    data = bell.run.datasets
    taken = np.bincount(data["shots.setting"], minlength=7)
    assert taken.max() - taken.min() <= 1
    share = np.mean(data["shots.pushout"] == 0)
    assert abs(share - 0.05) < 0.03
    kept = data["shots.present"][data["shots.pushout"] == 0]
    assert kept.mean() > 0.8


def test_clicks_lie_in_the_cycle_that_heralded(bell: Outcome) -> None:
    assert bell.run is not None
    data = bell.run.datasets
    before = data["shots.t_herald_mu"][:, None] - data["shots.t_click_mu"]
    assert np.all((before > 0) & (before < 2000))


def test_the_journal_says_the_same_as_the_file(bell: Outcome) -> None:
    assert bell.run is not None
    folded = fold(bell.run.path.with_suffix(".journal"))
    for key, value in folded.items():
        np.testing.assert_array_equal(value, bell.run.datasets[key], err_msg=key)


def test_the_same_seed_gives_the_same_shots(tmp_path: Path) -> None:
    columns = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        done = execute(tmp_path / name, FILE, "--scenario", "bright", "--seed", "16", "n_pairs=20")
        assert done.run is not None, done.text
        columns.append({key: value for key, value in done.run.datasets.items() if key.startswith(("shots.", "link."))})
    for key, value in columns[0].items():
        np.testing.assert_array_equal(value, columns[1][key], err_msg=key)


def test_software_heralding_makes_the_same_pairs(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "bright", "--seed", "12", "n_pairs=120", 'backend="software"',
                   'settings="bell (XX YY ZZ)"')  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    schema.check(done.run.datasets)
    total = link.analyse(done.run).total
    assert total.raw.fidelity is not None and total.raw.fidelity.sigmas_from(0.5) > SIGMAS


def test_feed_forward_in_the_analysis_leaves_psi_minus_alone(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "bright", "--seed", "13", "n_pairs=150", 'feed_forward="analysis"',
                   'settings="XX"')  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    data = done.run.datasets
    usable = (data["shots.valid"] == 1) & (data["shots.pushout"] == 1)
    equal = data["shots.present"][:, 0] == data["shots.present"][:, 1]
    minus = np.isin(data["shots.pattern"], (0b1001, 0b0110))
    assert equal[usable & ~minus].mean() > 0.75
    assert equal[usable & minus].mean() < 0.25


def test_ctrl_c_ends_the_run_with_the_data_kept(tmp_path: Path) -> None:
    process = start(tmp_path, FILE, "--scenario", "bright", "--seed", "14", "n_pairs=1000000")
    while sum(path.stat().st_size for path in tmp_path.glob("results/*/*/*.journal")) < 10_000:  # some tens of shots
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    done = finish(process, tmp_path)
    assert done.code == 0 and done.run is not None, done.text
    assert "these are kept" in done.text
    assert len(done.run.datasets["shots.valid"]) > 0
    assert int(done.run.datasets["run.complete"]) == 0


def test_a_wait_too_short_for_the_kernel_is_refused_with_the_remedy(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "bright", "--seed", "15", "n_pairs=10", "wait=1e-6")
    assert done.code == 2, done.text
    assert "raise `wait`" in done.text
    assert done.run is not None
    assert not done.run.datasets["shots.valid"].any()
