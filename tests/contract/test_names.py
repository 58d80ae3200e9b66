"""No name of a lab's node stands in the code: roles do. Scenarios, examples in texts, and what reads old files may."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("drivers", "experiments", "analysis", "sim", "atomlink")
# The shipped labs are of somebody; files of before 2026-12 have these names in their keys.
MAY = ("sim/scenarios/__init__.py", "atomlink/old_names.py", "analysis/old_files.py")
NAME = re.compile(r"(?<![a-z])(alice|bob)(?![a-z])", re.IGNORECASE)


def names(tree: ast.AST) -> Iterator[str]:
    """Yield identifiers, and texts without a blank: keys, paths and names; what has blanks is written for a reader."""
    for node in ast.walk(tree):
        for found in (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "value")):
            if isinstance(found, str) and not re.search(r"\s", found):
                yield found


@pytest.mark.parametrize("room", ROOMS)
def test_no_identifier_and_no_key_names_a_node(room: str) -> None:
    files = [path for path in (ROOT / room).rglob("*.py") if str(path.relative_to(ROOT)) not in MAY]
    assert len(files) > 5
    found = [(str(path.relative_to(ROOT)), text)
             for path in files for text in names(ast.parse(path.read_text())) if NAME.search(text)]  # fmt: skip
    # An example in the description of a dataset, in its own quotes.
    assert [(path, text) for path, text in found if not re.fullmatch(r'"alice-bob@midpoint"', text)] == []
