"""Start-up: seconds from typing `atomlink run` of one kernel pulse to its results file, beside `artiq_run`.

    python benchmarks/bench_startup.py [/path/to/artiq_run]

The two take turns, so that a busy machine slows both; quote the ratio. `artiq_run` runs the same file against the same
simulated core, so it compiles nothing: what is compared is the start of the interpreter, the imports and the files.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPEATS = 9
PULSE = '''
from artiq.experiment import *


class Pulse(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("alice_camera_trigger")

    @kernel
    def run(self):
        self.core.reset()
        self.alice_camera_trigger.pulse(10*us)
'''


def seconds(command: list[str], folder: Path) -> float:
    """Return how long a command takes; what it prints is shown only if it fails."""
    start_s = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - start_s


def main() -> None:
    """Print the table."""
    artiq_run = sys.argv[1] if len(sys.argv) > 1 else shutil.which("artiq_run")
    commands = {"atomlink run": [sys.executable, "-m", "sim.cli", "run", "pulse.py"]}
    if artiq_run:
        commands["artiq_run"] = [artiq_run, "pulse.py"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "device_db.py", folder)
        (folder / "pulse.py").write_text(PULSE)
        times: dict[str, list[float]] = {key: [] for key in commands}
        for _ in range(REPEATS):
            for key, command in commands.items():
                times[key].append(seconds(command, folder))
    medians = {key: statistics.median(values) for key, values in times.items()}
    for key, values in times.items():
        print(f"{key:14} median {medians[key]:.3f} s, fastest {min(values):.3f} s")
    if artiq_run:
        print(f"ratio of medians {medians['atomlink run'] / medians['artiq_run']:.2f} (to reach: 1.2)")
    else:
        print("artiq_run is not installed: no peer in this run")


if __name__ == "__main__":
    main()
