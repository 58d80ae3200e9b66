"""How long photons take from each node: the delays that let them meet at the station."""

from artiq.experiment import EnvExperiment

from atomlink.at_port import belief
from drivers import parameters
from experiments.sequences.analyse_run import conclude
from experiments.sequences.arrivals import Arrivals
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Scan


class FibreDelay(EnvExperiment):
    """Fibre delay matching

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors: time stamps ] ) x shots
    once with each node's light; the first tenth of the photons tells the delay, since their shape is known.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=3000, repeats=10)
        self.nodes = ask_link(self)
        self.arrivals = Arrivals(self, self.scan, self.nodes, PhotonCounter(self, self.nodes))

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")
        for node in self.nodes.names:
            parameters.get(self, belief(node, "t_wavepacket_s"))  # filed with the results: the analysis rests on it

    def run(self) -> None:
        """Take photons of one node after the other."""
        self.arrivals.run()

    def analyze(self) -> None:
        """Find the delays; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
