"""Modules stay short enough to read: 400 lines at most in the rooms that people write in."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("experiments", "analysis", "drivers", "atomlink", "sim/world")


def test_no_module_of_these_rooms_has_more_than_400_lines() -> None:
    sizes = {path: len(path.read_text().splitlines()) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 400} == {}
