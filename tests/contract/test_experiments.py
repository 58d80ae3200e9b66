"""What every experiment promises: a twin where it concludes, arguments with tooltips, nodes that can be carried out."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
from artiq.master.databases import DeviceDB

from analysis.twins import module_name, twin_of
from drivers import parameters
from experiments.calibration.child import load_class
from experiments.calibration.graph import Graph
from experiments.calibration.nodes import NODES
from sim.command.examine import ExaminedDevices

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

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        assert key not in self.tooltips, f"argument {key} is asked for twice"
        self.tooltips[key] = tooltip
        return processor.default()


def built(made: Any) -> Asked:
    """Build an experiment with dummy devices and return its arguments."""
    asked = Asked()
    made((ExaminedDevices(DeviceDB(str(ROOT / "device_db.py"))), NoDatasets(), asked, {}))
    return asked


def experiments_that_conclude() -> list[tuple[str, str]]:
    """Return (module, class) of every experiment that calls its twin."""
    found = []
    for path in sorted((ROOT / "experiments").rglob("*.py")):
        text = path.read_text()
        if "conclude(self" in text or "conclude_run(self" in text:
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found += [(module, node.name) for node in ast.parse(text).body if isinstance(node, ast.ClassDef)
                      and any(getattr(base, "id", "") == "EnvExperiment" for base in node.bases)]  # fmt: skip
    return found


@pytest.mark.parametrize(("module", "name"), experiments_that_conclude())
def test_an_experiment_that_concludes_has_a_twin_and_explains_its_arguments(module: str, name: str) -> None:
    assert twin_of(name) is not None, f"analysis/{module_name(name)}.py must have analyse and figure"
    made = getattr(importlib.import_module(module), name)
    assert made.__doc__ and "\n" in made.__doc__.strip(), "the docstring draws the sequence below the name"
    without = [key for key, tooltip in built(made).tooltips.items() if not tooltip]
    assert not without, f"arguments without tooltip: {without}"


def test_the_graph_of_the_lab_can_be_laid_out() -> None:
    assert Graph(NODES).order()


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_every_node_can_be_carried_out(node: Any) -> None:
    made = load_class(node.experiment)
    arguments = set(built(made).tooltips)
    assert {*node.check, *node.measure} <= arguments
    assert "apply" in arguments or not node.tolerances
    assert "apply" not in {*node.check, *node.measure}, "whether a result is applied is the graph's to say"
    assert set(node.tolerances) <= set(parameters.TABLE) and (node.tolerances or node.limits)


def test_class_names_give_module_names() -> None:
    names = {"MicrowaveRabi": "microwave_rabi", "HbtG2": "hbt_g2", "CZBellState": "cz_bell_state"}
    assert {name: module_name(name) for name in names} == names
    assert twin_of("NoSuchExperiment") is None and twin_of("Load") is None
