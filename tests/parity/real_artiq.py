"""Find and use the interpreter that has real ARTIQ: this one, or the one that ATOMLINK_ARTIQ_PYTHON names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("ATOMLINK_ARTIQ_PYTHON", sys.executable)
NO_ARTIQ = 3


def run(words: list[str], folder: Path, **environment: str) -> str:
    """Run a script with real ARTIQ in a lab's folder and return what it printed; skip the test where there is none."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")}
    done = subprocess.run(
        [PYTHON, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == NO_ARTIQ:
        pytest.skip(
            f"{PYTHON} has no real ARTIQ; install the extra `artiq`, or name an interpreter in ATOMLINK_ARTIQ_PYTHON"
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
