"""ARTIQ's own compiler accepts every kernel of experiments/, with every heralding backend.

Needs an interpreter with real ARTIQ: this one, or the one that ATOMLINK_ARTIQ_PYTHON names.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("compile_kernels.py")
NO_ARTIQ = 3


def experiments() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (file, class, arguments) of every experiment; one with a `backend` comes once per backend."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for path in sorted((ROOT / "experiments").rglob("*.py")):
        text = path.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and any(
                getattr(base, "id", "") == "EnvExperiment" for base in node.bases
            ):
                backends = ("entangler", "software") if '"backend"' in text else (None,)
                found += [(str(path.relative_to(ROOT)), node.name, (f'backend="{b}"',) if b else ()) for b in backends]
    return found


def test_the_main_experiments_are_found() -> None:
    classes = {name for _, name, _ in experiments()}
    assert {"RemoteEntanglement", "HomInterference", "LoadAndImage", "Pulse"} <= classes


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("file", "name", "arguments"), experiments(), ids=lambda value: str(value))
def test_artiqs_compiler_accepts_every_kernel(file: str, name: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    python = os.environ.get("ATOMLINK_ARTIQ_PYTHON", sys.executable)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, str(SCRIPT), file, name, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == NO_ARTIQ:
        pytest.skip(
            f"{python} has no real ARTIQ; install the extra `artiq`, or name an interpreter in ATOMLINK_ARTIQ_PYTHON"
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bytes" in done.stdout
