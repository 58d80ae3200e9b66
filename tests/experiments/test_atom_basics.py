"""Loading, imaging, lifetime, pumping and push-out end to end: they find what the scenario says. 4 sigma each."""

import math
from pathlib import Path

import pytest
from lab_runs import Outcome, execute

from analysis.load import Run
from analysis.report import main_report
from analysis.result import Result
from analysis.twins import twin_of
from sim.physics.loading import stationary_filling
from sim.world.scenario import NODES, load_scenario

TRUTH = load_scenario("default").node("alice")


def done(outcome: Outcome) -> tuple[Run, Result]:
    """Return run and result of one that went well; its report must come out."""
    assert outcome.code == 0 and outcome.run is not None, outcome.text
    twin = twin_of(outcome.run.class_name)
    assert twin is not None
    main_report(outcome.run.path)
    return outcome.run, twin.analyse(outcome.run)


def axis(name: str, start: float, stop: float, points: int) -> str:
    return (f'{name}={{"ty": "RangeScan", "start": {start}, "stop": {stop}, "npoints": {points}, "randomize": false, '
            '"seed": null}')  # fmt: skip


def test_trap_lifetime_is_that_of_the_vacuum(tmp_path: Path) -> None:
    _, result = done(execute(tmp_path, "atoms/trap_lifetime.py", "--seed", "3", "shots=40",
                             axis("t_hold", 0.0, 120.0, 5)))  # fmt: skip
    for node in NODES:
        assert abs(result.estimates[f"{node}.t_lifetime_s"].sigmas_from(TRUTH.atom.vacuum_lifetime_s)) < 4


def test_filling_is_that_of_pair_collisions(tmp_path: Path) -> None:
    _, result = done(execute(tmp_path, "atoms/tweezer_loading.py", "--seed", "3", "shots=80",
                             axis("t_loading", 0.002, 0.08, 9)))  # fmt: skip
    for node in NODES:
        assert abs(result.estimates[f"{node}.filling"].sigmas_from(stationary_filling(TRUTH.loading))) < 4


def test_histogram_finds_both_levels_and_sets_the_threshold_between_them(tmp_path: Path) -> None:
    run, result = done(execute(tmp_path, "atoms/imaging_histogram.py", "--seed", "3", "shots=100", "repeats=2",
                               "apply=True"))  # fmt: skip
    light, exposure_s = TRUTH.imaging, 20e-3
    for node in NODES:
        assert abs(result.estimates[f"{node}.dark"].sigmas_from(light.background_hz * exposure_s)) < 4
        bright = (light.background_hz + light.atom_hz) * exposure_s
        assert abs(result.estimates[f"{node}.bright"].sigmas_from(bright)) < 4
        assert 10 < run.datasets[f"fit.{node}.threshold"] < 100  # lost atoms: low, where dark counts end
        assert result.estimates[f"{node}.survival"].value > 0.95


def test_pumping_reaches_the_dark_state(tmp_path: Path) -> None:
    _, result = done(execute(tmp_path, "atoms/optical_pumping.py", "--seed", "3", "shots=40",
                             axis("t_pump", 1e-7, 5.1e-6, 8)))  # fmt: skip
    for node in NODES:
        assert abs(result.estimates[f"{node}.pumped"].sigmas_from(0.995)) < 4
        # Between the time constants of repump (0.17 us) and of both steps one after the other.
        assert 0.2e-6 < result.estimates[f"{node}.tau_s"].value < 1.2e-6


def test_pushout_removes_f2_and_spares_f1(tmp_path: Path) -> None:
    _, result = done(execute(tmp_path, "atoms/pushout_fidelity.py", "--seed", "3", "shots=40",
                             axis("t_pushout", 0.0, 5e-5, 6)))  # fmt: skip
    for node in NODES:
        assert abs(result.estimates[f"{node}.tau_s"].sigmas_from(1 / TRUTH.pushout.loss_hz)) < 4
        assert abs(result.estimates[f"{node}.f2_left"].sigmas_from(math.exp(-TRUTH.pushout.loss_hz * 50e-6))) < 4
        assert result.estimates[f"{node}.f1_kept"].value > 0.9


@pytest.mark.parametrize("name", ["trap_lifetime", "tweezer_loading", "optical_pumping", "pushout_fidelity"])
def test_a_scan_without_points_is_refused(tmp_path: Path, name: str) -> None:
    names = {"trap_lifetime": "t_hold", "tweezer_loading": "t_loading", "optical_pumping": "t_pump",
             "pushout_fidelity": "t_pushout"}  # fmt: skip
    outcome = execute(tmp_path, f"atoms/{name}.py", axis(names[name], 0.0, 1e-3, 0))
    assert outcome.code == 2 and "no points" in outcome.text
