"""The microwave Rabi oscillation end to end, and with it scan, fit, parameter store, report and recovery."""

import signal
from pathlib import Path

import pytest
from lab_runs import execute, start

from analysis.experiments.microwave_rabi import analyse
from analysis.fits import FitRefused
from analysis.load import load
from analysis.report import main_report
from analysis.report_day import changes_of
from drivers.parameter_log import read

FILE = "atoms/microwave_rabi.py"
RANGE = 't_mw={"ty": "RangeScan", "start": 0.0, "stop": 3e-5, "npoints": %d, "randomize": false, "seed": null}'


def test_pi_times_are_those_of_the_lab_and_become_its_beliefs(tmp_path: Path) -> None:
    """Truth 10 us, contrast 1/2; 12 points of 16 shots, 4 sigma of the fit's own errors."""
    done = execute(tmp_path, FILE, "--seed", "4", "shots=16", "apply=True", RANGE % 12)
    assert done.code == 0 and done.run is not None, done.text
    result = analyse(done.run)
    for node in ("alice", "bob"):
        assert abs(result.estimates[f"{node}.t_mw_pi_s"].sigmas_from(10e-6)) < 4
        assert abs(result.estimates[f"{node}.contrast"].sigmas_from(0.5)) < 4
    (revision,) = read(tmp_path / "params.log")
    change = revision.changes["param.alice.t_mw_pi_s"]
    assert change.value == done.run.datasets["fit.alice.t_mw_pi_s"] and change.previous == 1e-5
    assert revision.rid == done.run.rid and "alice" in revision.fits
    assert done.run.belief("param.alice.t_mw_pi_s") == 1e-5  # the file says what the run believed
    told = {each.name: (each.before, each.after, each.unit) for each in changes_of(done.run)}
    assert told == {name: (each.previous, each.value, "s") for name, each in revision.changes.items()}
    lines = main_report(done.run.path)
    page = done.run.path.with_suffix(".html").read_text()
    assert any(line.startswith("alice.t_mw_pi_s:") for line in lines)
    assert "Believed in this run" in page and "data:image/svg+xml" in page


@pytest.mark.parametrize(
    ("argument", "said"),
    [(RANGE % 0, "no points"), ('t_mw={"ty": "ExplicitScan", "sequence": [1e-6, NaN]}', "t_mw")],
)
def test_a_scan_that_cannot_be_is_one_line_and_leaves_nothing(tmp_path: Path, argument: str, said: str) -> None:
    done = execute(tmp_path, FILE, argument)
    assert done.code == 2 and done.run is None and said in done.text
    assert not list(tmp_path.glob("results/**/*.journal"))


def test_a_killed_run_keeps_every_point(tmp_path: Path) -> None:
    """kill -9 after the first points: the journal gives them back, and their fit is refused for want of points."""
    from analysis.journal import recover

    process = start(tmp_path, FILE, "shots=2", RANGE % 400)
    journals: list[Path] = []
    while not journals or journals[0].stat().st_size < 900:  # header and some rows
        assert process.poll() is None, process.communicate()[0]
        journals = list(tmp_path.glob("results/*/*/*.journal"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (recovery,) = recover(tmp_path)
    assert recovery.action == "written" and recovery.shots >= 1
    run = load(recovery.journal.with_suffix(".h5"))
    assert len(run.datasets["scan.t_mw"]) == recovery.shots and run.datasets["run.complete"] == 0
    assert run.class_name == "MicrowaveRabi"
    if recovery.shots < 4:
        with pytest.raises(FitRefused):
            analyse(run)
    main_report(run.path)
    assert "data:image/svg+xml" in run.path.with_suffix(".html").read_text()  # the points are shown all the same
