"""A link monitor with a calibration of its own, for tests/experiments/test_link_monitor.py."""

import time
from pathlib import Path

from artiq.experiment import BooleanValue, EnvExperiment, StringValue

from drivers.network import topology
from drivers.parameter_store import ParameterStore
from experiments.calibration.graph import Node, State, Verdict
from experiments.calibration.history import History
from experiments.calibration.nodes import nodes_of
from experiments.link.link_monitor import LinkMonitor


def cavity(experiment: EnvExperiment) -> Node:
    """Return the calibration of the cavities."""
    return next(node for node in nodes_of(topology(experiment)) if node.name == "cavity")


class Monitored(LinkMonitor):
    """Submits the class below."""

    calibration = Path(__file__)

    def analyze(self) -> None:
        """Leave that to the test: twins go by the class's name."""


class Neglected(Monitored):
    """The cavity was checked last in 1970."""

    def prepare(self) -> None:
        super().prepare()
        self.history.keep(cavity(self), State(Verdict.IN_SPEC, 1.0), 1.0, 0)


class Calibrate(EnvExperiment):
    """Finds that bob's map takes 10.1 us, and that the link is worse than it was thought to be."""

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("target", StringValue(""))
        self.setattr_argument("recheck", BooleanValue(False))

    def run(self) -> None:
        why = "rechecking" if self.recheck else "keeping up"
        print(f"{why} {self.target} with priority {self.scheduler.priority}")
        store = ParameterStore.of(self)
        store.set("param.bob.t_mw_pi_s", 10.1e-6, "s", "calibration of a test")
        History(self).keep(cavity(self), State(Verdict.IN_SPEC, time.time()), time.time(), 0)
