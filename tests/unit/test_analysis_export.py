"""Runs by number, tables for other tools, and the page of a day."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from synthetic_runs import PSI_MINUS_PATTERNS, PSI_PLUS_PATTERNS, link_datasets, werner

import analysis
from analysis import archive, export
from analysis.report_day import changes_of, report_day, runs_of
from atomlink.errors import DataError
from sim.cli import main
from sim.command.lab import newest_result

DAY = date(2026, 11, 22)
STATES = {p: werner("psi+", 0.9) for p in PSI_PLUS_PATTERNS} | {p: werner("psi-", 0.9) for p in PSI_MINUS_PATTERNS}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a results folder with two link runs and a calibration of one day."""
    folder = tmp_path / "results" / DAY.isoformat() / "10"
    folder.mkdir(parents=True)
    (tmp_path / "device_db.py").write_text("device_db = {}\n")
    for rid in (7, 9):
        data = link_datasets(np.random.default_rng(rid), STATES, 300, (0.96, 0.94), 0.1)
        write(folder, rid, "RemoteEntanglement", data)
    write(folder, 8, "Ramsey", {
        "fit.alice.f_larmor_hz": 1.41e6, "fit.alice.f_larmor_hz.error": 300.0, "run.complete": 1,
        "fit.previous.param.alice.f_larmor_hz": 1.40e6, "fit.applied.param.alice.f_larmor_hz": 1.41e6,
        "scan.t_wait": np.array([1e-6, 2e-6]),
        "scan.bright": np.array([[3], [4]]), "scan.shots": 10,
    })  # fmt: skip
    return tmp_path / "results"


def write(folder: Path, rid: int, name: str, datasets: dict) -> None:
    header = {"rid": rid, "class_name": name, "created": 1.7e9, "start_time": 1.7e9 + 100 * rid, "run_time": 1.7e9,
              "artiq_version": "8.9", "expid": {"class_name": name, "file": "x.py"}}  # fmt: skip
    archive.write_results(folder / f"{rid:09}-{name}.h5", header, datasets)


def test_a_run_is_found_by_its_number(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results / DAY.isoformat())  # below the folder `results`
    assert analysis.load(8).class_name == "Ramsey"
    with pytest.raises(DataError, match="Run 99 has no results file"):
        analysis.load(99)


def test_a_number_means_the_pass_and_not_one_of_its_parts(results: Path) -> None:
    folder = results / DAY.isoformat() / "10"
    for name in ("Calibrate", "Calibrate_rabi_check", "Calibrate_rabi_measure"):  # an early `recover` wrote the parts
        write(folder, 12, name, {"run.complete": 1})
    assert analysis.load(12, results).class_name == "Calibrate"
    assert newest_result(results).stem == "000000012-Calibrate"
    assert [run.class_name for run in runs_of(results, DAY)].count("Calibrate") == 1
    assert len(runs_of(results, DAY)) == 4


def test_csv_has_a_row_for_each_shot_and_a_column_for_each_number(results: Path, tmp_path: Path) -> None:
    run = analysis.load(7, results)
    (path,) = export.to_csv(run, tmp_path)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == len(run.datasets["shots.pattern"])
    column = header.index("counts[1]")
    assert [int(row[column]) for row in rows] == run.datasets["shots.counts"][:, 1].tolist()


def test_xarray_keeps_every_dataset_with_its_unit(results: Path) -> None:
    pytest.importorskip("xarray")
    run = analysis.load(7, results)
    made = export.to_xarray(run)
    assert len(made) == len(run.datasets)
    assert made.shots_pattern.dims == ("shots",) and made.attrs["rid"] == 7
    assert np.array_equal(made.shots_counts, run.datasets["shots.counts"])


def test_netcdf_reads_back_the_same(results: Path, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    path = export.to_netcdf(analysis.load(9, results), tmp_path)
    with xarray.open_dataset(path, engine="scipy") as read:
        assert np.array_equal(read.shots_t_herald_mu, analysis.load(9, results).datasets["shots.t_herald_mu"])


def test_the_command_exports_beside_the_results_and_leaves_the_lab_as_it_was(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results.parent)
    before = sorted(results.parent.iterdir())
    assert main(["export", "7"]) == 0
    assert capsys.readouterr().out == f"results/{DAY}/10/000000007-RemoteEntanglement-shots.csv\n"
    assert sorted(results.parent.iterdir()) == before


def test_a_run_without_a_table_is_refused(results: Path, tmp_path: Path) -> None:
    write(results / DAY.isoformat() / "10", 11, "Pulse", {"hello": 1})
    with pytest.raises(DataError, match="no table .* `atomlink export --netcdf`"):
        export.to_csv(analysis.load(11, results), tmp_path)


def test_the_day_lists_every_run_what_it_found_and_what_it_changed(results: Path) -> None:
    text = report_day(results, DAY).read_text(encoding="utf-8")
    for word in ("RemoteEntanglement", "Ramsey", "param.alice.f_larmor_hz", "1.4e+06</td><td>1.41e+06",
                 "Links over the day", "300 heralds; F 0."):  # fmt: skip
        assert word in text
    with pytest.raises(DataError, match="no run of 2026-11-21"):
        report_day(results, date(2026, 11, 21))


def test_the_day_knows_what_the_parts_of_a_calibration_pass_changed(results: Path) -> None:
    part, name = "calibration.alice_microwave.measure", "param.alice.t_mw_pi_s"
    write(results / DAY.isoformat() / "10", 12, "Calibrate", {
        f"{part}.fit.previous.{name}": 1e-5, f"{part}.fit.applied.{name}": 9e-6, f"{part}.{name}": 1e-5,
        "calibration.graph": "{}", "calibration.timeouts": "{}", "calibration.states": "{}",
        "calibration.visits": '[{"node": "a", "action": "measure", "verdict": "in spec", "detail": ""}]',
    })  # fmt: skip
    *_, run = runs_of(results, DAY)
    assert changes_of(run) == [("alice_microwave.measure", name, 1e-5, 9e-6, "")]
    text = report_day(results, DAY).read_text(encoding="utf-8")
    assert "calibrations 1" in text and "alice_microwave.measure" in text


def test_a_run_that_failed_before_it_could_say_so_does_not_count_as_complete(results: Path) -> None:
    write(results / DAY.isoformat() / "10", 13, "CzBell", {"scan.shots": 10})
    text = report_day(results, DAY).read_text(encoding="utf-8")
    assert "not said" in text and ">1 complete<" in text  # the Ramsey run says so


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "--day", "yesterday"], "must be a date as YYYY-MM-DD"),
        (["export", "123"], "Run 123 has no results file"),
        (["export", "8", "--to", "nowhere"], "must be a folder that exists"),
    ],
)
def test_bad_words_are_one_line(
    words: list[str], said: str, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results.parent)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
