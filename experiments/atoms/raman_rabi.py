"""Rabi oscillations of the Raman beams on the Zeeman pair: their pi time, node by node."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, now_mu, us

from experiments.sequences.conclude import conclude
from experiments.sequences.raman import Raman
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.states import States
from experiments.sequences.survival import SHARES, Survival
from experiments.sequences.two_nodes import TwoNodes


class RamanRabi(EnvExperiment):
    """Raman Rabi

    load --[ cool ]--[ pump ]--( [ excite ] ) x 6 --[ map |1>, push out: |0> ]--[ Raman t_raman ]
         --[ map |1>, push out ]--[ image ]--> next shot
    An atom that is still there was in |0> twice; half of the atoms are lost at the first push-out.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("t_raman", Scannable(RangeScan(0.0, 6 * us, 13), unit="us", global_min=0.0, global_max=1000 * us),
                  "s", "Length of the Raman pulse."),),
            shares=SHARES,
            shots=40,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        self.states = States(self, self.nodes)
        self.raman = Raman(self, self.nodes)
        self.survival = Survival(self, self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.survival.begin, self.nodes.close)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        return self.survival.measure(self.core.seconds_to_mu(point.t_raman), self.scan.shots)

    def analyze(self) -> None:
        """Fit the pi times; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def act(self, t_mu: TInt64):
        """Prepare |0>, rotate, and push out |1>."""
        self.states.zero()
        self.raman.refer(now_mu(), 0)
        self.raman.turn_mu(t_mu, t_mu)
        self.states.push_out_one()
