"""How long an atom stays in its tweezer in the dark."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, delay_mu, kernel

from experiments.sequences.conclude import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.survival import SHARES, Survival
from experiments.sequences.two_nodes import TwoNodes


class TrapLifetime(EnvExperiment):
    """Trap lifetime

    load --[ cool ]____ t_hold in the dark ____[ image ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("t_hold", Scannable(RangeScan(0.0, 120.0, 7), unit="s", global_min=0.0, global_max=3600.0), "s",
                  "Time in the dark between cooling and image."),),
            shares=SHARES,
            shots=40,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        self.survival = Survival(self, self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.survival.begin, self.nodes.close)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        return self.survival.measure(self.core.seconds_to_mu(point.t_hold), self.scan.shots)

    def analyze(self) -> None:
        """Fit the lifetimes."""
        self.result = conclude(self, self.scan)

    @kernel
    def act(self, t_mu: TInt64):
        """Wait in the dark."""
        delay_mu(t_mu)
