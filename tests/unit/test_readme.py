"""What the README tells people to type exists."""

import re
from pathlib import Path

import pytest

from sim import cli
from sim.command.lab import find_lab

ROOT = find_lab(Path(__file__).parent).root
TEXT = (ROOT / "README.md").read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.S))
ATOMLINK = re.findall(r"^atomlink (.*?)(?:\s+#.*)?$", SHELL, flags=re.M)


def test_the_readme_is_short() -> None:
    assert len(TEXT.splitlines()) <= 120


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"make ([a-z-]+)", SHELL + "".join(re.findall(r"`make [a-z-]+`", TEXT))))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("line", ATOMLINK)
def test_every_atomlink_line_parses(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *words = line.replace("'", "").split()
    try:
        code = cli.main([command, "--help"])
    except SystemExit as ended:  # argparse's way
        code = int(ended.code or 0)
    assert code == 0
    usage = capsys.readouterr().out
    for word in words:
        if word.startswith("--"):
            assert word in usage
        if word.endswith(".py"):
            assert (ROOT / word).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.\w+)?)`", TEXT))))
def test_every_path_that_is_named_exists(name: str) -> None:
    if not name.startswith("datasets/") and not name.startswith("archive/"):  # groups of a results file
        assert (ROOT / name).exists()


def test_every_scenario_of_the_changelog_is_shipped() -> None:
    line = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("- Scenarios"))
    for name in re.findall(r"`(\w+)`", line):
        assert (ROOT / "sim" / "scenarios" / f"{name}.toml").is_file()
