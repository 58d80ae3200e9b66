"""`atomlink run` of experiments that submit others: one lab, one process, every run's own results file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from cli_lab import make_lab, result_files

from sim import cli

DEVICE_DB = '''
from sim.target import apply

device_db = {"core": {"type": "local", "module": "artiq.coredevice.core", "class": "Core",
                      "arguments": {"host": "192.0.2.1", "ref_period": 1e-9, "target": "cortexa9"}}}
apply(device_db)
'''
EXPERIMENTS = '''
import os
import signal
import time

from artiq.experiment import *


class Parent(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("child", StringValue("Child"))
        self.setattr_argument("priority", NumberValue(1, precision=0, step=1))

    def run(self):
        self.spend()
        file = self.scheduler.expid["file"]
        expid = {"file": file, "class_name": self.child, "arguments": {"number": 7}, "log_level": 30}
        rid = self.scheduler.submit(expid=expid, priority=self.priority)
        assert self.scheduler.check_pause() == (self.priority > 0 and self.child != "Nobody")
        self.scheduler.pause()
        self.set_dataset("child_rid", rid)
        self.set_dataset("told", self.get_dataset("told", -1, archive=False))
        self.set_dataset("here", os.getcwd())
        self.spend()
        self.set_dataset("t_mu", self.time())

    @kernel
    def spend(self):
        delay(1*s)
        self.core.wait_until_mu(now_mu())

    @kernel
    def time(self) -> TInt64:
        return self.core.get_rtio_counter_mu()


class Child(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("number", NumberValue(precision=0, step=1))

    def run(self):
        self.set_dataset("told", self.number, broadcast=True)
        self.set_dataset("priority", self.scheduler.priority)
        self.set_dataset("t_mu", self.time())

    @kernel
    def time(self) -> TInt64:
        return self.core.get_rtio_counter_mu()


class Broken(EnvExperiment):
    def build(self):
        self.setattr_argument("number", NumberValue(precision=0, step=1))

    def run(self):
        raise ValueError("the child is broken")


class Again(EnvExperiment):
    """Submit itself until it has run three times, each time a tenth of a second later."""

    def build(self):
        self.setattr_device("scheduler")

    def run(self):
        self.set_dataset("pipeline", self.scheduler.pipeline_name)
        if self.scheduler.rid < 2:
            self.scheduler.submit(due_date=time.time() + 0.1)


class Forever(EnvExperiment):
    def build(self):
        self.setattr_device("scheduler")

    def run(self):
        self.set_dataset("x", 1)
        self.scheduler.submit("calibration", due_date=time.time() + 3600)
        if self.scheduler.rid == 0:
            os.system(f"(sleep 1; kill -INT {os.getpid()}) &")
'''


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_lab(tmp_path)
    (root / "device_db.py").write_text(DEVICE_DB)
    (root / "experiments" / "some.py").write_text(EXPERIMENTS)
    monkeypatch.chdir(root)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    return root


def run(class_name: str, *words: str) -> int:
    return cli.main(["run", "experiments/some.py", "-c", class_name, "--costs", "ideal", *words])


def datasets(path: Path) -> dict[str, object]:
    with h5py.File(path) as file:
        return {key: value[()] for key, value in file["datasets"].items()}


def test_a_run_of_higher_priority_runs_within_the_pause_in_the_same_lab(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path.cwd()
    assert run("Parent") == 0
    parent, child = result_files(lab)
    assert [path.name for path in (parent, child)] == ["000000000-Parent.h5", "000000001-Child.h5"]
    seen = datasets(parent)
    assert (seen["child_rid"], seen["told"]) == (1, 7)
    assert seen["here"].decode() == str(parent.parent)  # type: ignore[attr-defined]
    assert datasets(child)["t_mu"] == 1_000_000_000, "the child's lab is not the parent's"
    assert seen["t_mu"] == 2_000_000_000
    with h5py.File(child) as file:
        expid = json.loads(file["expid"][()])
        assert expid["class_name"] == "Child" and expid["arguments"] == {"number": 7}
        assert file["rid"][()] == 1
    text = capsys.readouterr().out
    assert "results of run 1:" in text and "results: results/" in text
    assert Path.cwd() == before


def test_a_run_of_lower_priority_runs_afterwards(lab: Path) -> None:
    assert run("Parent", "priority=-1") == 0
    parent, child = result_files(lab)
    assert datasets(parent)["told"] == -1
    assert datasets(child)["t_mu"] == 2_000_000_000
    assert datasets(child)["priority"] == -1


@pytest.mark.parametrize(
    ("child", "message"),
    [("Broken", "the child is broken"), ("Nobody", "unknown class `Nobody`")],
)
def test_a_submitted_run_that_fails_is_named_and_the_parent_goes_on(
    lab: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, child: str, message: str
) -> None:
    assert run("Parent", f'child="{child}"') == 1
    assert message in caplog.text and f"run 1 ({child})" in caplog.text
    assert "run 1 failed" in capsys.readouterr().err
    assert datasets(result_files(lab)[0])["told"] == -1


def test_an_experiment_may_submit_itself_for_later(lab: Path) -> None:
    assert run("Again") == 0
    files = result_files(lab)
    assert [path.name for path in files] == [f"{rid:09}-Again.h5" for rid in range(3)]
    times = []
    for path in files:
        with h5py.File(path) as file:
            times.append(file["run_time"][()])
    assert times[1] - times[0] >= 0.1 and times[2] - times[1] >= 0.1


def test_ctrl_c_ends_the_waiting_for_a_due_date(lab: Path) -> None:
    command = [sys.executable, "-m", "sim.cli", "run", "experiments/some.py", "-c", "Forever"]
    done = subprocess.run(command, cwd=lab, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert "run 1 was not started" in done.stderr and "Traceback" not in done.stderr
    assert len(result_files(lab)) == 1
    assert os.listdir(lab / "results")
