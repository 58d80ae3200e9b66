"""Labs that scenarios bring: chain3 and star4 are named once, and device_db.py has their rows."""

import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from atomlink.at_port import PORT_ROLES, belief, dac_channels, row
from atomlink.errors import ScenarioError, UsageError
from atomlink.lab_tables import read
from atomlink.topology import PortSpec, Topology
from drivers import parameters
from sim.own_lab import lab_of, tables
from sim.world import World, load_scenario

ROOT = Path(__file__).resolve().parents[2]


def rows(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_ROWS_OF", "ATOMLINK_LAB"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return dict(runpy.run_path(str(ROOT / "device_db.py"))["device_db"])


def channels(device_db: dict[str, Any]) -> list[int]:
    return [row["arguments"]["channel"] for row in device_db.values() if "channel" in row.get("arguments", {})]


def test_a_scenario_of_its_own_lab_is_all_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Topology.from_device_db(rows(monkeypatch, ATOMLINK_SCENARIO="chain3"))
    assert lab.atoms == ("alice", "charlie", "charlie.east", "bob")
    assert [link.name for link in lab.links] == ["alice-charlie.west@left", "charlie.east-bob@right"]
    assert [link.atoms for link in lab.links] == [("alice", "charlie"), ("charlie.east", "bob")]
    assert lab.link("alice-charlie@left") == lab.links[0]
    assert lab == load_scenario("chain3").topology
    star = Topology.from_device_db(rows(monkeypatch, ATOMLINK_SCENARIO="star4"))
    assert len(star.links) == 4 and {link.station for link in star.links} == {"hub"}


def test_the_hardware_is_what_device_db_says_and_never_a_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = rows(monkeypatch, ATOMLINK_TARGET="hardware", ATOMLINK_SCENARIO="chain3")
    assert Topology.from_device_db(hardware).node_names == ("alice", "bob")
    would_be = rows(monkeypatch, ATOMLINK_TARGET="hardware", ATOMLINK_ROWS_OF="chain3")
    assert Topology.from_device_db(would_be).node_names == ("alice", "charlie", "bob")


def test_a_port_beyond_the_first_has_rows_of_its_own_on_channels_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    device_db = rows(monkeypatch, ATOMLINK_TARGET="hardware", ATOMLINK_ROWS_OF="chain3")
    wanted = {row("charlie.east", f"{kind}_{role}") for kind in ("dds", "sw") for role in PORT_ROLES}
    wanted |= {row("charlie.east", name) for name in ("fluorescence_counter", "power_meter", "cavity_lock", "piezo")}
    assert all(name.startswith("charlie_east_") for name in wanted) and wanted <= device_db.keys()
    shared = {row("charlie.east", name) for name in ("dds_cooling", "mot_coil", "mw_switch", "shutter", "zotino")}
    assert all(name.startswith("charlie_") and "east" not in name for name in shared) and shared <= device_db.keys()
    assert [channel for channel, n in Counter(channels(device_db)).items() if n > 1] == []
    ports = [row["port"] for row in device_db.values() if "driver" in row]
    assert len(set(ports)) == len(ports)


def test_beliefs_are_a_ports_where_it_has_its_own_and_else_its_nodes() -> None:
    lab = load_scenario("chain3").topology
    table = parameters.table(lab)
    assert belief("charlie.east", "a_excitation") == "param.charlie.east.a_excitation"
    assert belief("charlie.east", "f_larmor_hz") == "param.charlie.f_larmor_hz"
    keys = ("a_excitation", "f_larmor_hz", "t_raman_pi_s")
    assert {belief(atom, key) for atom in lab.atoms for key in keys} <= set(table)
    assert "param.charlie.east.f_larmor_hz" not in table and "param.charlie.east.a_cooling" not in table
    assert not parameters.is_parameter("param.charlie.east.f_larmor_hz")
    assert parameters.is_parameter("param.charlie.east.t_raman_pi_s")
    assert "param.charlie.west.left.efficiency" in table


def test_the_piezo_of_a_port_moves_its_cavity_and_no_other() -> None:
    world = World(load_scenario("chain3"), 1)
    west, east = world.nodes["charlie"].ports.values()
    piezo = dac_channels(1)[0]
    world.output(f"charlie_zotino/{piezo}", "voltage")(1000, 2.5)
    world.advance(10_000)
    assert (west.piezo_v, east.piezo_v) == (0.0, 2.5)


def test_instruments_of_a_port_act_on_it_and_the_laser_on_all_of_its_node() -> None:
    world = World(load_scenario("chain3"), 1)
    world.element("charlie_east_piezo").set_voltage("y", 10.0)
    world.element("charlie_laser").set_current(60.0)
    truth = world.quantities
    assert truth.value("charlie.east.polarisation.beta_rad") != truth.base("charlie.east.polarisation.beta_rad")
    assert truth.value("charlie.polarisation.beta_rad") == truth.base("charlie.polarisation.beta_rad")
    for port in ("charlie", "charlie.east"):
        assert truth.value(f"{port}.excitation.rabi_rad_s") < 0.8 * truth.base(f"{port}.excitation.rabi_rad_s")
    world.element("charlie_east_cavity_lock").disturb(1e9)  # beyond what the servo catches
    assert truth.value("charlie.east.port.detuning_rad_s") != truth.value("charlie.port.detuning_rad_s")


@pytest.mark.parametrize(("lab", "says"), [
    ({"node": {}}, r"lab\.node does not exist; it must be one of nodes, ports"),
    ({"nodes": 3}, r"lab\.nodes is 3, but must be a table"),
    ({"nodes": {"a": 1}}, r"lab\.nodes\.a is 1, but must be the first channel of a satellite"),
    ({"nodes": {"a": 0x10000, "b": 0x10000}}, "satellite of its own"),
    ({"nodes": {"a": 0x10000}, "ports": {"b": ["x"]}}, r"lab\.ports\.b is of no node"),
])  # fmt: skip
def test_tables_that_make_no_lab_are_one_line(lab: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(lab)


def test_a_scenario_of_another_lab_than_device_db_has_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="of alice, charlie, bob, but .* another, of alice, bob: call"):
        load_scenario("chain3", load_scenario("default").topology)
    own = tmp_path / "own.toml"
    own.write_text('extends = "chain3"\ndescription = "mine"\n[node.charlie]\ncrosstalk = 0.1\n')
    assert load_scenario(str(own)).node("charlie").crosstalk == 0.1
    assert lab_of(str(own)) == lab_of("chain3") and lab_of("default") is None
    given = ({"x": 0x10000}, {}, {}, {}, {})
    assert tables(*given, environment={"ATOMLINK_SCENARIO": str(own)}).ports == {"charlie": ("west", "east")}
    assert tables(*given, environment={"ATOMLINK_SCENARIO": "default"}).nodes == {"x": 0x10000}


def test_a_node_that_would_have_the_rows_of_a_port_is_refused() -> None:
    nodes = {"charlie": {"ports": ["west", "east"]}, "charlie_east": {}}
    with pytest.raises(UsageError, match="'charlie_east' would have the rows of port charlie.east: rename one"):
        Topology.from_arguments({"nodes": nodes})
    assert PortSpec("charlie", "west").atom == "charlie"
