"""docs/your-lab.md, step by step: its tables go into device_db.py, its files are written, its commands are given."""

import ast
import re
import shlex
import shutil
from pathlib import Path

import pytest
from lab_runs import command
from other_labs import ROOT, with_tables

PAGE = (ROOT / "docs" / "your-lab.md").read_text()
REFUSED = "# refused"


@pytest.mark.timeout(300)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    shutil.copy(ROOT / "device_db.py", tmp_path)
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    ran, refused = 0, 0
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S):
        if kind == "python":
            tables = {statement.targets[0].id: ast.literal_eval(statement.value)  # type: ignore[attr-defined]
                      for statement in ast.parse(block).body}  # fmt: skip
            file = tmp_path / "device_db.py"
            file.write_text(with_tables(file.read_text(), tables))
        elif kind == "toml":
            (tmp_path / re.match(r"# (\w+\.toml)\n", block)[1]).write_text(block)  # type: ignore[index]
        elif kind == "sh":
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                assert words.pop(0) == "atomlink"
                code, said = command(tmp_path, *words)
                assert code == (2 if line.endswith(REFUSED) else 0), f"{line}\n{said}"
                ran, refused = ran + 1, refused + line.endswith(REFUSED)
    assert (ran, refused) == (14, 2)
    assert (tmp_path / "lab.png").stat().st_size > 10_000


def test_lines_of_the_page_can_be_read() -> None:
    assert [line for line in PAGE.splitlines() if len(line) > 120] == []
