"""kill -9 at any instant: what was acknowledged is kept, no file is unreadable, the beliefs are consistent.

The killed process says what it has acknowledged: a row when `Journal.append` has returned, a revision when
`ParameterStore.set_all` has.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lab_runs import ROOT, make_lab

from analysis.journal import read_journal
from analysis.load import load, whole_of
from drivers.parameter_log import read

TOLD = """
import sys
from sim.artiq_runtime import install
install()
from analysis.journal import Journal
from drivers.parameter_store import ParameterStore
append, set_all = Journal.append, ParameterStore.set_all
def told_append(self, row):
    append(self, row)
    self.told = getattr(self, "told", 0) + 1
    print(f"\\nrow {self.told} {self.path.name}", flush=True)
def told_set(self, *arguments, **options):
    made = set_all(self, *arguments, **options)
    if made is not None:
        print(f"\\nrevision {made.revision}", flush=True)
    return made
Journal.append, ParameterStore.set_all = told_append, told_set
from sim.cli import main
sys.exit(main())
"""
AFTER = """
import contextlib, io, json, sys
from sim.cli import main
said = {}
for words in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(words)
    assert code == 0, (words, code, out.getvalue())
    said[" ".join(words)] = out.getvalue()
print(json.dumps(said))
"""
ENVIRONMENT = {**{key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")},
               "PYTHONPATH": str(ROOT)}  # fmt: skip
RABI = 't_mw={"ty": "RangeScan", "start": 0.0, "stop": 3e-5, "npoints": 12, "randomize": false, "seed": null}'
THRESHOLD, PI_TIME = "param.alice.image_threshold", "param.alice.t_mw_pi_s"
OTHER = {THRESHOLD: "77", PI_TIME: "2e-05"}  # than anything that a run finds


@dataclass(frozen=True)
class Job:
    """What is run, and which belief it sets; `before`: commands that make the lab what it is to begin with."""

    file: str
    words: tuple[str, ...]
    belief: str = ""
    before: tuple[tuple[str, ...], ...] = ()


JOBS = {
    "scan": Job("atoms/microwave_rabi.py", ("run", "microwave_rabi.py", "shots=16", "apply=True", RABI),
                PI_TIME),
    "link": Job("link/remote_entanglement.py",
                ("run", "remote_entanglement.py", "--scenario", "bright", "n_pairs=300")),
    "calibrate": Job("atoms/microwave_rabi.py", ("calibrate", "imaging"), THRESHOLD,
                     (("params", "set", THRESHOLD, "250"),)),
}  # fmt: skip


@dataclass
class Told:
    """What a killed process had acknowledged."""

    rows: dict[str, int] = field(default_factory=dict)  # by journal
    revision: int = 0
    ended: bool = False

    def take(self, line: str) -> None:
        """Read a line of its output; one that the kill cut short is none."""
        match line.split():
            case ["row", n, name] if line.endswith(".journal\n"):
                self.rows[name] = int(n)
            case ["revision", n] if line.endswith("\n"):
                self.revision = int(n)


def killed(folder: Path, job: Job, seed: int, wait_s: float, from_row: int = 0) -> Told:
    """Start a job, kill it `wait_s` after its start, or after it has acknowledged so many rows."""
    told = Told()
    words = [sys.executable, "-u", "-c", TOLD, *job.words, "--seed", str(seed)]
    with subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:  # fmt: skip
        assert process.stdout is not None
        lines: Iterator[str] = iter(process.stdout)
        while sum(told.rows.values()) < from_row:
            told.take(next(lines))
        time.sleep(wait_s)
        told.ended = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        for line in lines:
            told.take(line)
    return told


def check(folder: Path, job: Job, told: Told) -> None:
    """Everything acknowledged is there, every file can be read, what the lab believes follows from its history."""
    said = commands(folder, ("recover",), ("params", "list"), ("params", "log"))
    assert "failed" not in said["recover"]
    journals = {path.name: path for path in folder.rglob("*.journal")}
    for name, n in told.rows.items():
        _, rows, _ = read_journal(journals[name])
        assert len(rows) >= n, (name, len(rows), n)
        kept = datasets_of(journals[name])
        shots = [row for row in rows if any("." not in key for key in row)]
        names = [f"{kind}.{key}" for key in (shots or [{}])[0] for kind in ("shots", "scan")]
        columns = [name for name in names if name in kept]
        assert all(len(kept[key]) == len(shots) for key in columns) and (columns or not shots)
    for path in folder.rglob("*.h5"):
        load(path)
    revisions = read(folder / "params.log")
    assert [row.revision for row in revisions] == list(range(1, len(revisions) + 1)) and len(revisions) >= told.revision
    if job.belief:
        believe(folder, job.belief, revisions)


def datasets_of(journal: Path) -> dict[str, Any]:
    """Return what a run has filed, or the part of a calibration pass: that is in the file of the whole."""
    own = journal.with_suffix(".h5")
    if own.is_file():
        return load(own).datasets
    whole = whole_of(journal)
    assert whole is not None, f"{journal.name}: in no results file"
    _, node, action = journal.stem.split("_")
    prefix = f"calibration.{node}.{action}."
    return {key.removeprefix(prefix): value for key, value in load(whole).datasets.items() if key.startswith(prefix)}


def believe(folder: Path, name: str, revisions: list) -> None:
    """What is believed is what the history said last, and can be set again."""
    changed = [row.changes[name].value for row in revisions if name in row.changes]
    get, set_it = ("params", "get", name), ("params", "set", name, OTHER[name])
    if changed:
        assert f"= {changed[-1]:.8g}" in commands(folder, get)[" ".join(get)].replace(",", "")
    assert f"= {OTHER[name]} " in commands(folder, set_it, get)[" ".join(get)]
    assert len(read(folder / "params.log")) == len(revisions) + 1


def commands(folder: Path, *words: tuple[str, ...]) -> dict[str, str]:
    """Give commands in a lab, all of which must succeed; return what each printed."""
    done = subprocess.run([sys.executable, "-c", AFTER, json.dumps(words)], cwd=folder, env=ENVIRONMENT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, str] = json.loads(done.stdout)
    return said


def lab(folder: Path, job: Job) -> Path:
    """Make a lab for a job."""
    folder.mkdir()
    make_lab(folder, job.file)
    if job.before:
        commands(folder, *job.before)
    return folder


def test_a_lab_without_results_has_nothing_to_recover(tmp_path: Path) -> None:
    """Killed before anything was written: not an error."""
    assert "0 journals" in commands(lab(tmp_path / "lab", JOBS["link"]), ("recover",))["recover"]


def test_one_killed_run_is_recovered(tmp_path: Path) -> None:
    job = JOBS["link"]
    told = killed(lab(tmp_path / "lab", job), job, 1, 0.05, from_row=25)
    assert sum(told.rows.values()) > 20 and not told.ended
    check(tmp_path / "lab", job, told)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", JOBS)
def test_kill_9_at_50_random_instants_loses_nothing_acknowledged(tmp_path: Path, name: str) -> None:
    """Instants drawn with a fixed seed, anywhere from the start of the command to its end."""
    job, delays = JOBS[name], random.Random(50)
    start_s = time.monotonic()
    whole = lab(tmp_path / "whole", job)
    subprocess.run([sys.executable, "-u", "-c", TOLD, *job.words], cwd=whole, env=ENVIRONMENT, check=True,
                   capture_output=True)  # fmt: skip
    whole_s = time.monotonic() - start_s
    found = []
    for k in range(50):
        folder = lab(tmp_path / str(k), job)
        told = killed(folder, job, k, delays.uniform(0.0, whole_s))
        check(folder, job, told)
        found.append(told)
        print(k, sum(told.rows.values()), told.revision, told.ended, flush=True)
    rows = [sum(told.rows.values()) for told in found]
    assert sum(n > 0 for n in rows) > 10  # instants in the middle of it
    assert not all(told.ended for told in found)
