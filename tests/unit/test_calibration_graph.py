"""The walk over the calibration graph: only what is stale or failed is touched, faults are looked for upwards."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from artiq.language.environment import EnvExperiment, NumberValue
from scan_lab import Scheduler, managers

from analysis.estimates import Estimate
from analysis.result import Result
from atomlink.errors import DataError, DeviceError, UsageError
from drivers import line_log
from experiments.calibration.calibrate import Calibrate
from experiments.calibration.graph import Graph, Node, Outcome, Pass, State, Verdict, Visit
from experiments.calibration.subexperiment import run_child
from experiments.calibration.verdict import judge

IN, OUT, BAD = Verdict.IN_SPEC, Verdict.OUT_OF_SPEC, Verdict.BAD_DATA


def chain(**more: tuple[str, ...]) -> Graph:
    """Return laser -> pump -> rabi -> link, and imaging -> link."""
    depends = {"laser": (), "pump": ("laser",), "imaging": (), "rabi": ("pump",), "link": ("rabi", "imaging"), **more}
    return Graph(Node(name, "toy:Toy", parents, timeout_s=100.0) for name, parents in depends.items())


class ToyLab:
    """Nodes have drifted or not; one whose dependency has drifted gives bad data. Every action takes a second."""

    def __init__(self, graph: Graph, drifted: set[str]) -> None:
        self.graph, self.drifted, self.t_s = graph, set(drifted), 0.0
        self.broken: set[str] = set()
        self.believed: dict[str, float] = {}

    def now_s(self) -> float:
        return self.t_s

    def _sees(self, node: Node) -> Verdict:
        below = {parent.name for parent in self.graph.order(node.name)} - {node.name}
        if below & self.drifted or node.name in self.broken:
            return BAD
        return OUT if node.name in self.drifted else IN

    def check(self, node: Node) -> Outcome:
        self.t_s += 1.0
        return Outcome(self._sees(node), "", self.beliefs(node))

    def measure(self, node: Node) -> Outcome:
        self.t_s += 5.0
        if self._sees(node) == BAD:
            return Outcome(BAD, "", self.beliefs(node))
        self.drifted.discard(node.name)
        return Outcome(IN, "", self.beliefs(node))

    def beliefs(self, node: Node) -> Mapping[str, float]:
        return {node.name: self.believed.get(node.name, 1.0)}


class Walk:
    """Passes over one graph and lab; `done` is what the last one did."""

    def __init__(self, drifted: set[str] = frozenset(), graph: Graph | None = None, known: bool = True) -> None:  # type: ignore[assignment]
        self.graph = graph or chain()
        self.lab = ToyLab(self.graph, drifted)
        names = self.graph.nodes if known else ()
        self.states = {name: State(IN, 0.0, 0.0, self.lab.beliefs(self.graph.nodes[name])) for name in names}

    def go(self, target: str = "link", recheck: bool = False) -> list[str]:
        self.visits: list[Visit] = []
        Pass(self.graph, self.lab, self.states, self.visits.append).maintain(target, recheck)
        return [f"{visit.action} {visit.node}" for visit in self.visits if visit.action != "skip"]


def test_what_is_fresh_is_left_alone() -> None:
    assert Walk().go() == []


def test_what_was_never_checked_is_checked_in_order() -> None:
    done = Walk(known=False).go()
    assert done == ["check laser", "check pump", "check imaging", "check rabi", "check link"]


def test_only_what_has_run_out_is_checked() -> None:
    walk = Walk()
    walk.lab.t_s = 90.0
    walk.states["pump"] = State(IN, 80.0, 0.0)
    walk.lab.t_s = 150.0
    assert walk.go("pump") == ["check laser"]


def test_a_recheck_trusts_no_time_out_and_touches_nothing_else_than_what_was_asked_for() -> None:
    walk = Walk({"pump"})
    assert walk.go("rabi") == []
    assert walk.go("rabi", recheck=True) == ["check laser", "check pump", "measure pump", "check rabi"]
    assert not walk.lab.drifted


def test_what_a_check_cannot_tell_is_measured_at_once_when_it_is_stale_or_in_doubt() -> None:
    graph = Graph(replace(node, checked=node.name != "rabi") for node in chain().nodes.values())
    assert Walk(graph=graph, known=False).go("rabi") == ["check laser", "check pump", "measure rabi"]
    assert Walk(graph=graph).go("rabi") == []
    assert Walk(graph=graph).go("rabi", recheck=True) == ["check laser", "check pump", "measure rabi"]
    walk = Walk({"laser"}, graph)
    walk.states["link"] = State()
    done = walk.go()
    assert "check rabi" not in done and done[-1] == "measure link" and not walk.lab.drifted


def test_a_node_out_of_spec_is_calibrated_and_what_depends_on_it_is_checked() -> None:
    walk = Walk({"pump"})
    walk.lab.t_s = 150.0
    done = walk.go()
    assert done[:3] == ["check laser", "check pump", "measure pump"]
    assert "check rabi" in done and "measure rabi" not in done
    assert walk.go() == []


def test_bad_data_lead_to_the_fault_below() -> None:
    """Only the link is stale; the fault is in the laser, three nodes below, which everybody trusts."""
    walk = Walk({"laser"})
    walk.states["link"] = State()
    done = walk.go()
    assert done == ["check link", "check rabi", "check pump", "check laser", "measure laser", "measure pump",
                    "measure rabi", "check imaging", "measure link"]  # fmt: skip
    assert not walk.lab.drifted


class ForgivingLab(ToyLab):
    """Every node still works when something below has drifted, but the link falls: it is out of spec."""

    def _sees(self, node: Node) -> Verdict:
        return OUT if node.name in self.drifted or (node.name == "link" and self.drifted) else IN


def test_a_node_that_only_watches_has_everything_below_diagnosed() -> None:
    """Only the link is stale and falls short; the laser has drifted below nodes that are in spec and fresh."""
    graph = Graph(Node(node.name, node.experiment, node.depends, 100.0,
                       limits={"rate": (1.0, 2.0)} if node.name == "link" else {})
                  for node in chain().nodes.values())  # fmt: skip
    walk = Walk({"laser"}, graph)
    walk.lab = ForgivingLab(graph, {"laser"})
    walk.states["link"] = State()
    done = walk.go()
    assert done[:3] == ["check link", "check laser", "measure laser"] and done[-1] == "measure link"
    assert {"check pump", "check rabi", "check imaging"} < set(done)
    assert not walk.lab.drifted


ALL = ("laser", "pump", "imaging", "rabi", "link")


@pytest.mark.parametrize("drifted", [set(), {"laser"}, {"pump", "imaging"}, set(ALL)])
@pytest.mark.parametrize("stale", [("link",), ALL, ("rabi", "link")])
def test_every_node_is_touched_at_most_twice_and_a_second_pass_is_quiet(
    drifted: set[str], stale: tuple[str, ...]
) -> None:
    walk = Walk(drifted)
    walk.states.update({name: State() for name in stale})
    done = [entry.split()[1] for entry in walk.go()]
    assert all(done.count(name) <= 2 for name in walk.graph.nodes), done
    again = walk.go()
    assert all(entry.startswith("check") for entry in again)
    assert walk.go() == []


def test_a_belief_that_somebody_changed_makes_its_node_stale() -> None:
    walk = Walk()
    walk.lab.believed["rabi"] = 2.0
    assert walk.go() == ["check rabi"]


def test_a_node_that_stays_bad_ends_in_an_error_and_spares_what_depends_on_it() -> None:
    walk = Walk(known=False)
    walk.lab.broken = {"pump"}
    with pytest.raises(DataError, match="pump"):
        walk.go()
    assert [visit.action for visit in walk.visits if visit.node in ("rabi", "link")] == ["skip", "skip"]
    assert walk.states["laser"].verdict == IN and walk.states["imaging"].verdict == IN


def test_a_cycle_is_refused_with_its_members() -> None:
    with pytest.raises(UsageError, match=r"laser -> rabi -> pump -> laser"):
        chain(laser=("rabi",))


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([Node("a", "x:X"), Node("a", "y:Y")], "twice"),
        ([Node("a", "x:X", depends=("b",))], "depends on 'b'"),
        ([Node("a", "x:X", depends=("a",))], "a -> a"),
        ([Node("a", "x:X", timeout_s=0.0)], "timeout_s"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(nodes: list[Node], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Graph(nodes)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(UsageError, match="must be one of: laser"):
        chain().order("lasr")


# -- verdicts

NODE = Node("rabi", "x:X", tolerances={"param.bob.t_mw_pi_s": 0.5}, limits={"contrast": (0.8, 1.0)})


def result(value: float, error: float = 0.1, contrast: float = 0.9) -> Result:
    return Result("", {"contrast": Estimate(contrast, 0.02)}, {"param.bob.t_mw_pi_s": Estimate(value, error)})


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (result(10.2), IN),
        (result(11.0), OUT),
        (result(10.7, error=0.4), IN),  # less than two of its errors
        (result(10.0, error=0.6), OUT),  # the check is too short to tell
        (result(10.0, contrast=0.7), OUT),
        (result(10.0, contrast=0.78), IN),
        (Result("", {}), BAD),
        (None, BAD),
    ],
)
def test_verdicts(measured: Result | None, verdict: Verdict) -> None:
    assert judge(NODE, measured, {"param.bob.t_mw_pi_s": 10.0})[0] == verdict


def test_a_new_belief_is_not_judged_by_the_old_one() -> None:
    assert judge(NODE, result(15.0), {"param.bob.t_mw_pi_s": 10.0}, measured=True)[0] == IN


# -- the experiment that walks

PARAMETER = "param.bob.t_mw_pi_s"


class Thermometer(EnvExperiment):
    """A calibration without a lab: `truth` is the class's; its analysis sets the belief where it is told to."""

    truth = 12e-6
    fails = ""

    def build(self) -> None:
        self.setattr_device("scheduler")
        self.setattr_argument("shots", NumberValue(10, type="int", precision=0, step=1))
        self.apply = self.get_argument("apply", NumberValue(0, type="int", precision=0, step=1))

    def run(self) -> None:
        if self.fails:
            raise DeviceError(self.fails)
        self.set_dataset("scan.shots", self.shots)
        self.set_dataset("run.complete", 1)

    def analyze(self) -> None:
        from drivers.parameter_store import ParameterStore

        estimate = Estimate(self.truth, 1e-8, 100, unit="s")
        self.result = Result("thermometer", {"t": estimate}, {PARAMETER: estimate})
        if self.apply:
            ParameterStore.of(self).set_all({PARAMETER: (self.truth, "s")}, "thermometer")


