"""How long photons take from each node: the delays that let them meet at the midpoint."""

from typing import Any

from artiq.experiment import EnvExperiment

from drivers import parameters
from experiments.sequences.arrivals import Arrivals
from experiments.sequences.conclude import conclude
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Point, Scan
from experiments.sequences.two_nodes import TwoNodes


class FibreDelay(EnvExperiment):
    """Fibre delay matching

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors: time stamps ] ) x shots
    once with each node's light; the first tenth of the photons tells the delay, since their shape is known.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=30_000, repeats=1)
        self.nodes = TwoNodes(self)
        self.arrivals = Arrivals(self, PhotonCounter(self, self.nodes))

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")
        for node in parameters.NODES:
            parameters.get(self, f"param.{node}.t_wavepacket_s")  # filed with the results: the analysis rests on it

    def run(self) -> None:
        """Take photons of one node after the other; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, self.arrivals.run_level())

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return the histograms of both nodes."""
        return self.arrivals.measure(self.scan.shots)

    def analyze(self) -> None:
        """Find the delays; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
