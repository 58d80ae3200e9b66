"""kill -9 at any instant of a run that scans, fits and sets beliefs: nothing acknowledged is lost, all can be read."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab_runs import ROOT, atomlink

from analysis.journal import recover
from analysis.load import load
from drivers.parameter_log import read

# A microwave Rabi oscillation without the lab, fast and exact; it says "row K" when `Rows.add` has returned.
EXPERIMENT = '''
import math
import time
from artiq.experiment import *
from experiments.sequences.analyse_run import conclude
from experiments.sequences.rows import Rows
from experiments.sequences.scan import Axis, Scan


class MicrowaveRabi(EnvExperiment):
    def build(self):
        axis = Axis("t_mw", Scannable(RangeScan(0.0, 30*us, 16), unit="us"), "s")
        self.scan = Scan(self, (axis,), shares={"alice": ("bright_alice", "n"), "bob": ("bright_bob", "n")})

    def prepare(self):
        self.scan.prepare()
        self.count = 0

    def run(self):
        add = Rows.add
        def told(rows, row):
            add(rows, row)
            print("row", len(rows), flush=True)
        Rows.add = told
        self.scan.run(self.measure, lambda: None, lambda: None)

    def measure(self, point):
        time.sleep(0.02)
        k = round(500 + 500 * math.cos(math.pi * point.t_mw / 10e-6))
        return {"bright_alice": k, "bright_bob": k, "n": 1000}

    def analyze(self):
        conclude(self, self.scan)
        print("revision", flush=True)
'''
DEVICES = """
from sim.target import apply
device_db = {"core": {"type": "local", "module": "artiq.coredevice.core", "class": "Core",
                      "arguments": {"host": "192.0.2.1", "ref_period": 1e-9, "target": "cortexa9"}}}
apply(device_db)
"""
MAIN = (sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())")
ENVIRONMENT = {**{k: v for k, v in os.environ.items() if not k.startswith("ATOMLINK_")}, "PYTHONPATH": str(ROOT)}


def kill_after(folder: Path, wait_s: float) -> tuple[int, bool]:
    """Start the run, kill it `wait_s` after its first row; return the rows and whether it said that it was done."""
    words = [*MAIN, "run", "scan.py", "apply=True"]
    with subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        first = job.stdout.readline()
        assert first.startswith("row"), first
        time.sleep(wait_s)
        job.send_signal(signal.SIGKILL)
        said = [first, *job.stdout.read().splitlines()]
    rows = [int(line.split()[1]) for line in said if line.startswith("row") and len(line.split()) == 2]
    return max(rows), "revision" in [line.strip() for line in said]


def check(folder: Path, rows: int, acknowledged: bool) -> None:
    """Everything that was said to be kept is there, once; the store agrees with its history."""
    (recovery,) = recover(folder)
    run = load(recovery.journal.with_suffix(".h5"))
    assert len(run.datasets["scan.t_mw"]) >= rows
    revisions = read(folder / "params.log")
    assert len(revisions) >= int(acknowledged)
    believed = revisions[-1].changes["param.alice.t_mw_pi_s"].value if revisions else 1e-5
    assert f"= {believed:.8g} s" in atomlink(folder, "params", "get", "param.alice.t_mw_pi_s")
    atomlink(folder, "params", "set", "param.alice.t_mw_pi_s", "11", "us")
    assert "= 1.1e-05 s" in atomlink(folder, "params", "get", "param.alice.t_mw_pi_s")


def lab(folder: Path) -> Path:
    folder.mkdir()
    (folder / "device_db.py").write_text(DEVICES)
    (folder / "scan.py").write_text(EXPERIMENT)
    return folder


def test_a_run_killed_while_it_scans_keeps_its_rows(tmp_path: Path) -> None:
    folder = lab(tmp_path / "lab")
    check(folder, *kill_after(folder, 0.1))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_killed_at_any_of_fifty_instants_loses_nothing(tmp_path: Path) -> None:
    """Instants anywhere between the first row and the end of the command: scan, analysis, update, files."""
    rng = random.Random(11)
    start_s = time.monotonic()
    whole = [*MAIN, "run", "scan.py", "apply=True"]  # a cold start as that of those killed
    subprocess.run(whole, cwd=lab(tmp_path / "whole"), env=ENVIRONMENT, check=True, capture_output=True)
    whole_s = time.monotonic() - start_s
    acknowledged = 0
    for k in range(50):
        folder = lab(tmp_path / str(k))
        rows, revision = kill_after(folder, rng.uniform(0.0, whole_s))
        check(folder, rows, revision)
        acknowledged += revision
    assert 0 < acknowledged < 50  # instants on both sides of the update
