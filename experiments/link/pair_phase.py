"""The phase of the heralded pairs, by which the second end's axes have to be turned."""

import math
from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_link
from experiments.sequences.pair_counts import PairCounts
from experiments.sequences.pairs import Pairs
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.settings import HALF, Setting, X


class PairPhase(EnvExperiment):
    """Pair phase

    herald --[ wait ]--[ first along x, second along azimuth: axis -> z ]--[ map |1>, push out ]--[ image both ]--> next
    Outcomes agree most often where the second axis stands at the pair's phase; each azimuth takes `shots` pairs.
    Azimuths are as every experiment has them: on top of the phase that is believed.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("azimuth", Scannable(RangeScan(0.0, 1.5 * math.pi, 4), unit="rad", scale=1, global_min=-2 * math.pi,
                                       global_max=2 * math.pi),
                  "rad", "Azimuth of the second end's axis; the first one's is 0."),),
            shares={"": ("equal", "n")},
            shots=50,
        )  # fmt: skip
        self.nodes = ask_link(self)
        self.pairs = Pairs(self, self.nodes, choose_feed_forward=False)
        self.counts = PairCounts(self.pairs)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        self.point_to(0.0)  # the kernel has a setting before the first point, so that it compiles

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.counts.open()
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, self.counts.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how often both atoms did the same, of so many pairs."""
        self.point_to(point.azimuth)
        neither, second, first, both = self.counts.measure(self.scan.shots)["table"]
        return {"equal": neither + both, "n": neither + second + first + both}

    def point_to(self, azimuth: float) -> None:
        """Measure the first end along x and the second along the equator at this azimuth (rad)."""
        self.pairs.setup((Setting("phase", (X, (HALF, azimuth))),))

    def analyze(self) -> None:
        """Find the phase; with `apply` it is added to what the lab believes."""
        self.result = conclude(self, self.scan)
