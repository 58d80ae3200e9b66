"""Scenarios: the shipped ones are complete and sourced, broken ones are refused with path, value and range."""

import re
from pathlib import Path

import pytest

from atomlink.errors import ScenarioError
from sim.world.scenario import FOLDER, load_scenario, scenario_names

BASE = 'description = "test"\nextends = "default"\n'


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads(name: str) -> None:
    assert load_scenario(name).description


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_number_of_a_scenario_names_its_source(path: Path) -> None:
    numbers = [line for line in path.read_text().splitlines() if re.match(r"^\w+ = [-\d\[]", line)]
    bare = [line for line in numbers if not re.search(r"# .{5,}", line) and "entangler_outputs" not in line]
    assert not bare


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[nodes.trap]\ndepth_k = -1.0\n", r"alice\.trap: Trap\.depth_k is -1\.0, but must be"),
        ("[nodes.trap]\ndepth = 1e-3\n", r"alice\.trap\.depth does not exist .*did you mean 'depth_k'"),
        ('[nodes.fibre]\nlength_m = "ten"\n', r"alice\.fibre\.length_m is 'ten', but must be a number"),
        ("[midpoint.detector]\nefficiency = 1.2\n", r"efficiency is 1\.2, but must be"),
        ("[midpoint.detectors.e_h]\nefficiency = 0.2\n", r"midpoint\.detectors\.e_h does not exist"),
        ('[nodes.port]\nkind = "mirror"\n', r"alice\.port\.kind is 'mirror', but must be one of cavity, free_space"),
        ("[nodes]\nfibre = 3\n", r"alice\.fibre is 3, but must be a table"),
        ("[nodes.memory]\nt2_s = 2.0\n", r"t2_s is 2\.0, but must be <= 2 t1_s"),
        ("colour = 3\n", r"colour does not exist"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BASE + text)
    with pytest.raises(ScenarioError, match=says):
        load_scenario(str(path))


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"'defualt' does not exist.*did you mean 'default'"):
        load_scenario("defualt")


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('description = "empty"\nspecies = "Rb-87"\n[nodes.port]\nkind = "cavity"\n')
    with pytest.raises(ScenarioError, match=r"alice\.port\.\w+ is missing"):
        load_scenario(str(path))
