"""ARTIQ's own compiler accepts every kernel of experiments/, with every heralding backend.

Needs an interpreter with real ARTIQ: this one, or the one that ATOMLINK_ARTIQ_PYTHON names.
"""

import ast
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT

SCRIPT = Path(__file__).with_name("compile_kernels.py")


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
    output = real_artiq.run([str(SCRIPT), file, name, *arguments], tmp_path)
    assert "bytes" in output
