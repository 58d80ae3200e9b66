"""How long optical pumping takes, and how much it leaves behind."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, us

from experiments.sequences.conclude import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.states import States
from experiments.sequences.survival import SHARES, Survival
from experiments.sequences.two_nodes import TwoNodes


class OpticalPumping(EnvExperiment):
    """Optical pumping

    load --[ cool ]--[ pump + repump: t_pump ]--( [ excite ] ) x 6 --[ push out F = 2 ]--[ image ]--> next shot
    Only a pumped atom is excited; its photon leaves it in F = 1, where the push-out spares it.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("t_pump", Scannable(RangeScan(0.1 * us, 5.1 * us, 11), unit="us", global_min=0.0,
                                      global_max=1000 * us), "s", "Length of the pumping light."),),
            shares=SHARES,
            shots=60,
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

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were pumped."""
        return self.survival.measure(self.core.seconds_to_mu(point.t_pump), self.scan.shots)

    def analyze(self) -> None:
        """Fit time constants and shares; with `apply` the time that makes most heralds per second is believed."""
        self.result = conclude(self, self.scan)

    @kernel
    def act(self, t_mu: TInt64):
        """Pump, turn what is ready into F = 1, and push out the rest."""
        self.states.ready_mu(t_mu)
        self.states.empty_ready()
        self.nodes.push_out()
