"""`atomlink run`: ARTIQ's rules for results files, run ids, failures and requests to stop."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from cli_lab import make_lab, result_files

from sim import cli


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_lab(tmp_path)
    monkeypatch.chdir(root)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    return root


def run(class_name: str, *words: str) -> int:
    return cli.main(["run", "experiments/some.py", "-c", class_name, *words])


def test_a_results_file_has_artiqs_layout(lab: Path) -> None:
    assert run("Count", "n=2", "--seed", "7") == 0
    (path,) = result_files(lab)
    assert path.name == "000000000-Count.h5"
    date, hour = path.parts[-3:-1]
    assert len(date) == 10 and len(hour) == 2
    with h5py.File(path) as file:
        assert set(file) == {"datasets", "archive", "artiq_version", "rid", "start_time", "run_time", "expid",
                             "digest"}  # fmt: skip
        assert list(file["datasets/counts"][()]) == [0, 1]
        assert file["rid"][()] == file["datasets/rid_seen"][()] == 0
        assert file["run_time"][()] >= file["start_time"][()] > 1.6e9
        expid = json.loads(file["expid"][()])
        assert expid["class_name"] == "Count" and expid["arguments"] == {"n": 2}
        core = json.loads(file.attrs["core"])
        assert core["class"] == "Core" and core["arguments"]["seed"] == 7


def test_run_ids_count_up_and_persisted_datasets_are_read_by_the_next_run(lab: Path) -> None:
    assert [run("Count"), run("Count")] == [0, 0]
    assert (lab / "last_rid.pyon").read_text() == "1\n"
    with h5py.File(result_files(lab)[1]) as file:
        assert file["datasets/param.last"][()] == 2
        assert file["archive/param.last"][()] == 1


def test_a_lost_rid_cache_is_counted_from_results_and_journals(lab: Path) -> None:
    assert run("Count") == 0
    result_files(lab)[0].with_name("000000041-Count.journal").write_bytes(b"")
    (lab / "last_rid.pyon").unlink()
    assert run("Count") == 0
    assert (lab / "last_rid.pyon").read_text() == "42\n"


@pytest.mark.parametrize(
    ("stage", "datasets"),
    [("build", None), ("prepare", None), ("run", {"kept"}), ("analyze", {"kept", "analyzed"})],
)
def test_a_failure_keeps_what_artiqs_worker_keeps(
    lab: Path, capsys: pytest.CaptureFixture[str], stage: str, datasets: set[str] | None
) -> None:
    assert run("Fail", f'stage="{stage}"') == 1
    error = capsys.readouterr().err
    assert f"ValueError: broken in {stage}" in error and "experiments/some.py:" in error and "Traceback" not in error
    files = result_files(lab)
    if datasets is None:
        assert files == [] and not (lab / "results").exists()
    else:
        with h5py.File(files[0]) as file:
            assert set(file["datasets"]) == datasets


def test_the_traceback_is_shown_when_asked_for(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("Fail", 'stage="run"', "--traceback") == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "environment", "scenario"),
    [
        ((), {}, "bright"),
        (("--scenario", "default"), {}, "default"),
        ((), {"ATOMLINK_SCENARIO": "default"}, "default"),
    ],
)
def test_an_experiment_runs_in_the_scenario_that_it_names_unless_another_is_chosen(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], environment: dict[str, str], scenario: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    assert run("InBright", *words) == 0
    text = capsys.readouterr().out
    assert f"it is {scenario}" in text
    said = [line for line in text.splitlines() if line.startswith("scenario bright: InBright needs it")]
    assert len(said) == (scenario == "bright") and dict(os.environ) == before


def test_a_scenario_that_does_not_exist_is_the_experiments_mistake(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = lab / "experiments" / "some.py"
    some.write_text(some.read_text().replace('simulated_in = "bright"', 'simulated_in = "nowhere"'))
    assert run("InBright") == 2
    assert "InBright.simulated_in is 'nowhere', must be one of array" in capsys.readouterr().err


@pytest.mark.usefixtures("lab")
def test_the_hardware_runs_an_experiment_whatever_scenario_it_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMLINK_TARGET", "hardware")
    assert run("InBright") == 0
    assert "it is None" in capsys.readouterr().out


def test_the_working_directory_and_the_environment_are_restored(lab: Path) -> None:
    before = dict(os.environ)
    assert run("Count", "--seed", "3", "--costs", "ideal") == 0
    assert Path.cwd() == lab and dict(os.environ) == before


def test_results_go_where_they_are_asked_to(lab: Path, tmp_path: Path) -> None:
    assert run("Count", "--results", str(tmp_path / "elsewhere")) == 0
    assert result_files(lab) == []
    assert len(list((tmp_path / "elsewhere").rglob("*.h5"))) == 1


def test_a_dataset_that_hdf5_cannot_hold_does_not_lose_the_others(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("Unwritable") == 2
    assert "dataset `bad`" in capsys.readouterr().err
    (path,) = result_files(lab)
    with h5py.File(path) as file:
        assert set(file["datasets"]) == {"good"}


def stopped(lab: Path, *words: str) -> tuple[int, str, dict[str, int]]:
    command = [sys.executable, "-m", "sim.cli", "run", "experiments/some.py", "-c", "Stop", *words]
    done = subprocess.run(command, cwd=lab, capture_output=True, text=True, timeout=60, check=False)
    (path,) = result_files(lab)
    with h5py.File(path) as file:
        return done.returncode, done.stderr, {key: int(value[()]) for key, value in file["datasets"].items()}


def test_one_ctrl_c_terminates_at_the_next_pause_and_keeps_the_data(lab: Path) -> None:
    code, error, datasets = stopped(lab)
    assert code == 130 and datasets == {"shot": 4}
    assert "what there was by then is in results/" in error


def test_an_experiment_that_checks_ends_cleanly_and_is_analyzed(lab: Path) -> None:
    code, _error, datasets = stopped(lab, "clean=true")
    assert code == 0 and datasets == {"shot": 4, "analyzed": 1}


def test_a_second_ctrl_c_interrupts_and_still_keeps_the_data(lab: Path) -> None:
    code, error, datasets = stopped(lab, "signals=2")
    assert code == 130 and datasets == {"shot": 4}
    assert "interrupted" in error and "Traceback" not in error


def test_a_small_run_imports_nothing_heavy(lab: Path) -> None:
    code = (
        "import sys; from sim import cli; "
        "assert cli.main(['run', 'experiments/some.py', '-c', 'Count']) == 0; "
        "print(sorted({'scipy', 'matplotlib', 'rich', 'lmfit', 'pyvisa', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=lab, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


ENDLESS = '''
import os
import signal
import threading

from artiq.experiment import *


class Endless(EnvExperiment):
    def build(self):
        self.setattr_device("core")

    def prepare(self):
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    @kernel
    def run(self):
        self.set_dataset("kept", 42)
        while True:
            delay(1*us)
'''


def test_one_ctrl_c_ends_a_kernel_that_never_checks_and_keeps_the_data(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "experiments" / "endless.py").write_text(ENDLESS)
    shutil.copy(Path(__file__).parents[2] / "device_db.py", lab / "device_db.py")
    monkeypatch.setattr("sim.command.scheduler._PATIENCE_S", 0.3)
    assert cli.main(["run", "experiments/endless.py"]) == 130
    assert "interrupted" in capsys.readouterr().err
    with h5py.File(result_files(lab)[0]) as file:
        assert file["datasets/kept"][()] == 42