class ToyCalibration(Calibrate):
    table = (Node("t", "toy:Thermometer", check={"shots": 3}, tolerances={PARAMETER: 1e-7}),)


def calibration(tmp_path: Path, shared: dict[str, Any], target: str = "t", scheduler: Scheduler | None = None) -> Any:
    (tmp_path / "device_db.py").touch()
    devices, datasets, given, defaults = managers({"target": target}, scheduler, shared)
    experiment = ToyCalibration((devices, datasets, given, defaults))
    experiment.counter = lambda: 0
    return experiment, datasets


@pytest.fixture(autouse=True)
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.calibration.subexperiment.load_class", lambda name: Thermometer)
    monkeypatch.setattr(Thermometer, "truth", 12e-6)
    monkeypatch.setattr(Thermometer, "fails", "")


def test_the_experiment_checks_calibrates_and_then_leaves_alone(tmp_path: Path) -> None:
    shared: dict[str, Any] = {}
    for actions in (["check", "measure"], ["skip"]):
        experiment, datasets = calibration(tmp_path, shared)
        experiment.prepare()
        experiment.run()
        assert [visit.action for visit in experiment.visits] == actions
    assert shared[PARAMETER] == 12e-6 and json.loads(shared["calibration.t.state"])[""]["verdict"] == "in spec"
    assert [row["action"] for row in line_log.read(tmp_path / "calibration.log")] == ["check", "measure"]
    assert json.loads(datasets.local["calibration.states"])["t"]["age_s"] < 60


