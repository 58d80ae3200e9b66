"""The contracts say what is: names, methods, keys and files that they state exist; the index knows every page."""

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

ROOT = Path(__file__).parents[2]
INDEX = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
PAGES = re.findall(r"^\| \[([\w/]+README\.md)\]", INDEX, flags=re.M)


def page(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(path: str, title: str) -> str:
    """Return the part of a page under a title that begins so."""
    return next(part for part in re.split(r"^## ", page(path), flags=re.M) if part.startswith(title))


def test_the_index_names_every_page_and_all_lines_can_be_read() -> None:
    there = [str(path.relative_to(ROOT)) for room in ("analysis", "drivers", "experiments", "sim")
             for path in (ROOT / room).rglob("README.md")]  # fmt: skip
    assert sorted(there) == sorted(PAGES)
    pages = (*PAGES, "docs/contracts.md")
    assert [(path, line) for path in pages for line in page(path).splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("path", ["docs/contracts.md", *PAGES])
def test_every_link_of_a_contract_leads_somewhere(path: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page(path).replace("\n", " ")):
        assert ((ROOT / path).parent / target).exists(), target


@pytest.mark.parametrize("signal", [Tone, Cycle, CycleResult])
def test_signals_have_the_fields_that_the_contract_names(signal: type) -> None:
    _, _, stated = page("sim/gateware/README.md").partition(f"{signal.__name__}(")
    assert all(re.search(rf"\b{field}\b", stated[:250]) for field in signal._fields)


def test_the_bus_has_the_methods_that_the_contract_names() -> None:
    for name in re.findall(r"^(\w+)\(", page("sim/rtio/README.md"), flags=re.M):
        assert callable(getattr(Bus, name)), name


def test_a_peripheral_has_what_the_contract_names() -> None:
    stated = section("sim/gateware/README.md", "Peripherals")
    for name in re.findall(r"^    (?:def )?(\w+)(?:\(|:)", stated, flags=re.M):
        assert hasattr(Peripheral, name) or name in inspect.getsource(Peripheral), name


def test_the_world_has_the_methods_that_the_contract_names() -> None:
    world = World(load_scenario("default"), 1)
    for name in ("output", "clicks", "advance", "rng"):
        assert f".{name}(" in page("sim/world/README.md") and callable(getattr(world, name))
    assert callable(world.output("entangler", "entangler").run)


def test_every_dataset_of_the_tables_is_in_the_schema() -> None:
    for key in re.findall(r"^[|-] `(shots\.\w+)`", page("analysis/README.md"), flags=re.M):
        assert key in schema.BY_KEY


def test_every_parameter_that_is_named_is_believed() -> None:
    for name in re.findall(r"`(param\.[\w.{}]+)`", page("drivers/README.md")):
        assert name.replace("{n}", "alice") in TABLE, name


def test_scenarios_and_their_tables_are_those_that_the_contract_names() -> None:
    for name in scenario_names():
        assert f"`{name}`" in page("sim/scenarios/README.md")
    for field in NodeTruth.__dataclass_fields__:
        assert re.search(rf"\b{field}\b", page("sim/scenarios/README.md")), field
