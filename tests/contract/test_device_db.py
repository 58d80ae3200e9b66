"""The device database keeps the channel map of drivers/README.md."""

import importlib
import inspect
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODES = ("alice", "bob")
ROLES = ("cooling", "repump", "pumping", "excitation", "raman_a", "raman_b", "pushout", "rydberg_420", "rydberg_1013",
         "transfer", "clock")  # fmt: skip
NODE_LINES = ("mot_coil", "mw_switch", "shutter", "awg_trigger", "camera_trigger", "hiding", "grabber")
DETECTORS = ("snspd_c_h", "snspd_c_v", "snspd_d_h", "snspd_d_v")


def load(monkeypatch: pytest.MonkeyPatch, target: str) -> dict[str, Any]:
    monkeypatch.setenv("ATOMLINK_TARGET", target)
    return dict(runpy.run_path(str(ROOT / "device_db.py"))["device_db"])


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return load(monkeypatch, "hardware")


def channels(device_db: dict[str, Any]) -> dict[str, int]:
    rows = {name: row.get("arguments", {}) for name, row in device_db.items() if row["type"] == "local"}
    return {name: arguments["channel"] for name, arguments in rows.items() if "channel" in arguments}


def test_every_device_of_the_channel_map_has_a_row(hardware: dict[str, Any]) -> None:
    names = {"core", "core_dma", "core_cache", "entangler", "port_switch", *DETECTORS}
    names |= {f"{detector}_counter" for detector in DETECTORS}
    for node in NODES:
        names |= {f"{node}_{kind}_{role}" for kind in ("dds", "sw") for role in ROLES}
        names |= {f"{node}_urukul{k}_{part}" for k in range(3) for part in ("cpld", "spi", "io_update")}
        names |= {f"{node}_zotino{part}" for part in ("", "_spi", "_ldac", "_clr")}
        names |= {f"{node}_{line}" for line in (*NODE_LINES, "fluorescence", "fluorescence_counter")}
    assert names - hardware.keys() == set()


def test_every_channel_number_is_used_once(hardware: dict[str, Any]) -> None:
    assert [number for number, n in Counter(channels(hardware).values()).items() if n > 1] == []


def test_each_device_sits_where_its_name_says(hardware: dict[str, Any]) -> None:
    destination = {"alice": 1, "bob": 2}
    wrong = [
        name for name, channel in channels(hardware).items() if channel >> 16 != destination.get(name.split("_")[0], 0)
    ]
    assert wrong == []


def test_core_and_instruments_differ_between_hardware_and_simulation_and_core_controllers_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hardware, simulation = load(monkeypatch, "hardware"), load(monkeypatch, "simulation")
    instruments = {name for name, row in hardware.items() if "driver" in row}
    assert hardware.keys() - simulation.keys() == {"core_log", "core_moninj", "core_analyzer"}
    assert {name for name in simulation if hardware.get(name) != simulation[name]} == {"core", *instruments}
    assert "192.168.1.75" not in repr(simulation)  # the core device's address
    assert simulation["core"]["module"] == "sim.rtio.core"


def test_hardware_core_is_artiqs_own_with_a_compiler_target(hardware: dict[str, Any]) -> None:
    core = hardware["core"]
    assert (core["module"], core["class"]) == ("artiq.coredevice.core", "Core")
    assert core["arguments"]["ref_period"] == 1e-9 and core["arguments"]["ref_multiplier"] == 8
    assert core["arguments"]["target"] in ("cortexa9", "rv32g")


def test_every_row_names_an_importable_class_that_takes_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {name: row for name, row in load(monkeypatch, "simulation").items() if row["type"] == "local"}
    for name, row in rows.items():
        found = getattr(importlib.import_module(row["module"]), row["class"])
        inspect.signature(found).bind(None, **row.get("arguments", {}))  # TypeError where an argument does not fit
        assert inspect.isclass(found) or row["class"] == "open_row", name


def test_every_row_has_a_model_and_none_is_refused(hardware: dict[str, Any]) -> None:
    """A faulty or unmodelled row is inert until used: among our own there is none."""
    from sim.gateware import Gateware
    from sim.gateware.build import inert
    from sim.world.scenario import load_scenario
    from sim.world.world import World

    gateware = Gateware(hardware, World(load_scenario("default"), 1))
    assert (gateware.refused, gateware.unmodelled, inert(hardware, "core")) == ({}, {}, {})


def test_devices_that_a_row_names_exist(hardware: dict[str, Any]) -> None:
    for name, row in hardware.items():
        for key, value in row.get("arguments", {}).items():
            for other in value if key == "inputs" else [value]:
                if key.endswith("_device") or key == "inputs":
                    assert other in hardware, f"{name}: {key} names {other!r}, which has no row"


def test_each_beam_is_its_own_chip_and_switch(hardware: dict[str, Any]) -> None:
    chips = [
        (row["arguments"]["cpld_device"], row["arguments"]["chip_select"])
        for row in hardware.values()
        if row.get("class") == "AD9910"
    ]
    assert len(chips) == len(set(chips)) == 2 * len(ROLES)
    for node in NODES:
        for role in ROLES:
            assert hardware[f"{node}_dds_{role}"]["arguments"]["sw_device"] == f"{node}_sw_{role}"


def test_the_dds_clock_is_one_gigahertz(hardware: dict[str, Any]) -> None:
    for row in hardware.values():
        if row.get("class") == "AD9910":
            cpld = hardware[row["arguments"]["cpld_device"]]["arguments"]
            assert cpld["refclk"] / 4 * row["arguments"]["pll_n"] == 1e9


def test_entangler_sees_the_detectors_in_the_order_of_a_patterns_bits(hardware: dict[str, Any]) -> None:
    assert tuple(hardware["entangler"]["arguments"]["inputs"]) == DETECTORS
