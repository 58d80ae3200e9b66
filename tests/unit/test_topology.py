"""What a lab is connected to, read from a device_db; and what clicks herald."""

import re
from typing import Any

import pytest

from atomlink import heralds
from atomlink.errors import UsageError
from atomlink.heralds import FOUR, TWO
from atomlink.topology import Topology

DETECTORS = ["snspd_c_h", "snspd_c_v", "snspd_d_h", "snspd_d_v"]
CHAIN: dict[str, Any] = {
    "nodes": {"n1": {}, "Quokka": {"ports": ["west", "east"]}, "west_2": {"ports": ["port"]}},
    "stations": {
        "left": {"inputs": {"a": ["n1.port"], "b": ["Quokka.west"]}, "detectors": DETECTORS, "entangler": "entangler"},
        "right": {"scheme": "one_photon", "inputs": {"a": ["Quokka.east"], "b": ["west_2.port"]},
                  "detectors": ["apd_c", "apd_d"]},
    },
}  # fmt: skip
STAR: dict[str, Any] = {
    "nodes": {name: {} for name in "ijkl"},
    "stations": {"hub": {"inputs": {"a": ["i.port", "j.port"], "b": ["k.port", "l.port"]}, "detectors": DETECTORS}},
    "switches": {"fibre_switch": {"from": {"i.port": 1, "j.port": 2, "k.port": 3, "l.port": 4},
                                  "to": {"hub.a": 17, "hub.b": 18}}},
}  # fmt: skip


