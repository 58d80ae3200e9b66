"""The shape of each node's photon at the detectors."""

from artiq.experiment import EnvExperiment

from experiments.sequences.arrivals import Arrivals
from experiments.sequences.conclude import conclude
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Scan
from experiments.sequences.two_nodes import TwoNodes


class PhotonShape(EnvExperiment):
    """Photon shape

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors: time stamps ] ) x shots
    once with alice's light, once with bob's; times count from the excitation's switch edge.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=3000, repeats=10)
        nodes = TwoNodes(self)
        self.arrivals = Arrivals(self, self.scan, nodes, PhotonCounter(self, nodes, watch=True))

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take photons of one node after the other."""
        self.arrivals.run()

    def analyze(self) -> None:
        """Find arrival, length, and clicks per attempt of each node."""
        self.result = conclude(self, self.scan)
