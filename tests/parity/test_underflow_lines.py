"""A kernel that underflows with a preset's costs does so at one source line, whoever's drivers play it."""

import subprocess
import sys
from pathlib import Path

import pytest
from real_artiq import ROOT, run

from sim.target import COST_PRESETS

SCRIPT = Path(__file__).with_name("underflow_lines.py")


def pip_only(preset: str, folder: Path) -> str:
    words = [sys.executable, str(SCRIPT), preset]
    done = subprocess.run(words, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    return done.stdout


def test_free_events_underflow_only_where_the_cursor_is_behind_the_counter(tmp_path: Path) -> None:
    lines = dict(line.split() for line in pip_only("ideal", tmp_path).splitlines())
    assert [name for name, line in lines.items() if line != "none"] == ["after_a_reading"]


def test_costs_make_tight_kernels_underflow(tmp_path: Path) -> None:
    lines = dict(line.split() for line in pip_only("kasli_soc", tmp_path).splitlines())
    assert len(lines) == 5 and "none" not in lines.values()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("preset", COST_PRESETS)
def test_stock_drivers_underflow_at_the_same_line(preset: str, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    assert run([str(SCRIPT), preset], theirs, ATOMLINK_NEED_ARTIQ="1") == pip_only(preset, ours)
