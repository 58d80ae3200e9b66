"""Clicks per attempt of each node against the strength of its excitation light."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from drivers import parameters
from drivers.rtio.heralder import SINGLES
from drivers.rtio.photon_port import believed_timing
from experiments.sequences.conclude import conclude
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.two_nodes import TwoNodes

SERIES = {"alice": ("clicks_alice", "n_alice"), "bob": ("clicks_bob", "n_bob")}


class EmissionEfficiency(EnvExperiment):
    """Emission efficiency

    per amplitude:  load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) x shots
    once with alice's light, once with bob's; counts the attempts in which exactly one detector clicked, those in which
    the atoms were still there afterwards.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("amplitude", Scannable(RangeScan(0.1, 1.0, 10), global_min=0.0, global_max=1.0), "",
                  "DDS amplitude of the excitation beam, fraction of full scale."),),
            shares=SERIES,
            shots=4000,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        self.photons = PhotonCounter(self, self.nodes, watch=True)

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.timing = believed_timing(self)
        parameters.get(self, "param.link.dark_rate_hz")  # filed with the results: the analysis takes dark clicks off

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.nodes.close)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return the attempts of each node, and in how many of them one detector clicked."""
        row: dict[str, Any] = {}
        for node, lit in (("alice", (1.0, 0.0)), ("bob", (0.0, 1.0))):
            self.photons.drive(point.amplitude * lit[0], point.amplitude * lit[1])
            counts = self.photons.count(self.timing, SINGLES, self.scan.shots, sure=True)
            row |= {f"clicks_{node}": sum(counts[p] for p in SINGLES), f"n_{node}": int(self.photons.done)}
        self.photons.excite(True, True)
        return row

    def analyze(self) -> None:
        """Find the best amplitude; with `apply` it and its efficiency become what the lab believes."""
        self.result = conclude(self, self.scan)
