"""The table of benchmarks: what it prints of a row, of a peer that is missing, and of a row that failed."""

import math
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
TABLE = runpy.run_path(str(FOLDER / "__main__.py"))
Row, line = TABLE["Row"], TABLE["line"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(FOLDER), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("better", "ratio"), [("higher", 4.0), ("lower", 0.25)])
def test_a_ratio_above_one_means_that_ours_is_better(better: str, ratio: float) -> None:
    assert Row("work", "1/s", 8.0, "peer", 2.0, better, "").ratio() == ratio


def test_a_row_without_its_peer_says_why_and_shows_no_ratio() -> None:
    words = line(Row("work", "1/s", 8e6, "QuTiP is not installed", None, "higher", "1e6")).split()
    assert words == ["work", "8e+06", "1/s", "1e6", "QuTiP", "is", "not", "installed"]


@pytest.mark.timeout(400)
def test_every_row_of_the_table_can_be_measured() -> None:
    """The short form of the whole of `make bench`: each line ends in a number, a ratio where there is a peer."""
    done = run("--fast")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.splitlines()[1:]
    assert len(rows) == 14, done.stdout
    for row in rows:
        ours, theirs, ratio = float(row[68:79]), row[80:90].strip(), row[91:99].strip()
        assert math.isfinite(ours) and ours > 0
        assert bool(theirs) == bool(ratio)
    assert "FAILED" not in done.stdout
    for name in ("in process", "over loopback"):
        line = next(row for row in rows if row.startswith(f"instrument query {name}"))
        assert 0 < float(line[91:99]) < 3  # a twin costs something; only noise makes it faster than a constant


def test_an_unknown_row_is_answered_with_the_known_ones() -> None:
    done = run("links")
    assert done.returncode == 2
    assert f"there is no row 'links': it must be one of {', '.join(TABLE['ROWS'])}" in done.stderr


def test_a_row_that_cannot_run_is_told_in_the_table_and_by_the_exit_code() -> None:
    done = run("link", "--python", "link=/nowhere/python")
    assert done.returncode == 1
    assert "link: FAILED: /nowhere/python cannot be started (No such file or directory)" in done.stdout
