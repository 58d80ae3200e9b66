"""Run an experiment of this repository with `atomlink run`, in a lab of its own, and read its results file.

Each command has a process of its own. It is forked from one that has imported what every run needs (two seconds of the
processor, which would be most of a test), so that what a test costs is its run. What is killed or interrupted starts
the real command: `start`. How long that takes is for tests/unit/test_cli_run.py and benchmarks/bench_startup.py.
"""

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from analysis.load import Run, load

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())", "run")
TIMEOUT_S = 110
WARM = multiprocessing.get_context("forkserver")
# The first makes `import artiq` work, which sim.runner needs.
WARM.set_forkserver_preload(
    ["sim.artiq_runtime.pytest_plugin", "sim.cli", "sim.runner", "sim.rtio.core", "sim.gateware", "sim.world", "h5py",
     "lmfit", "analysis.link", "analysis.twins", "experiments.sequences.atom_photon", "experiments.sequences.scan"]
)  # fmt: skip


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
    text, _ = process.communicate(timeout=TIMEOUT_S)
    return _outcome(process.returncode, text, folder)


def execute(folder: Path, file: str, *options: str) -> Outcome:
    """Run a file below experiments/ to its end."""
    return _outcome(*command(folder, "run", str(make_lab(folder, file)), *options), folder)


def command(folder: Path, *words: str) -> tuple[int, str]:
    """Give `atomlink` words in a folder; return its exit code and what it said, errors included."""
    with tempfile.NamedTemporaryFile("r") as said:
        process = WARM.Process(target=_command, args=(words, str(folder), said.name, dict(os.environ)))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"after {TIMEOUT_S} s, {words} had said:\n{said.read()}")
        return process.exitcode, said.read()


def atomlink(folder: Path, *words: str, code: int = 0) -> str:
    """Give `atomlink` words that must end with an exit code; return what it said."""
    ended, said = command(folder, *words)
    assert ended == code, said
    return said


def _command(words: tuple[str, ...], folder: str, said: str, environment: dict[str, str]) -> None:
    """Be `atomlink` in the process that was forked."""
    gc.freeze()  # collections need not look through what was imported
    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    from sim.cli import main

    sys.exit(main(words))


def _outcome(code: int, text: str, folder: Path) -> Outcome:
    files = sorted(folder.glob("results/*/*/*.h5"))
    return Outcome(code, text, load(files[-1]) if files else None)
