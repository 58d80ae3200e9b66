"""Import what runs, fits and figures need before the first test, so that no test's time has it."""

import importlib
from pathlib import Path

import pytest
from lab_runs import command


def pytest_collection_finish(session: pytest.Session) -> None:
    """Import it here and in the process from which `lab_runs.command` forks."""
    here = Path(__file__).parent
    if session.config.option.collectonly or all(item.path.parent != here for item in session.items):
        return
    code, said = command(Path(), "--version")
    assert code == 0, said
    for name in ("lmfit", "matplotlib.figure", "matplotlib.backends.backend_svg"):
        importlib.import_module(name)
