"""`sim.target.apply`: one row of device_db changes in simulation, none on hardware."""

import copy
from typing import Any

import pytest

from atomlink.errors import UsageError
from sim import target

DEVICE_DB: dict[str, Any] = {
    "core": {
        "type": "local", "module": "artiq.coredevice.core", "class": "Core",
        "arguments": {"host": "192.0.2.1", "ref_period": 2e-9, "ref_multiplier": 4, "target": "cortexa9"},
    },
    "core_dma": {"type": "local", "module": "artiq.coredevice.dma", "class": "CoreDMA"},
}  # fmt: skip


@pytest.fixture
def scenario(tmp_path: Any) -> str:
    path = tmp_path / "lab.toml"
    path.write_text("")
    return str(path)


def test_simulation_replaces_the_core_row_and_no_other(scenario: str) -> None:
    device_db = copy.deepcopy(DEVICE_DB)
    target.apply(device_db, {"ATOMLINK_SCENARIO": scenario, "ATOMLINK_SEED": "12", "ATOMLINK_COSTS": "ideal"})
    assert device_db["core"] == {
        "type": "local", "module": "sim.rtio.core", "class": "Core",
        "arguments": {"ref_period": 2e-9, "ref_multiplier": 4, "scenario": scenario, "seed": 12, "costs": "ideal"},
    }  # fmt: skip
    assert device_db["core_dma"] == DEVICE_DB["core_dma"]


def test_simulation_is_the_default_with_a_fixed_seed(scenario: str) -> None:
    device_db = copy.deepcopy(DEVICE_DB)
    target.apply(device_db, {"ATOMLINK_SCENARIO": scenario})
    arguments = device_db["core"]["arguments"]
    assert (arguments["seed"], arguments["costs"]) == (1, "kasli_soc")


def test_hardware_leaves_every_row_alone() -> None:
    device_db = copy.deepcopy(DEVICE_DB)
    target.apply(device_db, {"ATOMLINK_TARGET": "hardware", "ATOMLINK_SCENARIO": "no such"})
    assert device_db == DEVICE_DB


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"ATOMLINK_TARGET": "hardwear"}, "target is 'hardwear', must be one of: simulation, hardware"),
        ({"ATOMLINK_SEED": "1.5"}, "seed is '1.5', must be an integer >= 0"),
        ({"ATOMLINK_COSTS": "cheap"}, "costs is 'cheap', must be one of: ideal, kasli, kasli_soc"),
        ({"ATOMLINK_SCENARIO": "no such"}, "unknown scenario `no such`"),
    ],
)
def test_an_unknown_value_is_one_line(scenario: str, environment: dict[str, str], says: str) -> None:
    device_db = copy.deepcopy(DEVICE_DB)
    with pytest.raises(UsageError, match=says) as caught:
        target.apply(device_db, {"ATOMLINK_SCENARIO": scenario, **environment})
    assert len(str(caught.value).splitlines()) == 1
    assert device_db == DEVICE_DB


def test_a_core_row_without_arguments_is_refused(scenario: str) -> None:
    with pytest.raises(UsageError, match="row `core`"):
        target.apply({"core": {"type": "local"}}, {"ATOMLINK_SCENARIO": scenario})


def test_the_presets_that_the_command_names_are_those_of_the_core() -> None:
    from sim.rtio.costs import PRESETS

    assert tuple(PRESETS) == target.COST_PRESETS


def test_every_shipped_scenario_loads() -> None:
    from sim.world import load_scenario

    assert {"default", "nolleke2013", "hofmann2012"} <= set(target.scenario_files())
    for name in target.scenario_files():
        assert load_scenario(name).description
