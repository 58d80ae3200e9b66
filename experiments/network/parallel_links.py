"""Herald on two links at once: does each link herald as often beside the other as alone?"""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment

from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import Columns, Plot
from experiments.sequences.scan import Point, Scan
from experiments.sequences.side_by_side import SideBySide, ask_links


def _rates(columns: Columns) -> dict[str, Any]:
    heralds, t_s = (np.sum(columns[name], axis=0) for name in ("heralds", "t_s"))
    return {"y": heralds / t_s, "x": np.arange(len(heralds)), "error": np.sqrt(heralds + 0.5) / t_s}


RATES = Plot("rates", "xy", _rates, about=("heralds per s", "links alone, then side by side"))


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
        self.scan = Scan(self, (), shots=100, repeats=10, plots=[RATES])
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
        row: dict[str, Any] = {"heralds": [], "attempts": [], "t_s": []}
        for k in range(len(self.links)):
            self._take(row, (k,))
        self._take(row, tuple(range(len(self.links))))
        return row

    def _take(self, row: dict[str, Any], active: tuple[int, ...]) -> None:
        t_s = self.side_by_side.count(active, self.scan.shots)
        for k in active:
            row["heralds"].append(int(self.side_by_side.heralds[k]))
            row["attempts"].append(int(self.side_by_side.attempts[k]))
            row["t_s"].append(t_s)

    def analyze(self) -> None:
        """Compare the rates side by side with those alone."""
        self.result = conclude(self, self.scan)
