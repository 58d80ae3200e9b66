"""How fast, and how often, a tweezer loads."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt32, TInt64, kernel, ms
from artiq.language.core import parallel

from experiments.sequences.conclude import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.survival import SHARES
from experiments.sequences.two_nodes import TwoNodes


class TweezerLoading(EnvExperiment):
    """Tweezer loading

    --[ push out what there is ]--[ coil + cooling + repump: t_loading ]____ field decays ____[ image ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("t_loading", Scannable(RangeScan(2 * ms, 80 * ms, 10), unit="ms", global_min=0.0, global_max=10.0),
                  "s", "Time with coil and cooling light on."),),
            shares=SHARES,
            shots=60,
        )  # fmt: skip
        self.nodes = TwoNodes(self)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        self.bright_alice = 0
        self.bright_bob = 0

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.begin, self.nodes.close)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many of so many tries loaded an atom."""
        self.take(self.core.seconds_to_mu(point.t_loading), self.scan.shots)
        return {"bright_alice": self.bright_alice, "bright_bob": self.bright_bob, "n": self.scan.shots}

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
        self.bright_alice = 0
        self.bright_bob = 0
        for _ in range(shots):
            self.nodes.push_out()  # imaging left what there was in F = 2
            with parallel:
                self.nodes.alice.imaging.load_mu(t_mu)
                self.nodes.bob.imaging.load_mu(t_mu)
            self.nodes.image()
            if self.nodes.alice_there:
                self.bright_alice += 1
            if self.nodes.bob_there:
                self.bright_bob += 1
