"""The tutorial notebook runs from top to bottom, in a fresh lab, and shows what it says."""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    shutil.copy(ROOT / "device_db.py", tmp_path)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=110, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    text = "".join(_texts(notebook))
    assert "alice.t_mw_pi_s" in text and "herald probability" in text and "MicrowaveRabi" in text
    by_command, by_hand = (re.search(pattern, text) for pattern in (r"Bell-state fidelity: (\S+)", r"ZZ\)/4 = (\S+)"))
    assert by_command is not None and by_hand is not None
    assert float(by_command[1]) == pytest.approx(float(by_hand[1]), abs=5e-4)  # printed with other digits
    assert len(_pictures(notebook)) == 2


def test_the_tutorial_can_be_read_without_being_run() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    said = [cell for cell in notebook.cells if cell.cell_type == "code"][1:]  # the first one says nothing
    assert all(cell.outputs for cell in said) and len(_pictures(notebook)) == 2
    text = "".join(_texts(notebook))
    assert "results/" in text and "Traceback" not in text


def _texts(notebook: Any) -> list[str]:
    return [str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", ())]


def _pictures(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())
            if "image/svg+xml" in output.get("data", {})]  # fmt: skip
