"""Ctrl-C again and again, SIGTERM and a closed terminal, beside runs that fail in the same hour: nothing is lost."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from lab_runs import COMMAND, make_lab

from analysis.journal import recover
from analysis.load import load

POINTS = 1_000_000
LOOKS, NEVER_LOOKS = "while not self.scheduler.check_termination(): time.sleep(0.01)", "while True: time.sleep(0.01)"
NO_JOURNAL = f"""
import time

import numpy as np
from artiq.experiment import *


class Measure(EnvExperiment):
    def build(self):
        self.setattr_device("scheduler")

    def run(self):
        self.set_dataset("counts", np.arange({POINTS}))
        print("measuring", flush=True)
        END
"""
BAD = """
from artiq.experiment import *


class Bad(EnvExperiment):
    def build(self):
        pass

    def prepare(self):
        raise ValueError("no")

    def run(self):
        pass
"""
SIGNALS = (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "PYTHONUNBUFFERED": "1"})  # fmt: skip


def storm(process: subprocess.Popen[str], chance: random.Random) -> None:
    """Send signals at random times until the process has ended."""
    for _ in range(400):
        if process.poll() is not None:
            return
        process.send_signal(chance.choice(SIGNALS))
        time.sleep(chance.choice((0.0, 0.001, 0.01, 0.05, 0.2)) * chance.random())


def fail_beside(folder: Path, ended: threading.Event) -> None:
    while not ended.is_set():
        failing = subprocess.run([*COMMAND, "bad.py"], cwd=folder, capture_output=True, text=True, check=False)
        assert failing.returncode == 1 and "ValueError: no" in failing.stderr


def weathered(folder: Path, seed: int, beside: bool) -> None:
    """One storm over a run without a journal; its dataset is in its results file."""
    chance = random.Random(seed)
    (folder / "measure.py").write_text(NO_JOURNAL.replace("END", LOOKS if seed % 2 else NEVER_LOOKS))
    before = set(folder.glob("results/*/*/*.h5"))
    ended = threading.Event()
    failing = threading.Thread(target=fail_beside, args=(folder, ended))
    with start(folder, "measure.py") as process:
        assert process.stdout is not None
        said = [next(process.stdout) for _ in range(1)]
        assert said == ["measuring\n"]
        if beside:
            failing.start()
            time.sleep(chance.random() * 1.5)
        storm(process, chance)
        rest, _ = process.communicate(timeout=60)
    ended.set()
    if beside:
        failing.join()
    files = set(folder.glob("results/*/*/*.h5")) - before
    assert len(files) == 1, rest
    run = load(files.pop())
    assert len(run.datasets["counts"]) == POINTS and run.integrity == "checked"
    # Negative: the storm went on when the run was over and its command about to end.
    assert process.returncode in (0, 129, 130, 143, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP), rest
    assert not list(folder.glob("results/*/*/.*"))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    make_lab(tmp_path, "link/remote_entanglement.py")
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def test_a_storm_of_signals_loses_nothing_beside_a_run_that_fails(lab: Path) -> None:
    weathered(lab, 0, beside=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_20_storms_of_signals_lose_nothing_beside_runs_that_fail(lab: Path) -> None:
    for seed in range(20):
        weathered(lab, seed, beside=True)
        print(seed, flush=True)


def stormed_link(folder: Path, seed: int) -> None:
    """One storm over a run with a journal: its results file has every shot of the journal."""
    chance = random.Random(seed)
    with start(folder, "remote_entanglement.py", "--scenario", "bright", "n_pairs=100000") as process:
        journals: list[Path] = []
        while not journals or journals[-1].stat().st_size < 5000:
            assert process.poll() is None
            time.sleep(0.02)
            journals = sorted(folder.glob("results/*/*/*.journal"))
        time.sleep(chance.random() * 0.3)
        storm(process, chance)
        rest, _ = process.communicate(timeout=60)
    (entry,) = recover(journals[-1])
    assert entry.action == "kept" and entry.torn_bytes == 0, (str(entry), rest)
    assert len(load(journals[-1].with_suffix(".h5")).datasets["shots.pattern"]) == entry.shots > 5


def test_a_storm_of_signals_leaves_a_link_run_every_shot_in_its_results_file(lab: Path) -> None:
    stormed_link(lab, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_20_storms_of_signals_leave_no_results_file_without_shots(lab: Path) -> None:
    for seed in range(20):
        stormed_link(lab, seed)
        print(seed, flush=True)


def test_a_closed_terminal_asks_the_run_to_end_and_nohup_keeps_it(lab: Path) -> None:
    (lab / "measure.py").write_text(NO_JOURNAL.replace("END", LOOKS))
    ignoring = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); from sim.cli import main; " \
               "sys.exit(main())"  # fmt: skip
    with start(lab, "measure.py") as asked:
        assert asked.stdout is not None and next(asked.stdout) == "measuring\n"
        asked.send_signal(signal.SIGHUP)
        assert "results:" in asked.communicate(timeout=60)[0]
    words = [sys.executable, "-u", "-c", ignoring, "run", "measure.py"]
    with subprocess.Popen(words, cwd=lab, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as kept:
        assert kept.stdout is not None and next(kept.stdout) == "measuring\n"
        kept.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            kept.wait(0.5)
        kept.send_signal(signal.SIGTERM)
        assert "results:" in kept.communicate(timeout=60)[0]
