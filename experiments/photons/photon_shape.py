"""The shape of each node's photon at the detectors."""

from artiq.experiment import EnvExperiment

from experiments.sequences.analyse_run import conclude
from experiments.sequences.arrivals import Arrivals
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Scan


class PhotonShape(EnvExperiment):
    """Photon shape

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors: time stamps ] ) x shots
    with the light of one node after the other; times count from the excitation's switch edge.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=3000, repeats=10)
        self.nodes = ask_link(self)
        self.arrivals = Arrivals(self, self.scan, self.nodes, PhotonCounter(self, self.nodes, watch=True))

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take photons of one node after the other."""
        self.arrivals.run()

    def analyze(self) -> None:
        """Find arrival, length, and clicks per attempt of each node."""
        self.result = conclude(self, self.scan)
