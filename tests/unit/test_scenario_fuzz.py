"""Scenario files that are spoiled at random: refused in one line, no plain exception, or a lab that can be built.

Each file is a shipped one with one line changed: a value of another kind, size or sign, a header that became another, a
line that is gone, a character too much. The seed is fixed; 950 files are the long form (slow).
"""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomlink.errors import ScenarioError
from sim.world import World
from sim.world.scenario import FOLDER, load_scenario, scenario_names

SEED = 12
LONGEST_S = 5.0  # of one file; 950 take half a minute
VALUES = (
    "true", '"x"', '""', '"a.b.c"', '"\\u0000"', "[]", "[[]]", '["a"]', "[1, 2, 3]", "[nan, nan, nan]",
    '[1.0, "a", true]', "[{}]", "{}", "{a = 1}", "-1", "0", "1", "2.5", "nan", "-inf", "1e308", "-1e308", "1e-308",
    "9" * 400, "9" * 5000, f"0x{'f' * 5000}", "1979-05-27", "07:32:00", "[" * 40 + "]" * 40, "[" * 3000 + "]" * 3000,
)  # fmt: skip
TABLES = ("nodes", "alice", "midpoint", "midpoint.detectors", "wiring", "drift", "nodes.port", "nodes.array", "extends")
JUNK = ('"', "]", "\x00", "=", ".x", "\\", "é", "#", "'''")


def spoiled(n: int) -> Iterator[str]:
    """Give n files, each a shipped one with one fault."""
    rng = random.Random(SEED)
    texts = [(FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines() for name in scenario_names()]
    for _ in range(n):
        lines = list(rng.choice(texts))
        k = rng.choice([k for k, line in enumerate(lines) if line and not line.startswith("#")])
        lines[k : k + 1] = _changed(rng, lines[k])
        yield "\n".join(lines)


def _changed(rng: random.Random, line: str) -> list[str]:
    field, header = re.match(r"(\w+) = ", line), re.match(r"\[+([\w.]+)\]+", line)
    choice = rng.random()
    if choice < 0.1:
        at = rng.randrange(len(line) + 1)
        return [line[:at] + rng.choice(JUNK) + line[at:]]
    if choice < 0.15:
        return []
    if choice < 0.2:
        return [line, f"{rng.choice(TABLES)} = {rng.choice(VALUES)}"]
    if header:
        other = rng.choice((header[1], rng.choice(TABLES)))
        return [rng.choice((f"[[{other}]]", f"[{other}]", f"[{other}.x]", f"{other} = {rng.choice(VALUES)}"))]
    return [f"{field[1]} = {rng.choice(VALUES)}"] if field else [line, f"x = {rng.choice(VALUES)}"]


def outcomes(tmp_path: Path, n: int) -> list[str]:
    """Load n spoiled files; return what was refused, "" where a lab came of it."""
    said, path = [], tmp_path / "spoiled.toml"
    for text in spoiled(n):
        path.write_text(text, encoding="utf-8")
        begun = time.monotonic()
        try:
            World(load_scenario(str(path)), 1)
            said.append("")
        except ScenarioError as error:
            said.append(str(error))
        assert time.monotonic() - begun < LONGEST_S, text
    return said


def check(said: list[str]) -> None:
    """Each refusal is one line of bearable length, and both refused and accepted files are there."""
    refused = [line for line in said if line]
    assert len(said) / 2 < len(refused) < len(said)
    assert [line for line in refused if "\n" in line or len(line) > 700] == []


def test_spoiled_scenario_files_are_refused_in_one_line(tmp_path: Path) -> None:
    check(outcomes(tmp_path, 150))


@pytest.mark.slow
def test_950_spoiled_scenario_files_are_refused_in_one_line(tmp_path: Path) -> None:
    check(outcomes(tmp_path, 950))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"[nodes.trap]\ndepth_k = {'9' * 400}\n", r"trap\.depth_k is an integer of 1329 bits, but must have 64"),
        (f"[nodes.trap]\ndepth_k = {'9' * 5000}\n", "is no valid TOML: Exceeds the limit"),
        ("a" + ".a" * 3000 + " = 1\n", "nested more than 20 deep"),
        ("alice = 3\n", r"alice is 3, but must be a table of fields: write \[alice\]"),
        ("[[nodes.port]]\n", r"alice\.port is \[\{\}\], but must be a table of fields"),
        ("midpoint.detectors.c_h = []\n", r"midpoint\.detectors\.c_h is \[\], but must be a table"),
        ("[drift]\nprocess = 1\n", r"drift is \{'process': 1\}, but must be a list of tables: write \[\[drift\]\]"),
        ("[[drift]]\nprocess = []\n", r"drift\.0\.process is \[\], but must be one of"),
        ('[[drift]]\nprocess = "linear"\npath = 3\n', r"drift\.0\.\w+ is .*must be|drift\.0\.\w+ is missing"),
        ("[wiring]\nentangler_outputs = [1]\n", r"entangler_outputs is \[1\], but must be a list of lists"),
        ("[alice]\nfibre = [1]\n", r"alice\.fibre is \[1\], but must be a table of fields"),
        ("species = [[1]]\n", r"species is \[\[1\]\], but must be text"),
        ("description = []\n", r"description is \[\], but must be text"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(("" if "description" in text else 'description = "t"\n') + 'extends = "default"\n' + text)
    with pytest.raises(ScenarioError, match=says):
        load_scenario(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "closed.toml"
    path.write_text("")

    def refuse(self: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ScenarioError, match=r"closed\.toml cannot be read: Permission denied"):
        load_scenario(str(path))
