"""Atom-photon entanglement: what each node's atom is in once a detector of H or V has seen its photon."""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment

from drivers import parameters
from drivers.rtio.photon_port import believed_timing
from experiments.sequences import atom_photon
from experiments.sequences.conclude import conclude
from experiments.sequences.live import Columns, Plot, share_points
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.readout import Readout
from experiments.sequences.scan import Point, Scan
from experiments.sequences.settings import XX, YY, ZZ
from experiments.sequences.two_nodes import TwoNodes

AXES = {"x": XX, "y": YY, "z": ZZ}  # of the atom; each setting has the same axis for both


def correlations(node: str) -> Plot:
    """Return the plot of a node's correlations of atom and photon along x, y and z (0, 1, 2)."""

    def of(columns: Columns) -> dict[str, Any]:
        counts = [np.sum(columns[f"{node}_{axis}"], axis=0) for axis in AXES]  # (detector, outcome)
        agree = [c[0, 1] + c[2, 1] + c[1, 0] + c[3, 0] for c in counts]
        x, share, error = share_points(range(len(AXES)), agree, [c.sum() for c in counts])
        return {"y": 2 * share - 1, "x": x, "error": 2 * error}

    return Plot(node, "xy", of)


class AtomPhoton(EnvExperiment):
    """Atom-photon correlations

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) until one detector clicks
         --[ Raman: axis -> z ]--[ microwave: |1> -> F = 2 ]--[ push out ]--[ image that node ]--> next shot
    once with alice's light, once with bob's, along x, y and z of the atom. Detectors are fixed to H and V.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=20, repeats=10, plots=[correlations(node) for node in parameters.NODES])
        self.nodes = TwoNodes(self)
        photons = PhotonCounter(self, self.nodes, watch=True)
        self.correlations = atom_photon.AtomPhoton(self, self.nodes, photons, Readout(self, self.nodes))

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")
        self.correlations.setup(believed_timing(self), tuple(AXES.values()))

    def run(self) -> None:
        """Take clicks of one node after the other; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.nodes.close)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return, for each node and axis, clicks by detector and outcome of its atom (0: gone, 1: still there)."""
        return {
            f"{node}_{axis}": self.correlations.measure(node, k, self.scan.shots)
            for node in parameters.NODES
            for k, axis in enumerate(AXES)
        }

    def analyze(self) -> None:
        """Find the correlations of atom and photon."""
        self.result = conclude(self, self.scan)
