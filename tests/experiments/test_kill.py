"""A killed run keeps every shot that reached the journal, and leaves no unreadable file."""

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from lab_runs import start

from analysis.journal import read_journal, recover
from analysis.load import load

FILE = "link/remote_entanglement.py"


def kill_after(folder: Path, seconds: float, seed: int, size: int = 0) -> None:
    """Start a run, wait for its journal (of at least so many bytes), kill it a while later."""
    before = set(folder.rglob("*.journal"))
    process = start(folder, FILE, "--scenario", "bright", "--seed", str(seed), "n_pairs=100000")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        new = set(folder.rglob("*.journal")) - before
        if any(path.stat().st_size >= size for path in new):
            break
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def check(folder: Path, kills: int) -> int:
    """Recover all; return how many shots there were."""
    rows = {path: read_journal(path)[1] for path in folder.rglob("*.journal")}
    assert len(rows) == kills
    recover(folder)
    shots = 0
    for path, kept in rows.items():
        run = load(path.with_suffix(".h5"))
        kept = [row for row in kept if "pattern" in row]
        found = run.datasets.get("shots.pattern", np.zeros(0))  # killed before its first shot: none
        assert [row["pattern"] for row in kept] == found.tolist()
        shots += len(kept)
    return shots


def test_one_killed_run_is_recovered(tmp_path: Path) -> None:
    kill_after(tmp_path, 0.1, 1, size=20_000)
    assert check(tmp_path, 1) > 20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_9_at_20_random_instants_loses_no_flushed_shot(tmp_path: Path) -> None:
    """Instants drawn with a fixed seed, from the birth of the journal on."""
    delays = random.Random(20)
    for k in range(20):
        kill_after(tmp_path, delays.uniform(0.0, 3.0), k)
    assert check(tmp_path, 20) > 500
