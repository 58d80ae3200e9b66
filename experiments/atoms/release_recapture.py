"""Release and recapture: how hot the atoms are."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, us
from artiq.language.core import delay, delay_mu, parallel

from drivers import parameters
from experiments.sequences.conclude import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.survival import SHARES, Survival
from experiments.sequences.two_nodes import TwoNodes

TRAP = ("trap_depth_k", "trap_waist_m", "trap_wavelength_m")


class ReleaseRecapture(EnvExperiment):
    """Release and recapture

    trap  ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾|__ t_release __|‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾
    load --[ cool ]--------- in the dark --------[ image ]--> next shot
    Two writes to the DAC of the trap must be 5 us apart; at 0 it stays on.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("t_release", Scannable(RangeScan(8 * us, 64 * us, 8), unit="us", global_min=0.0,
                                         global_max=10000 * us), "s", "The trap is off for so long."),),
            shares=SHARES,
            shots=60,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        self.survival = Survival(self, self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        for node in parameters.NODES:
            for name in TRAP:  # filed with the results: the analysis rests on them
                parameters.get(self, f"param.{node}.{name}")

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.survival.begin, self.nodes.close)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were recaptured."""
        return self.survival.measure(self.core.seconds_to_mu(point.t_release), self.scan.shots)

    def analyze(self) -> None:
        """Fit the temperatures."""
        self.result = conclude(self, self.scan)

    @kernel
    def act(self, t_mu: TInt64):
        """Let the atoms fly for a while."""
        delay(20 * us)  # the DAC is written ahead of the cursor
        if t_mu > 0:
            with parallel:
                self.nodes.alice.tweezers.release()
                self.nodes.bob.tweezers.release()
            delay_mu(t_mu)
            with parallel:
                self.nodes.alice.tweezers.restore()
                self.nodes.bob.tweezers.restore()
        delay(20 * us)
