"""Find and use the interpreter that has real ARTIQ: this one, or the one that ATOMLINK_ARTIQ_PYTHON names."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_NAMED = os.environ.get("ATOMLINK_ARTIQ_PYTHON", sys.executable)
PYTHON = os.path.abspath(shutil.which(_NAMED) or _NAMED)  # not resolved: an environment's python is a link


@functools.cache
def has(module: str) -> bool:
    """Say whether that interpreter has a module."""
    script = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return subprocess.run([PYTHON, "-c", script, module], cwd="/", capture_output=True, check=False).returncode == 0


def require(*modules: str) -> None:
    """Skip the test where there is no real ARTIQ, or no other module that it needs beside."""
    if not has("artiq"):
        pytest.skip(
            f"{PYTHON} has no real ARTIQ; install the extra `artiq`, or name an interpreter in ATOMLINK_ARTIQ_PYTHON"
        )
    for module in modules:
        if not has(module):
            pytest.skip(f"{PYTHON} has real ARTIQ but no {module}; install it there")


def run(words: list[str], folder: Path, **environment: str) -> str:
    """Run a script with real ARTIQ in a lab's folder and return what it printed; skip the test where there is none."""
    require()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")}
    done = subprocess.run(
        [PYTHON, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
