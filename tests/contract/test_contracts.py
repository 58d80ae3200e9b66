"""docs/contracts.md says what is: names, methods, keys and files that it states exist."""

import inspect
import re
from pathlib import Path

import pytest

from analysis import schema
from atomlink.heralds import FOUR
from atomlink.signals import Cycle, CycleResult, Tone
from atomlink.topology import pair
from drivers import parameters
from sim.gateware.peripheral import Peripheral
from sim.rtio.bus import Bus
from sim.world import World, load_scenario
from sim.world.scenario import NodeTruth, scenario_names

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

TEXT = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text(encoding="utf-8")


def section(number: int) -> str:
    return re.split(r"^## ", TEXT, flags=re.M)[number]


@pytest.mark.parametrize("signal", [Tone, Cycle, CycleResult])
def test_signals_have_the_fields_that_the_contract_names(signal: type) -> None:
    lines = [line for line in TEXT.splitlines() if f"{signal.__name__}(" in line]
    assert any(all(re.search(rf"\b{field}\b", line) for field in signal._fields) for line in lines)


def test_the_bus_has_the_methods_that_the_contract_names() -> None:
    for name in re.findall(r"^    (\w+)\(", section(2), flags=re.M):
        assert callable(getattr(Bus, name)), name


def test_a_peripheral_has_what_the_contract_names() -> None:
    for name in re.findall(r"^        (?:def )?(\w+)", section(3), flags=re.M):
        assert hasattr(Peripheral, name) or name in inspect.getsource(Peripheral), name


def test_the_world_has_the_methods_that_the_contract_names() -> None:
    world = World(load_scenario("default"), 1)
    for name in ("output", "clicks", "advance", "rng"):
        assert f".{name}(" in section(6) and callable(getattr(world, name))
    assert callable(world.output("entangler", "entangler").run)


def test_every_dataset_of_the_tables_is_in_the_schema() -> None:
    for key in re.findall(r"^\| `(shots\.\w+)`", section(9), flags=re.M):
        assert key in schema.BY_KEY


def test_every_parameter_that_is_named_is_believed() -> None:
    for name in re.findall(r"`(param\.[\w.{}]+)`", section(10)):
        assert name.replace("{n}", "alice") in TABLE, name


def test_scenarios_and_their_tables_are_those_that_the_contract_names() -> None:
    for name in scenario_names():
        assert f"`{name}`" in section(12)
    for field in NodeTruth.__dataclass_fields__:
        assert re.search(rf"\b{field}\b", section(12)), field
