"""The histogram of fluorescence counts: where the threshold goes, and how often it errs."""

from typing import Any

from artiq.experiment import EnvExperiment, TInt32, kernel
from artiq.language.core import parallel

from drivers import parameters
from experiments.sequences.conclude import conclude
from experiments.sequences.live import counts_histogram
from experiments.sequences.scan import Point, Scan
from experiments.sequences.two_nodes import TwoNodes

MAX_SHOTS = 1000  # of one call of the kernel: its buffer
NAMES = ("first_alice", "second_alice", "first_bob", "second_bob")


class ImagingHistogram(EnvExperiment):
    """Imaging histogram

    --[ push out ]--[ try to load ]--[ cool ]--[ image ]--[ image again ]--> next shot
    The second image tells how many atoms the first one cost, and how often the two disagree.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        plots = [counts_histogram(node, f"first_{node}") for node in parameters.NODES]
        self.scan = Scan(self, (), shots=100, repeats=8, plots=plots)
        self.nodes = TwoNodes(self)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.call_child_method("prepare")
        self.first_alice = [0] * MAX_SHOTS
        self.first_bob = [0] * MAX_SHOTS
        self.second_alice = [0] * MAX_SHOTS
        self.second_bob = [0] * MAX_SHOTS

    def run(self) -> None:
        """Take the rows; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.begin, self.nodes.close)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return the counts of both images of so many shots."""
        row: dict[str, list[int]] = {name: [] for name in NAMES}
        for start in range(0, self.scan.shots, MAX_SHOTS):
            shots = min(MAX_SHOTS, self.scan.shots - start)
            self.take(shots)
            for name in NAMES:
                row[name] += getattr(self, name)[:shots]
        return row

    def analyze(self) -> None:
        """Find the thresholds; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def begin(self):
        """Initialise the nodes; imaging leaves what there is in F = 2."""
        self.nodes.init()
        self.nodes.image()

    @kernel
    def take(self, shots: TInt32):
        """Keep the counts of two images of what one try loaded."""
        self.core.break_realtime()
        for k in range(shots):
            self.nodes.push_out()
            with parallel:
                self.nodes.alice.imaging.load()
                self.nodes.bob.imaging.load()
            self.nodes.cool()
            self.nodes.image()
            self.first_alice[k] = self.nodes.counts_alice
            self.first_bob[k] = self.nodes.counts_bob
            self.nodes.image()
            self.second_alice[k] = self.nodes.counts_alice
            self.second_bob[k] = self.nodes.counts_bob
