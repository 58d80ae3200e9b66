"""`sim.target.apply`: in simulation nothing of device_db reaches the core device, on hardware no row changes."""

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
    "core_log": {"type": "controller", "host": "::1", "port": 1068, "command": "aqctl_corelog -p {port} 192.0.2.1"},
    "core_moninj": {"type": "controller", "host": "::1", "port_proxy": 1383, "port": 1384},
    "second_analyzer": {
        "type": "controller", "host": "::1", "port": 1386,
        "command": "python -m artiq.frontend.aqctl_coreanalyzer_proxy --port-control {port} 192.0.2.2",
    },
    "camera": {"type": "controller", "host": "::1", "port": 3310, "command": "aqctl_camera -p {port}"},
}  # fmt: skip


@pytest.fixture
def scenario(tmp_path: Any) -> str:
    path = tmp_path / "lab.toml"
    path.write_text("")
    return str(path)


def test_simulation_replaces_the_core_row_and_keeps_others(scenario: str) -> None:
    device_db = copy.deepcopy(DEVICE_DB)
    target.apply(device_db, {"ATOMLINK_SCENARIO": scenario, "ATOMLINK_SEED": "12", "ATOMLINK_COSTS": "ideal"})
    assert device_db["core"] == {
        "type": "local", "module": "sim.rtio.core", "class": "Core",
        "arguments": {"ref_period": 2e-9, "ref_multiplier": 4, "scenario": scenario, "seed": 12, "costs": "ideal"},
    }  # fmt: skip
    assert [device_db[name] for name in ("core_dma", "camera")] == [DEVICE_DB[name] for name in ("core_dma", "camera")]


def test_simulation_leaves_out_the_controllers_that_connect_to_the_core_device(scenario: str) -> None:
    device_db = copy.deepcopy(DEVICE_DB)
    target.apply(device_db, {"ATOMLINK_SCENARIO": scenario})
    assert device_db.keys() == {"core", "core_dma", "camera"}
    assert "192.0.2" not in repr(device_db)


def test_a_core_that_is_an_alias_or_another_labs_class_becomes_the_simulated_one(scenario: str) -> None:
    kasli = {"type": "local", "module": "groups_own.core", "class": "Core", "arguments": {"ref_period": 1.25e-9}}
    device_db: dict[str, Any] = {"core": "crate", "crate": "kasli", "kasli": kasli}
    target.apply(device_db, {"ATOMLINK_SCENARIO": scenario})
    assert device_db["core"]["module"] == "sim.rtio.core" and device_db["core"]["arguments"]["ref_period"] == 1.25e-9
    assert (device_db["crate"], device_db["kasli"]) == ("core", "core")


def test_aliases_and_further_targets_of_what_is_left_out_go_with_it(scenario: str) -> None:
    device_db = copy.deepcopy(DEVICE_DB) | {
        "moninj": "core_moninj", "levels": "moninj", "my_camera": "camera",
        "aux": {"type": "controller_aux_target", "controller": "core_log", "target_name": "x"},
    }  # fmt: skip
    target.apply(device_db, {"ATOMLINK_SCENARIO": scenario})
    assert device_db.keys() == {"core", "core_dma", "camera", "my_camera"}


def test_a_circle_of_aliases_is_no_core(scenario: str) -> None:
    with pytest.raises(UsageError, match="row `.*` is .*, must be a dict"):
        target.apply({"core": "a", "a": "core"}, {"ATOMLINK_SCENARIO": scenario})


@pytest.mark.parametrize("words", [["/bin/artiq_coremgmt", "log"], ["artiq_coreanalyzer.py", "-p"]])
def test_a_command_that_asks_the_core_device_itself_is_refused(
    scenario: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(UsageError, match="asks the core device itself.*set ATOMLINK_TARGET=hardware"):
        target.apply(copy.deepcopy(DEVICE_DB), {"ATOMLINK_SCENARIO": scenario})
    target.apply(copy.deepcopy(DEVICE_DB), {"ATOMLINK_TARGET": "hardware"})


def test_the_analyzer_reads_a_file_without_a_core_device(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["artiq_coreanalyzer", "-r", "run.dump", "-p"])
    target.apply(copy.deepcopy(DEVICE_DB), {"ATOMLINK_SCENARIO": scenario})


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
        ({"ATOMLINK_TARGET": "hardwear"}, "target is 'hardwear', must be one of: simulation, virtual, hardware"),
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
