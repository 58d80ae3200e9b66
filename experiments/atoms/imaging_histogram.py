"""The histogram of fluorescence counts: where the threshold goes, and how often it errs."""

from typing import Any

from artiq.experiment import EnvExperiment, TInt32, kernel
from artiq.language.core import parallel

from experiments.sequences.conclude import conclude
from experiments.sequences.scan import Point, Scan
from experiments.sequences.two_nodes import TwoNodes

MAX_SHOTS = 1000  # of one row: the kernel's buffer


class ImagingHistogram(EnvExperiment):
    """Imaging histogram

    --[ push out ]--[ try to load ]--[ cool ]--[ image ]--[ image again ]--> next shot
    The second image tells how many atoms the first one cost, and how often the two disagree.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=100, repeats=8)
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
        shots = min(int(self.scan.shots), MAX_SHOTS)
        self.take(shots)
        return {
            "first_alice": self.first_alice[:shots], "second_alice": self.second_alice[:shots],
            "first_bob": self.first_bob[:shots], "second_bob": self.second_bob[:shots],
        }  # fmt: skip

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
