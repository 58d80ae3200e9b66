"""When the photons of each node come: click times after its excitation edge, as a histogram in machine units."""

from typing import Any

from artiq.language.environment import HasEnvironment

from drivers import parameters
from drivers.rtio.attempt import believed_timing
from experiments.sequences.live import summed_histogram
from experiments.sequences.nodes import Nodes
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Scan

DRAWN = 10  # bins of 1 mu that the live plot draws as one
MARGIN_S = 100e-9  # the gate opens and shuts this much further out than in a run, so that it cuts nothing off


class Arrivals(HasEnvironment):
    """Photons of one node after the other. Rows: `h` (nodes, detectors, bins) clicks by bin of 1 mu from `t_first_s`
    on, `n` (nodes) attempts.
    """

    def build(self, scan: Scan, nodes: Nodes, photons: PhotonCounter) -> None:
        self.scan, self.nodes, self.photons = scan, nodes, photons
        self.core = self.get_device("core")

    def prepare(self) -> None:
        """Lay out the timing."""
        self.timing = believed_timing(self, self.nodes.link, 0.0, MARGIN_S)
        # Filed with the results: the analysis takes dark clicks off.
        parameters.get(self, self.nodes.link.of_station("dark_rate_hz"))
        self.bins = self.timing.gate_stop_mu - self.timing.gate_start_mu
        level = self._run_level()
        self.scan.plots = tuple(
            summed_histogram(node, ("h", i), level["scan.t_first_s"][i], self.core.ref_period, DRAWN)
            for i, node in enumerate(self.nodes.names)
        )

    def run(self) -> None:
        """Take rows of `scan.shots` attempts with each node; keep what there is when asked to stop."""
        self.scan.run(lambda _point: self._measure(self.scan.shots), self.nodes.init, self.nodes.close,
                      self._run_level())  # fmt: skip

    def _run_level(self) -> dict[str, Any]:
        """Return where the histograms begin, for each node, in s after its excitation edge, and the width of a bin."""
        period = self.core.ref_period
        starts = [(self.timing.gate_start_mu - edge) * period for edge in self.timing.excite_mu]
        return {**self.nodes.run_level(), "scan.t_first_s": starts, "scan.t_bin_s": period}

    def _measure(self, attempts: int) -> dict[str, Any]:
        """Return one row of so many attempts with each node."""
        row: dict[str, Any] = {"h": [], "n": []}
        for node in self.nodes.names:
            self.photons.excite(node)
            self.photons.count(self.timing, self.photons.herald.singles, attempts, keep_times=True, sure=True)
            row["h"].append(self._histogram(*self.photons.times()))
            row["n"].append(int(self.photons.done))
        self.photons.excite_all()
        return row

    def _histogram(self, times: list[int], detectors: list[int]) -> list[list[int]]:
        """Return clicks by detector and bin; times count from the first end's edge."""
        first = self.timing.gate_start_mu - self.timing.excite_mu[0]
        out = [[0] * self.bins for _ in range(self.photons.herald.n)]
        for t, k in zip(times, detectors, strict=True):
            if 0 <= t - first < self.bins:
                out[k][t - first] += 1
        return out
