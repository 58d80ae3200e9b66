"""Paths as a person wants to read them."""

from pathlib import Path


def short(path: Path) -> str:
    """Return a path as seen from the working directory where it is below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
