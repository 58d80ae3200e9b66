"""What every experiment promises: a twin where it concludes, arguments with tooltips, nodes that can be carried out."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
from artiq.master.databases import DeviceDB

from analysis.twins import module_name, twin_of
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import parameters
from experiments.calibration.graph import Graph
from experiments.calibration.nodes import nodes_of
from experiments.calibration.subexperiment import load_class
from sim.command.examine import ExaminedDevices
from sim.target import scenario_files, scenario_of

NODES = nodes_of(pair(("alice", "bob"), FOUR))

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

ROOT = Path(__file__).resolve().parents[2]


class NoDatasets:
    """A dataset manager without datasets."""

    def get(self, key: str, archive: bool = False) -> Any:
        raise KeyError(key)

    def set(self, *_: Any) -> None:
        """Keep nothing."""


class Asked:
    """An argument manager that notes what is asked for and gives the defaults."""

    def __init__(self) -> None:
        self.tooltips: dict[str, str | None] = {}
        self.groups: dict[str, str | None] = {}
        self.processors: dict[str, Any] = {}
        self.experiment: Any = None

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        assert key not in self.tooltips, f"argument {key} is asked for twice"
        self.tooltips[key], self.groups[key], self.processors[key] = tooltip, group, processor
        return processor.default()


def built(made: Any) -> Asked:
    """Build an experiment with dummy devices and return its arguments."""
    asked = Asked()
    asked.experiment = made((ExaminedDevices(DeviceDB(str(ROOT / "device_db.py"))), NoDatasets(), asked, {}))
    return asked


def experiments(*words: str) -> list[tuple[str, str]]:
    """Return (module, class) of every experiment, or of those whose file has one of these words."""
    found = []
    for path in sorted((ROOT / "experiments").rglob("*.py")):
        text = path.read_text()
        if not words or any(word in text for word in words):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found += [(module, node.name) for node in ast.parse(text).body if isinstance(node, ast.ClassDef)
                      and any(getattr(base, "id", "") == "EnvExperiment" for base in node.bases)]  # fmt: skip
    return found


@pytest.mark.parametrize(("module", "name"), experiments("conclude(self", "conclude_run(self"))
def test_an_experiment_that_concludes_has_a_twin_and_explains_its_arguments(module: str, name: str) -> None:
    assert twin_of(name) is not None, f"analysis/experiments/{module_name(name)}.py must have analyse and figure"
    made = getattr(importlib.import_module(module), name)
    assert made.__doc__ and "\n" in made.__doc__.strip(), "the docstring draws the sequence below the name"
    without = [key for key, tooltip in built(made).tooltips.items() if not tooltip]
    assert not without, f"arguments without tooltip: {without}"


# who opens its applets
SHOWN = ("create_applet", "Live(self", "ProgressPlot(self", "RecordedPairs(self", "Arrivals(self")
UNWATCHED = ("Idle", "Pulse")  # over in an instant


@pytest.mark.parametrize(("module", "name"), [each for each in experiments() if each[1] not in UNWATCHED])
def test_whoever_watches_an_experiment_sees_a_live_plot(module: str, name: str) -> None:
    made = built(getattr(importlib.import_module(module), name)).experiment
    scan = getattr(made, "scan", None)
    shown = scan is not None and (scan.plots or (scan.shares and 1 <= len(scan.axes) <= 2))
    assert shown or any(word in (ROOT / f"{module.replace('.', '/')}.py").read_text() for word in SHOWN)


@pytest.mark.parametrize(("module", "name"), experiments())
def test_every_argument_has_a_group(module: str, name: str) -> None:
    groups = built(getattr(importlib.import_module(module), name)).groups
    assert [key for key, group in groups.items() if not group] == []


@pytest.mark.parametrize(("module", "name"), experiments("simulated_in"))
def test_the_scenario_that_an_experiment_names_is_a_shipped_one(module: str, name: str) -> None:
    assert scenario_of(getattr(importlib.import_module(module), name)) in scenario_files()


def test_the_graph_of_the_lab_can_be_laid_out() -> None:
    assert Graph(NODES).order()


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_every_node_can_be_carried_out(node: Any) -> None:
    made = load_class(node.experiment)
    arguments = set(built(made).tooltips)
    assert {*node.check, *node.measure} <= arguments
    assert "apply" in arguments or not node.tolerances
    assert "apply" not in {*node.check, *node.measure}, "whether a result is applied is the graph's to say"
    assert set(node.tolerances) <= set(TABLE) and (node.tolerances or node.limits)


def test_class_names_give_module_names() -> None:
    names = {"MicrowaveRabi": "microwave_rabi", "HbtG2": "hbt_g2", "CZBellState": "cz_bell_state"}
    assert {name: module_name(name) for name in names} == names
    assert twin_of("NoSuchExperiment") is None and twin_of("Load") is None
