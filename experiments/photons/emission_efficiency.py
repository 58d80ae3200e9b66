"""Clicks per attempt of each node against the strength of its excitation light."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from drivers import parameters
from drivers.rtio.attempt import believed_timing
from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Axis, Point, Scan, by_node


class EmissionEfficiency(EnvExperiment):
    """Emission efficiency

    per amplitude:  load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) x shots
    with the light of one node after the other; counts the attempts in which exactly one detector clicked, those in
    which the atoms were still there afterwards.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_link(self)
        self.scan = Scan(
            self,
            (Axis("amplitude", Scannable(RangeScan(0.1, 1.0, 10), global_min=0.0, global_max=1.0), "",
                  "DDS amplitude of the excitation beam, fraction of full scale."),),
            shares=by_node(self.nodes.names, "clicks", "n", trials_too=True),
            shots=4000,
        )  # fmt: skip
        self.photons = PhotonCounter(self, self.nodes, watch=True)

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.timing = believed_timing(self, self.nodes.link)
        # Filed with the results: the analysis takes dark clicks off.
        parameters.get(self, self.nodes.link.of_station("dark_rate_hz"))

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, self.nodes.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return the attempts of each node, and in how many of them one detector clicked."""
        row: dict[str, Any] = {"clicks": [], "n": []}
        for node in self.nodes.names:
            self.photons.drive([point.amplitude if other == node else 0.0 for other in self.nodes.names])
            clicks, attempts = self.photons.single_clicks(self.timing, self.scan.shots)
            row["clicks"].append(clicks)
            row["n"].append(attempts)
        self.photons.excite_all()
        return row

    def analyze(self) -> None:
        """Find the best amplitude; with `apply` it and its efficiency become what the lab believes."""
        self.result = conclude(self, self.scan)
