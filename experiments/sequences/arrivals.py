"""When the photons of each node come: click times after its excitation edge, as a histogram in machine units."""

from typing import Any

from artiq.language.environment import HasEnvironment

from drivers import parameters
from drivers.rtio.heralder import DETECTORS, SINGLES
from drivers.rtio.photon_port import believed_timing
from experiments.sequences.live import summed_histogram
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Scan
from experiments.sequences.two_nodes import TwoNodes

DRAWN = 10  # bins of 1 mu that the live plot draws as one
MARGIN_S = 100e-9  # the gate opens and shuts this much further out than in a run, so that it cuts nothing off


class Arrivals(HasEnvironment):
    """Photons of one node after the other. Rows: `h_NODE` (detectors, bins) clicks by bin of 1 mu from
    `t_first_mu` on, `n_NODE` attempts.
    """

    def build(self, scan: Scan, nodes: TwoNodes, photons: PhotonCounter) -> None:
        self.scan, self.nodes, self.photons = scan, nodes, photons
        self.core = self.get_device("core")

    def prepare(self) -> None:
        """Lay out the timing."""
        self.timing = believed_timing(self, 0.0, MARGIN_S)
        parameters.get(self, "param.link.dark_rate_hz")  # filed with the results: the analysis takes dark clicks off
        self.bins = self.timing.gate_stop_mu - self.timing.gate_start_mu
        level = self._run_level()
        self.scan.plots = tuple(
            summed_histogram(node, f"h_{node}", level[f"scan.t_first_{node}_s"], self.core.ref_period, DRAWN)
            for node in parameters.NODES
        )

    def run(self) -> None:
        """Take rows of `scan.shots` attempts with each node; keep what there is when asked to stop."""
        self.scan.run(lambda _point: self._measure(self.scan.shots), self.nodes.init, self.nodes.close,
                      self._run_level())  # fmt: skip

    def _run_level(self) -> dict[str, Any]:
        """Return where the histograms begin, for each node, in s after its excitation edge, and the width of a bin."""
        edges = {"alice": self.timing.excite_alice_mu, "bob": self.timing.excite_bob_mu}
        period = self.core.ref_period
        starts = {f"scan.t_first_{node}_s": (self.timing.gate_start_mu - edge) * period for node, edge in edges.items()}
        return {**starts, "scan.t_bin_s": period}

    def _measure(self, attempts: int) -> dict[str, Any]:
        """Return one row of so many attempts with each node."""
        row: dict[str, Any] = {}
        for node, lit in (("alice", (True, False)), ("bob", (False, True))):
            self.photons.excite(*lit)
            self.photons.count(self.timing, SINGLES, attempts, keep_times=True, sure=True)
            row |= {f"h_{node}": self._histogram(*self.photons.times()), f"n_{node}": int(self.photons.done)}
        self.photons.excite(True, True)
        return row

    def _histogram(self, times: list[int], detectors: list[int]) -> list[list[int]]:
        """Return clicks by detector and bin; times count from alice's edge."""
        first = self.timing.gate_start_mu - self.timing.excite_alice_mu
        out = [[0] * self.bins for _ in DETECTORS]
        for t, k in zip(times, detectors, strict=True):
            if 0 <= t - first < self.bins:
                out[k][t - first] += 1
        return out
