"""Run an experiment of this repository with `atomlink run`, in a lab of its own, and read its results file."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from analysis.load import Run, load

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())", "run")


@dataclass(frozen=True)
class Outcome:
    """What one run printed, how it ended, and its results file."""

    code: int
    text: str
    run: Run | None


def make_lab(folder: Path, file: str) -> Path:
    """Make a lab with this repository's device_db.py, one experiment, and its own datasets and results.

    Returns the experiment's file; `file` is a path below experiments/, or one that is in the lab already.
    """
    shutil.copy(ROOT / "device_db.py", folder / "device_db.py")
    source = ROOT / "experiments" / file
    return source if source.parent == folder else Path(shutil.copy(source, folder))


def start(folder: Path, file: str, *options: str) -> subprocess.Popen[str]:
    """Start `atomlink run` of a file below experiments/."""
    words = [*COMMAND, str(make_lab(folder, file)), *options]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str], folder: Path) -> Outcome:
    """Wait for a run and read what it left."""
    text, _ = process.communicate(timeout=110)
    files = sorted(folder.glob("results/*/*/*.h5"))
    return Outcome(process.returncode, text, load(files[-1]) if files else None)


def execute(folder: Path, file: str, *options: str) -> Outcome:
    """Run a file below experiments/ to its end."""
    return finish(start(folder, file, *options), folder)
