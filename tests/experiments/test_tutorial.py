"""The tutorial notebook runs from top to bottom, in a fresh lab, and shows what it says."""

import os
import shutil
import sys
from pathlib import Path

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
    text = "\n".join(str(output.get("text", "")) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "alice.t_mw_pi_s" in text and "herald probability" in text and "MicrowaveRabi" in text
    pictures = [output for cell in notebook.cells for output in cell.get("outputs", ())
                if "image/svg+xml" in output.get("data", {})]  # fmt: skip
    assert len(pictures) == 2
