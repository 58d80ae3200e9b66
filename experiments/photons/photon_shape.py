"""The shape of each node's photon at the detectors."""

from typing import Any

from artiq.experiment import EnvExperiment

from experiments.sequences.arrivals import Arrivals
from experiments.sequences.conclude import conclude
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Point, Scan
from experiments.sequences.two_nodes import TwoNodes


class PhotonShape(EnvExperiment):
    """Photon shape

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors: time stamps ] ) x shots
    once with alice's light, once with bob's; times count from the excitation's switch edge.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=30_000, repeats=1)
        self.nodes = TwoNodes(self)
        photons = PhotonCounter(self, self.nodes, watch=True)
        self.arrivals = Arrivals(self, photons)

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take photons of one node after the other; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, self.arrivals.run_level())

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return the histograms of both nodes."""
        return self.arrivals.measure(self.scan.shots)

    def analyze(self) -> None:
        """Find arrival, length, and clicks per attempt of each node."""
        self.result = conclude(self, self.scan)
