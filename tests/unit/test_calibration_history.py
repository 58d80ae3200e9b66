"""What the passes left behind: which time-outs have passed, by which clock."""

import json
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from atomlink.heralds import FOUR
from atomlink.topology import Topology
from experiments.calibration.graph import Node, State, Verdict
from experiments.calibration.history import History
from experiments.calibration.nodes import nodes_of

CAVITY = Node("cavity", "x:X", timeout_s=1200.0)
PUMPING = Node("pumping", "x:X", timeout_s=7200.0)


class Experiment:
    """Persistent datasets and a clock of 1 ns."""

    def __init__(self) -> None:
        self.datasets: dict[str, Any] = {}
        self.core = SimpleNamespace(ref_period=1e-9)

    def get_dataset(self, key: str, archive: bool = True) -> Any:
        assert not archive
        return self.datasets[key]

    def set_dataset(self, key: str, value: Any, persist: bool, archive: bool) -> None:
        assert persist and not archive
        self.datasets[key] = value


@pytest.fixture
def experiment() -> Experiment:
    return Experiment()


@pytest.fixture
def history(experiment: Experiment) -> History:
    return History(experiment)


def calibrations(*nodes: str) -> dict[tuple[str, tuple[str, ...]], Node]:
    """Return what is calibrated in a lab by kind and cover: one input is the first node's, the other all others'."""
    ports = [f"{name}.port" for name in nodes]
    ways = {port: number for number, port in enumerate(ports[1:], 1)}
    lab = Topology.from_arguments({
        "nodes": {name: {} for name in nodes},
        "stations": {"hub": {"inputs": {"a": ports[:1], "b": ports[1:]}, "detectors": {role: role for role in FOUR}}},
        "switches": {"switch": {"from": ways, "to": {"hub.b": 9}}} if len(ports) > 2 else {},
    })  # fmt: skip
    return {(node.kind or node.name, node.covers): node for node in nodes_of(lab)}


def kept(history: History, nodes: Iterable[Node]) -> None:
    """Keep that all are in spec."""
    for node in nodes:
        history.keep(node, State(Verdict.IN_SPEC, 20.0, 10.0, dict.fromkeys(node.tolerances, 1.0)), 20.0, 5)


def known(history: History, nodes: Mapping[tuple[str, tuple[str, ...]], Node]) -> set[tuple[str, tuple[str, ...]]]:
    """Return what there is a state of."""
    return {key for key, node in nodes.items() if history.state(node) != State()}


def test_a_state_comes_back_as_it_was_kept(history: History) -> None:
    state = State(Verdict.IN_SPEC, 20.0, 10.0, {"param.alice.v_piezo_v": -4.0})
    history.keep(CAVITY, state, 20.0, 5)
    assert history.state(CAVITY) == state and history.state(PUMPING) == State()


def test_of_nodes_with_other_names_nothing_is_known_and_the_old_ones_keep_what_was(history: History) -> None:
    before, after = calibrations("alice", "bob"), calibrations("north", "south")
    kept(history, before.values())
    assert known(history, after) == set() and known(history, before) == set(before)
    kept(history, after.values())
    assert known(history, after) == set(after) and known(history, before) == set(before)


def test_a_node_more_or_less_leaves_known_what_the_links_that_stay_have_measured(history: History) -> None:
    two, three = calibrations("north", "south"), calibrations("north", "south", "east")
    kept(history, two.values())
    links = {key for key in two if key[1] == ("north-south@hub",)}
    assert len(links) == 6 and known(history, three) == links
    assert all(three[key].name != two[key].name for key in links)  # the names say which link, once there are two
    kept(history, [node for node in three.values() if "north-east@hub" in node.covers])
    assert known(history, two) == set(two)


@pytest.mark.parametrize(("nodes", "others"), [(("a", "b"), ("c", "d")), (("a", "b", "c"), ("a", "b", "d"))])
def test_a_state_of_an_older_version_is_that_of_the_beliefs_in_it(
    experiment: Experiment, nodes: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """It did not say what it covers: one that sets no belief may be about anything."""
    old = {"verdict": "in spec", "checked_s": 20.0, "calibrated_s": 10.0}
    for node in calibrations(*nodes).values():
        text = json.dumps({**old, "beliefs": dict.fromkeys(node.tolerances, 1.0)})
        experiment.datasets[f"calibration.{node.name}.state"] = text
    history, ours, theirs = History(experiment), calibrations(*nodes), calibrations(*others)
    assert known(history, ours) == {key for key in ours if key[0] != "remote_entanglement"}
    assert known(history, theirs) == {key for key in known(history, ours) if key in theirs}
    kept(history, ours.values())
    assert known(history, ours) == set(ours)


def test_a_time_out_passes_once_and_what_was_never_looked_at_has_none(history: History) -> None:
    history.keep(CAVITY, State(Verdict.IN_SPEC, 1000.0, 500.0), 1000.0, 0)
    nodes = (PUMPING, CAVITY)
    assert history.overdue(nodes, 1000.0 + 1199.0) == []
    assert history.overdue(nodes, 1000.0 + 1201.0) == ["cavity"]
    history.keep(PUMPING, State(Verdict.IN_SPEC, -1.0, 1000.0), 1000.0, 0)
    assert history.overdue(nodes, 1000.0 + 7201.0) == ["pumping", "cavity"]


class Wall:
    """A clock on the wall that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1e6

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    found = Wall()
    monkeypatch.setattr("experiments.calibration.history.time", found)
    return found


def test_the_clock_is_utc_until_a_lab_has_lived_faster_and_then_goes_on_from_there(
    history: History, wall: Wall
) -> None:
    assert history.begin(7) == history.time_s() == 1e6
    history.keep(CAVITY, State(Verdict.IN_SPEC, 1e6 + 3600.0), 1e6 + 3600.0, 3600 * 10**9)
    assert history.time_s(3610 * 10**9) == 1e6 + 3610.0  # lab time, in the same lab
    assert history.time_s(0) == history.time_s() == 1e6 + 3600.0  # a new lab, and one that is not asked
    wall.now_s += 30.0
    assert history.time_s(0) == history.time_s() == 1e6 + 3630.0
    assert history.time_s(3610 * 10**9) == 1e6 + 3630.0
    assert history.begin(0) == 1e6 + 3630.0 and history.time_s(10**9) == 1e6 + 3631.0  # its counter counts now


def test_a_wall_clock_that_is_set_back_holds_no_time_up(history: History, wall: Wall) -> None:
    history.begin(0)
    wall.now_s -= 600.0
    assert history.time_s(5 * 10**9) == 1e6 + 5.0 and history.time_s() == 1e6


def test_no_age_is_negative_where_the_clock_is_behind_the_states(experiment: Experiment, wall: Wall) -> None:
    """A clock of an earlier version, ahead of UTC, and a state that is later still."""
    experiment.datasets["calibration.clock"] = json.dumps({"time_s": 1e6 + 60.0, "counter_mu": 0})
    history, later = History(experiment), State(Verdict.IN_SPEC, 1e6 + 75.0)
    assert history.time_s() == 1e6 + 60.0 and history.time_s(known=[later]) == 1e6 + 75.0
    wall.now_s += 1000.0
    assert history.time_s(known=[later]) == 1e6 + 1000.0
    assert history.begin(0, [later]) == 1e6 + 1000.0
