"""How often does every link of the lab herald, and how often should it? The fibre switch leads to each in turn."""

from typing import Any

from artiq.experiment import EnvExperiment, StringValue

from analysis.network import beliefs_of, forecasts
from drivers import parameters
from drivers.network import topology
from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Point, Scan
from experiments.sequences.side_by_side import SideBySide, named_links, rates_plot


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
        self.links = named_links(text, network) if text else network.links
        self.scan = Scan(self, (), shots=100, repeats=5, plots=[rates_plot("link")])
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
        return self.side_by_side.row([(k,) for k in range(len(self.links))], self.scan.shots)

    def analyze(self) -> None:
        """Compare every link with what the lab believes of it."""
        self.result = conclude(self, self.scan)
