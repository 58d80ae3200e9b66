"""How long photons take from each node: the delays that let them meet at the midpoint."""

from typing import Any

from artiq.experiment import EnumerationValue, EnvExperiment

from drivers import parameters
from drivers.rtio.heralder import BACKENDS, make_heralder
from drivers.rtio.photon_port import PhotonPort
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
        self.setattr_argument(
            "backend",
            EnumerationValue(list(BACKENDS), default="entangler"),
            "Heralding",
            "entangler: gateware repeats the attempt; software: the kernel does, pulse by pulse.",
        )
        self.nodes = TwoNodes(self)
        port = PhotonPort(self, self.nodes.alice, self.nodes.bob)
        self.arrivals = Arrivals(self, PhotonCounter(self, self.nodes, make_heralder(self, port, self.backend)))

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
