"""Ways through fibre switches: what links need, what is refused before anything moves, and how a switch is set."""

from typing import Any

import pytest

from atomlink import routes
from atomlink.errors import UsageError
from atomlink.topology import Topology
from drivers.fibre_routes import connect
from sim.world import World, load_scenario

STAR = load_scenario("star4").topology
CHAIN = load_scenario("chain3").topology
FOUR = [f"d{k}" for k in range(8)]
TWO_STATIONS = Topology.from_arguments({
    "nodes": {"a": {}, "b": {}, "m": {}},
    "stations": {"left": {"inputs": {"x": ["a.port"], "y": ["m.port"]}, "detectors": FOUR[:4]},
                 "right": {"inputs": {"x": ["m.port"], "y": ["b.port"]}, "detectors": FOUR[4:]}},
    "switches": {"fibre_switch": {"from": {"m.port": 3}, "to": {"left.y": 17, "right.x": 18}}},
})  # fmt: skip


def settings(topology: Topology, *names: str) -> list[tuple[int, int]]:
    found = routes.connections(topology, [topology.link(name) for name in names])
    return [(each.source, each.sink) for each in found]


def test_a_link_needs_the_connections_of_its_ports_that_go_through_a_switch() -> None:
    assert settings(STAR, "bob-dora@hub") == [(2, 17), (4, 18)]
    assert settings(TWO_STATIONS, "a-m@left") == [(3, 17)]  # a's fibre is always there
    assert settings(CHAIN, "alice-charlie@left", "charlie.east-bob@right") == []


@pytest.mark.parametrize(("topology", "names", "says"), [
    (STAR, ("alice-charlie@hub", "bob-charlie@hub"), r"hub\.a would lead to alice\.port and to bob\.port; .* in turns"),
    (TWO_STATIONS, ("a-m@left", "m-b@right"), r"m\.port would lead to left\.y and to right\.x"),
])  # fmt: skip
def test_links_that_take_one_anothers_way_are_one_line(topology: Topology, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        settings(topology, *names)


def test_a_route_that_no_switch_can_make_is_one_line() -> None:
    assert routes.connection(STAR, "bob.port", "hub.a").sink == 17
    with pytest.raises(UsageError, match=r"No switch can lead port bob\.port to hub\.b, only to hub\.a: choose"):
        routes.connection(STAR, "bob.port", "hub.b")
    with pytest.raises(UsageError, match=r"lead port alice\.port to left\.a, only to nothing"):
        routes.connection(CHAIN, "alice.port", "left.a")


def test_what_is_watched_is_the_links_or_the_convention_where_no_terminals_are_named() -> None:
    default = load_scenario("default").topology
    for lab, name, wanted in ((default, "", {1: 17, 2: 18}), (CHAIN, "charlie.east-bob@right", {3: 19, 4: 20}),
                              (STAR, "alice-dora@hub", {1: 17, 4: 18})):  # fmt: skip
        assert routes.watched(lab, lab.link(name), "fibre_switch", 17) == wanted


class Switch:
    """The world's switch, driven as the instrument's driver does; it notes what it was asked."""

    def __init__(self) -> None:
        self.world = World(load_scenario("star4"), 1)
        self.element = self.world.element("fibre_switch")
        self.asked: list[str] = []

    def connections(self) -> dict[int, int]:
        return dict(self.element.connections)

    def route(self, source: int, sink: int) -> None:
        assert sink not in self.connections().values() and source not in self.connections()
        self.asked.append(f"{source}-{sink}")
        self.element.connect(source, sink)

    def release(self, source: int) -> None:
        self.asked.append(f"{source}-")
        self.element.disconnect(source)

    def at_hub(self) -> list[Any]:
        return [port and port.key for port in self.world.stations["hub"].ports]


def test_what_is_in_the_way_is_let_go_and_what_is_right_stays() -> None:
    switch = Switch()
    assert switch.at_hub() == ["alice.port", "charlie.port"]
    assert not connect(switch, {1: 17, 3: 18}) and not switch.asked
    assert connect(switch, {2: 17, 3: 18}) and switch.asked == ["1-", "2-17"]
    assert switch.at_hub() == ["bob.port", "charlie.port"]
