"""Rabi oscillations of the microwave that maps |1> to F = 2: its pi time, node by node."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, us
from artiq.language.core import parallel

from experiments.sequences.conclude import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.states import States
from experiments.sequences.survival import SHARES, Survival
from experiments.sequences.two_nodes import TwoNodes


class MicrowaveRabi(EnvExperiment):
    """Microwave Rabi

    load --[ cool ]--[ pump ]--( [ excite ] ) x 6 --[ microwave t_mw ]--[ push out F = 2 ]--[ image ]--> next shot
    An atom that is still there was in F = 1. Only |1> (m = +1) is driven, half of the atoms: the contrast is 1/2.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("t_mw", Scannable(RangeScan(0.0, 30 * us, 16), unit="us", global_min=0.0, global_max=1000 * us),
                  "s", "Length of the microwave pulse."),),
            shares=SHARES,
            shots=40,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        self.states = States(self, self.nodes)
        self.survival = Survival(self, self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.survival.begin, self.nodes.close)

    def analyze(self) -> None:
        """Fit the pi times; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        return self.survival.measure(self.core.seconds_to_mu(point.t_mw), self.scan.shots)

    @kernel
    def act(self, t_mw_mu: TInt64):
        """Prepare F = 1, drive, and push out F = 2."""
        self.states.f1()
        if t_mw_mu > 0:
            with parallel:
                self.nodes.alice.qubit.microwave.pulse_mu(t_mw_mu)
                self.nodes.bob.qubit.microwave.pulse_mu(t_mw_mu)
        self.nodes.push_out()
