"""A link monitor with a calibration of its own, for tests/experiments/test_link_monitor.py."""

from pathlib import Path

from artiq.experiment import BooleanValue, EnvExperiment, StringValue

from drivers.parameter_store import ParameterStore
from experiments.link.link_monitor import LinkMonitor


class Monitored(LinkMonitor):
    """Submits the class below."""

    calibration = Path(__file__)

    def analyze(self) -> None:
        """Leave that to the test: twins go by the class's name."""


class Calibrate(EnvExperiment):
    """Finds that bob's map takes 10.1 us, and that the link is worse than it was thought to be."""

    def build(self) -> None:
        self.setattr_device("scheduler")
        self.setattr_argument("target", StringValue(""))
        self.setattr_argument("dry_run", BooleanValue(False))

    def run(self) -> None:
        print(f"calibrating {self.target} with priority {self.scheduler.priority}")
        store = ParameterStore.of(self)
        store.set("param.bob.t_mw_pi_s", 10.1e-6, "s", "calibration of a test")
