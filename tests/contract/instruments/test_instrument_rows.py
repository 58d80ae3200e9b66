"""The rows of device_db.py that are instruments: each has a driver, a twin, an address and a controller of its own."""

from __future__ import annotations

import runpy
from collections import Counter
from typing import Any

import pytest
from instrument_lab import ROOT, rows

import sim.target
from drivers.instruments import Instrument, driver_class, kinds
from sim.instruments.catalog import twin_class
from sim.instruments.twin import Twin

NODES = ("alice", "bob")


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    monkeypatch.setenv("ATOMLINK_TARGET", "hardware")
    found = runpy.run_path(str(ROOT / "device_db.py"))["device_db"]
    return {name: row for name, row in found.items() if "driver" in row}


def test_the_lab_has_every_instrument_of_the_contract(hardware: dict[str, dict[str, Any]]) -> None:
    expected = {f"{n}_{kind}" for n in NODES for kind in ("laser", "microwave", "power_meter", "cavity_lock", "awg")}
    assert expected | {"wavemeter", "fibre_switch", "snspd_electronics", "tagger"} <= hardware.keys()


def test_ports_and_addresses_are_used_once(hardware: dict[str, dict[str, Any]]) -> None:
    for key in ("port", "device"):
        assert [value for value, n in Counter(row[key] for row in hardware.values()).items() if n > 1] == []
    assert all(3300 <= row["port"] < 3400 for row in hardware.values())


def test_the_controllers_command_says_what_the_row_says(hardware: dict[str, dict[str, Any]]) -> None:
    for name, row in hardware.items():
        words = row["command"].format(port=row["port"], bind="::1").split()
        assert words[0] == "aqctl_atomlink" and words[-1] == name == row["target_name"]
        assert words[words.index("--driver") + 1] == row["driver"]
        assert words[words.index("--device") + 1] == row["device"]
        assert row["type"] == "controller"


def test_every_row_has_a_driver_and_a_twin_and_an_address_that_parses(hardware: dict[str, dict[str, Any]]) -> None:
    for row in hardware.values():
        cls = driver_class(row["driver"])
        assert issubclass(cls, Instrument) and issubclass(twin_class(row["driver"]), Twin)
        if row["driver"] != "camera":  # read out by its vendor's package, which has no address here
            cls.connect(row["device"]).close()


def test_every_driver_is_in_some_row(hardware: dict[str, dict[str, Any]]) -> None:
    assert {row["driver"] for row in hardware.values()} == set(kinds())


def test_in_simulation_instruments_are_opened_in_the_experiments_process(hardware: dict[str, dict[str, Any]]) -> None:
    for name, row in hardware.items():
        assert rows()[name]["arguments"] == {"name": name, "driver": row["driver"], "device": row["device"]}


def test_instruments_of_a_lab_that_is_kept_elsewhere_stay_controllers_except_for_our_own_command(
    monkeypatch: pytest.MonkeyPatch, hardware: dict[str, dict[str, Any]]
) -> None:
    monkeypatch.setattr(sim.target, "of_lab", lambda _address: {"scenario": "default", "seed": 1})
    monkeypatch.setenv("ATOMLINK_TARGET", "simulation")
    monkeypatch.setenv("ATOMLINK_LAB", "127.0.0.1:3290")
    kept = runpy.run_path(str(ROOT / "device_db.py"))["device_db"]
    for name, row in hardware.items():
        assert kept[name] == {**row, "command": f"{row['command']} --simulation"}
    sim.target.without_controllers(kept, {"ATOMLINK_LAB": "127.0.0.1:3290"})
    for name, row in hardware.items():
        assert (kept[name]["class"], kept[name]["arguments"]["lab"]) == ("open_in_lab", "127.0.0.1:3290")
        assert (kept[name]["arguments"]["name"], kept[name]["arguments"]["driver"]) == (name, row["driver"])
