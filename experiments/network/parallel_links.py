"""Herald on two links at once: does each link herald as often beside the other as alone?"""

from typing import Any

from artiq.experiment import EnvExperiment

from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Point, Scan
from experiments.sequences.side_by_side import SideBySide, ask_links, rates_plot


class ParallelLinks(EnvExperiment):
    """Parallel links

    load all --[ cool ]--+--[ recool ]--+--( link 0: pump, excite, gate ) x block --+--> ten times --[ still there? ]
      ^                  |              +--( link 1: pump, excite, gate ) x block --+                     |
      +------------------+--------------------------------------------------------------------------------+
    First with each link alone, then with all of them side by side; a link that heralds goes on beside the others.
    """

    simulated_in = "chain3"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.links = ask_links(self)
        self.scan = Scan(self, (), shots=100, repeats=10, plots=[rates_plot("links alone, then side by side")])
        self.side_by_side = SideBySide(self, self.links)
        self.nodes = self.side_by_side.nodes

    def prepare(self) -> None:
        """Read the beliefs and lay out every link's attempt."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take so many blocks of each kind in every row; keep what there is when asked to stop."""
        level = {**self.nodes.run_level(), "scan.links": ",".join(link.name for link in self.links),
                 "scan.block": self.side_by_side.block, "scan.herald": self.side_by_side.backend}  # fmt: skip
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, level)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return heralds, attempts and seconds: of each link alone, then of each beside the others, (2 links,)."""
        links = range(len(self.links))
        return self.side_by_side.row([*((k,) for k in links), tuple(links)], self.scan.shots)

    def analyze(self) -> None:
        """Compare the rates side by side with those alone."""
        self.result = conclude(self, self.scan)
