"""Atom-photon entanglement: what each node's atom is in once a detector of H or V has seen its photon."""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment

from drivers.rtio.attempt import believed_timing
from experiments.sequences import atom_photon
from experiments.sequences.analyse_run import conclude
from experiments.sequences.backend import need_polarisations
from experiments.sequences.live import Columns, Plot, column, share_points
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.readout import Readout
from experiments.sequences.scan import Point, Scan
from experiments.sequences.settings import XX, YY, ZZ

AXES = {"x": XX, "y": YY, "z": ZZ}  # of the atom; each setting has the same axis for both


def correlations(node: str, i: int, h: int) -> Plot:
    """Return the plot of the correlations of atom and photon of node i along x, y and z (0, 1, 2).

    `h` is the mask of the detectors of H; an H photon and an atom still there agree.
    """

    def of(columns: Columns) -> dict[str, Any]:
        counts = [np.sum(column(columns, (axis, i)), axis=0) for axis in AXES]  # (detectors, outcomes)
        agree = [sum(row[(h >> k) & 1] for k, row in enumerate(c)) for c in counts]
        x, share, error = share_points(range(len(AXES)), agree, [c.sum() for c in counts])
        return {"y": 2 * share - 1, "x": x, "error": 2 * error}

    return Plot(node, "xy", of)


class AtomPhoton(EnvExperiment):
    """Atom-photon correlations

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) until one detector clicks
         --[ Raman: axis -> z ]--[ microwave: |1> -> F = 2 ]--[ push out ]--[ image that node ]--> next shot
    with the light of one node after the other, along x, y and z of the atom. Detectors are fixed to H and V.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_link(self)
        self.scan = Scan(self, (), shots=20, repeats=10)
        photons = PhotonCounter(self, self.nodes, watch=True)
        self.correlations = atom_photon.AtomPhoton(self, self.nodes, photons, Readout(self, self.nodes))
        if photons.herald is not None:
            h = photons.herald.mask("h")
            self.scan.plots = tuple(correlations(node, i, h) for i, node in enumerate(self.nodes.names))

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        need_polarisations(self, self.nodes)
        self.call_child_method("prepare")
        self.correlations.setup(believed_timing(self, self.nodes.link), tuple(AXES.values()))

    def run(self) -> None:
        """Take clicks of one node after the other; keep what there is when asked to stop."""
        level = {**self.nodes.run_level(), "scan.detectors": ",".join(self.correlations.herald.station.roles)}
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, level)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return, by axis, clicks (nodes, detectors, outcomes) of each node's atom (0: gone, 1: still there)."""
        found = [
            [self.correlations.measure(node, k, self.scan.shots) for k in range(len(AXES))] for node in self.nodes.names
        ]
        return {axis: [of_node[k] for of_node in found] for k, axis in enumerate(AXES)}

    def analyze(self) -> None:
        """Find the correlations of atom and photon."""
        self.result = conclude(self, self.scan)