def row(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"network": {"type": "local", "module": "drivers.network", "class": "Network", "arguments": arguments}}


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a network with another value at a dotted path; None takes it away."""
    key, _, rest = path.partition(".")
    out = dict(base)
    if rest:
        out[key] = changed(base.get(key, {}), rest, value)
    elif value is None:
        del out[key]
    else:
        out[key] = value
    return out


def test_this_labs_device_db_is_two_nodes_at_one_station() -> None:
    from device_db import device_db

    lab = Topology.from_device_db(device_db)
    station, = lab.stations
    assert station.heralder == "entangler"
    assert [(detector.row, detector.role) for detector in station.detectors] == list(zip(DETECTORS, FOUR, strict=True))
    assert lab.nodes_at(station.name) == lab.node_names == ("alice", "bob")
    assert lab.ports == ("alice.port", "bob.port")
    assert [channel.end for channel in lab.channels] == [f"{station.name}.a", f"{station.name}.b"]


def test_a_chain_has_a_node_of_two_ports_between_two_stations() -> None:
    lab = Topology.from_device_db(row(CHAIN))
    assert lab.ports == ("n1.port", "Quokka.west", "Quokka.east", "west_2.port")
    assert lab.nodes_at("left") == ("n1", "Quokka")
    assert lab.nodes_at("right") == ("Quokka", "west_2")
    assert lab.station("right").heralder is None and lab.station("right").roles == TWO
    assert lab.reaches("left", "b") == ("Quokka.west",)


def test_ports_that_share_an_input_go_through_the_switch() -> None:
    lab = Topology.from_device_db(row(STAR))
    assert lab.nodes_at("hub") == tuple("ijkl")
    assert {channel.switch for channel in lab.channels} == {"fibre_switch"}
    assert dict(lab.switches[0].sinks) == {"hub.a": 17, "hub.b": 18}


TWO_PORTS: dict[str, Any] = {
    "nodes": {"c": {"ports": ["w", "e"]}, "d": {"ports": ["w", "e"]}},
    "stations": {"s": {"inputs": {"a": ["c.w"], "b": ["d.w"]}, "detectors": DETECTORS},
                 "t": {"inputs": {"a": ["c.e"], "b": ["d.e"]}, "detectors": [f"t_{k}" for k in range(4)]}},
}  # fmt: skip


@pytest.mark.parametrize(("said", "name"), [
    ("", "c.w-d.w@s"), ("c.w-d.w@s", "c.w-d.w@s"), ("c-d@s", "c.w-d.w@s"), ("c-d.w@s", "c.w-d.w@s"),
    ("c.w-d@s", "c.w-d.w@s"), ("c.e-d.e@t", "c.e-d.e@t"),
])  # fmt: skip
def test_either_end_of_a_link_may_leave_out_its_nodes_first_port(said: str, name: str) -> None:
    assert Topology.from_device_db(row(TWO_PORTS)).link(said).name == name


@pytest.mark.parametrize("said", ["c-d@t", "c.e-d@t", "c-d.e@t", "d-c@s", "c.e-d.w@s", "c-d", "c-d@"])
def test_a_link_that_the_lab_does_not_have_is_refused_with_those_that_it_has(said: str) -> None:
    with pytest.raises(UsageError, match=re.escape("c.w-d.w@s")):
        Topology.from_device_db(row(TWO_PORTS)).link(said)


def test_an_end_of_one_port_may_name_it() -> None:
    lab = Topology.from_device_db(row(CHAIN))
    assert lab.link("n1.port-Quokka@left") == lab.link("n1-Quokka.west@left")
    assert lab.link("Quokka.east-west_2.port@right").name == "Quokka.east-west_2@right"


def test_a_lab_of_one_node_has_no_station() -> None:
    for device_db in (row({"nodes": {"solo": {}}}), {"solo_dds_cooling": {}}):
        lab = Topology.from_device_db(device_db)
        assert lab.node_names == ("solo",) and not lab.stations


@pytest.mark.parametrize(("network", "says"), [
    ({"nodes": {}}, "at least one node"),
    (changed(CHAIN, "nodes.2nd", {}), "'2nd' must begin with a letter"),
    (changed(CHAIN, "nodes.left", {}), "'left' must .* be given once"),
    (changed(CHAIN, "nodes.station", {}), "none of node, nodes, station"),
    (changed(CHAIN, "nodes.n1.ports", []), "n1.ports is .* at least one"),
    (changed(CHAIN, "nodes.n1.port", ["x"]), "nodes.n1.port does not exist"),
    (changed(CHAIN, "stations.left.inputs.a", ["n2.port"]), "names 'n2.port'.*did you mean 'n1.port'"),
    (changed(CHAIN, "stations.left.inputs.a", "n1.port"), "must be a list of ports"),
    (changed(CHAIN, "stations.left.inputs.c", []), "has 3 inputs, but a splitter has two"),
    (changed(CHAIN, "stations.left.inputs.a", ["n1.port", "west_2.port"]), "2 ways .* go through a switch"),
    (changed(CHAIN, "stations.left.detectors", ["x"]), "lists 1 rows, but a list has 2 or 4"),
    (changed(CHAIN, "stations.left.detectors", {"c_h": "x", "d_h": "y"}), "heralds nothing: add detectors"),
    (changed(CHAIN, "stations.left.detectors", {"e_h": "x"}), "role 'e_h' must be an output"),
    (changed(CHAIN, "stations.left.detectors", ["apd_c", "apd_d"]), "'apd_c' is given twice"),
    (changed(CHAIN, "stations.left.scheme", "polarization"), "must be one of polarisation, one_photon, time_bin"),
    (changed(CHAIN, "stations.right", None) | {"station": {}}, "network.station does not exist"),
    (changed(STAR, "switches", {}), "Input hub.a has 2 ways"),
    (changed(STAR, "switches.fibre_switch.from.i", 5), "names 'i', .* one of i.port"),
    (changed(STAR, "switches.fibre_switch.to", {"hub.a": 17, "hub.b": 17}), "each its own terminal number"),
])  # fmt: skip
def test_what_cannot_be_is_one_line_with_the_remedy(network: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        Topology.from_device_db(row(network))
    assert re.search(says, str(refused.value)) and "\n" not in str(refused.value)


def test_three_nodes_without_a_network_row_are_not_ignored() -> None:
    with pytest.raises(UsageError, match="3 nodes .*add the row `network`"):
        Topology.from_device_db({f"{name}_dds_cooling": {} for name in "abc"})


@pytest.mark.parametrize(("scheme", "roles", "plus", "minus"), [
    ("polarisation", FOUR, (0b0011, 0b1100), (0b1001, 0b0110)),
    ("polarisation", ("c_h", "c_v"), (0b11,), ()),
    ("polarisation", ("c_h", "c_h_2", "c_v", "d_v"), (0b0101, 0b0110), (0b1001, 0b1010)),
    ("polarisation", ("c_h", "d_h"), (), ()),
    ("one_photon", TWO, (0b01,), (0b10,)),
    ("time_bin", TWO, (0b0011, 0b1100), (0b1001, 0b0110)),
])  # fmt: skip
def test_patterns_that_herald(scheme: str, roles: tuple[str, ...], plus: tuple[int, ...],
                              minus: tuple[int, ...]) -> None:  # fmt: skip
    assert heralds.patterns(scheme, roles, +1) == plus
    assert heralds.patterns(scheme, roles, -1) == minus
    assert heralds.patterns(scheme, roles) == plus + minus
    table = heralds.heralds(scheme, roles)
    assert all((herald.state, herald.correction) == (("Psi+", "") if pattern in plus else ("Psi-", "z"))
               for pattern, herald in table.items())  # fmt: skip


def test_patterns_that_show_interference() -> None:
    assert heralds.same_polarisation() == (0b0101, 0b1010)
    assert heralds.same_polarisation(TWO) == (0b11,)
    assert heralds.singles() == (1, 2, 4, 8)


def test_time_bin_heralds_are_those_of_the_physics() -> None:
    from sim.physics import one_photon, time_bin

    assert heralds.patterns("time_bin", TWO) == time_bin.HERALDS
    assert heralds.patterns("one_photon", TWO) == one_photon.HERALDS
