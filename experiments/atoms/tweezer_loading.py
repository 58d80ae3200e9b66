"""How fast, and how often, a tweezer loads."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt32, TInt64, kernel, ms

from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_nodes
from experiments.sequences.scan import Axis, Point, Scan, by_node


class TweezerLoading(EnvExperiment):
    """Tweezer loading

    --[ push out what there is ]--[ coil + cooling + repump: t_loading ]____ field decays ____[ image ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_nodes(self)
        self.scan = Scan(
            self,
            (Axis("t_loading", Scannable(RangeScan(2 * ms, 80 * ms, 10), unit="ms", global_min=0.0, global_max=10.0),
                  "s", "Time with coil and cooling light on."),),
            shares=by_node(self.nodes.names, "bright", "n"),
            shots=60,
        )  # fmt: skip

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        self.bright = [0] * self.nodes.n

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.begin, self.nodes.close, self.nodes.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many of so many tries loaded an atom."""
        self.take(self.core.seconds_to_mu(point.t_loading), self.scan.shots)
        return {"bright": [int(n) for n in self.bright], "n": self.scan.shots}

    def analyze(self) -> None:
        """Fit filling and loading time."""
        self.result = conclude(self, self.scan)

    @kernel
    def begin(self):
        """Initialise the nodes; imaging leaves what there is in F = 2."""
        self.nodes.init()
        self.nodes.image()

    @kernel
    def take(self, t_mu: TInt64, shots: TInt32):
        """Count the tries that end with an atom."""
        self.core.break_realtime()
        for i in range(self.nodes.n):
            self.bright[i] = 0
        for _ in range(shots):
            self.nodes.push_out()  # imaging left what there was in F = 2
            self.nodes.load_all_mu(t_mu)
            self.nodes.image()
            for i in range(self.nodes.n):
                if self.nodes.there[i]:
                    self.bright[i] += 1
