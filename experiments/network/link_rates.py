"""How often does every link of the lab herald, and how often should it? The fibre switch leads to each in turn."""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment, StringValue

from analysis.network import beliefs_of, forecasts
from drivers import parameters
from drivers.network import topology
from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import Columns, Plot
from experiments.sequences.scan import Point, Scan
from experiments.sequences.side_by_side import SideBySide


def _rates(columns: Columns) -> dict[str, Any]:
    heralds, t_s = (np.sum(columns[name], axis=0) for name in ("heralds", "t_s"))
    return {"y": heralds / t_s, "x": np.arange(len(heralds)), "error": np.sqrt(heralds + 0.5) / t_s}


RATES = Plot("rates", "xy", _rates, about=("heralds per s", "link"))


class LinkRates(EnvExperiment):
    """Link rates

    --[ switch: the ways of a link ]--[ load all ]--[ cool ]--( [ recool ]--( pump, excite, gate ) x block ) x shots --+
      ^----------------------------------------------------------------------------------------------- next link ------+
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        network = topology(self)
        text = self.get_argument(
            "links", StringValue(""), "Nodes", "Which links, separated by commas; empty: every link of the lab."
        )
        self.links = tuple(network.link(name.strip()) for name in text.split(",")) if text else network.links
        self.scan = Scan(self, (), shots=100, repeats=5, plots=[RATES])
        self.side_by_side = SideBySide(self, self.links, in_turns=True)
        self.nodes = self.side_by_side.nodes

    def prepare(self) -> None:
        """Read the beliefs, lay out every link's attempt, and work out what each should give."""
        topology(self).link()  # a lab without a link is refused
        self.call_child_method("prepare")
        names = {name for link in self.links for name in beliefs_of(link)}
        found = forecasts(topology(self), {name: parameters.get(self, name) for name in names}, self.links)
        self.forecast = [float("nan") if row.probability is None else row.probability for row in found]

    def run(self) -> None:
        """Count heralds of every link in every row; keep what there is when asked to stop."""
        level = {**self.nodes.run_level(), "scan.links": ",".join(link.name for link in self.links),
                 "scan.forecast": self.forecast, "scan.herald": self.side_by_side.backend}  # fmt: skip
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, level)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return heralds, attempts and seconds by link."""
        row: dict[str, Any] = {"heralds": [], "attempts": [], "t_s": []}
        for k in range(len(self.links)):
            t_s = self.side_by_side.count((k,), self.scan.shots)
            row["heralds"].append(int(self.side_by_side.heralds[k]))
            row["attempts"].append(int(self.side_by_side.attempts[k]))
            row["t_s"].append(t_s)
        return row

    def analyze(self) -> None:
        """Compare every link with what the lab believes of it."""
        self.result = conclude(self, self.scan)