def test_datasets_of_a_node_appear_under_its_name(tmp_path: Path) -> None:
    experiment, datasets = calibration(tmp_path, {})
    experiment.prepare()
    experiment.run()
    assert datasets.local["calibration.t.check.scan.shots"] == 3
    assert datasets.local["calibration.t.measure.scan.shots"] == 10
    assert "scan.shots" not in datasets.local


def test_a_lab_that_fails_is_bad_data_and_the_belief_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thermometer, "fails", "no light")
    shared: dict[str, Any] = {}
    experiment, datasets = calibration(tmp_path, shared)
    experiment.prepare()
    with pytest.raises(DataError, match="t not in spec"):
        experiment.run()
    assert PARAMETER not in shared and "no light" in datasets.local["calibration.visits"]


def test_a_dry_run_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment, datasets = calibration(tmp_path, {})
    experiment.dry_run = True
    experiment.prepare()
    experiment.run()
    assert "t: to be checked, never checked" in capsys.readouterr().out
    assert not datasets.local and not (tmp_path / "calibration.log").exists()


def test_a_child_that_was_stopped_stops_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thermometer, "run", lambda self: self.set_dataset("run.complete", 0))
    experiment, datasets = calibration(tmp_path, {})
    experiment.prepare()
    experiment.run()
    assert not experiment.visits and datasets.local["run.complete"] == 0


def test_a_child_is_not_given_an_argument_it_does_not_have(tmp_path: Path) -> None:
    experiment, _ = calibration(tmp_path, {})
    with pytest.raises(UsageError, match="no argument shot, has shots, apply"):
        run_child(experiment, Thermometer, {"shot": 3}, "t")
