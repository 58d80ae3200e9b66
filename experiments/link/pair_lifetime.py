"""Scan the time that a heralded pair waits before it is measured: how long does it stay entangled?"""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, us

from atomlink.at_port import belief
from drivers import parameters
from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_link
from experiments.sequences.pair_counts import PairCounts, fidelity_curve
from experiments.sequences.pairs import Pairs
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.settings import XX, YY, ZZ


class PairLifetime(EnvExperiment):
    """Pair lifetime

    load --[ recool ]--( pump --[ excite ]--[ gate ]) until a herald --+
      +----------------------------------------------------------------+
      +--[ t_wait, in the dark ]--[ Raman: X, Y or Z of both -> z ]--[ map ]--[ push out F = 2 ]--[ image ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        wait = Scannable(RangeScan(30 * us, 380 * us, 8), unit="us", global_min=1 * us, global_max=1.0)
        self.scan = Scan(self, (Axis("t_wait", wait, "s", "From the herald to the analysis pulse."),), shots=90,
                         plots=[fidelity_curve("t_wait")])  # fmt: skip
        self.nodes = ask_link(self)
        self.pairs = Pairs(self, self.nodes, wait=False, choose_feed_forward=False)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        self.pairs.setup((XX, YY, ZZ))
        self.counts = PairCounts(self.pairs)
        for node in self.nodes.names:
            for name in ("t2_star_s", "t2_s"):
                parameters.get(self, belief(node, name))  # filed, for comparison

    def run(self) -> None:
        """Take pairs at each waiting time; keep what there is when asked to stop."""
        self.counts.open()
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, self.counts.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return the outcomes of `shots` pairs that waited for t_wait."""
        self.pairs.set_wait(point.t_wait)
        return self.counts.measure(self.scan.shots)

    def analyze(self) -> None:
        """Find the coherence time of the pairs."""
        self.result = conclude(self, self.scan)
