"""The histogram of fluorescence counts: where the threshold goes, and how often it errs."""

from typing import Any

from artiq.experiment import EnvExperiment, TInt32, kernel

from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import counts_histogram
from experiments.sequences.nodes import ask_nodes
from experiments.sequences.scan import Point, Scan

MAX_SHOTS = 1000  # of one call of the kernel: its buffer


class ImagingHistogram(EnvExperiment):
    """Imaging histogram

    --[ push out ]--[ try to load ]--[ cool ]--[ image ]--[ image again ]--> next shot
    The second image tells how many atoms the first one cost, and how often the two disagree.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_nodes(self)
        plots = [counts_histogram(node, ("first", i)) for i, node in enumerate(self.nodes.names)]
        self.scan = Scan(self, (), shots=100, repeats=8, plots=plots)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.call_child_method("prepare")
        self.first, self.second = ([0] * (MAX_SHOTS * self.nodes.n) for _ in range(2))  # node by node

    def run(self) -> None:
        """Take the rows; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.begin, self.nodes.close, self.nodes.run_level())

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return the counts of both images of so many shots, (nodes, shots) each."""
        row: dict[str, list[list[int]]] = {name: [[] for _ in self.nodes.names] for name in ("first", "second")}
        for start in range(0, self.scan.shots, MAX_SHOTS):
            shots = min(MAX_SHOTS, self.scan.shots - start)
            self.take(shots)
            for name, counts in (("first", self.first), ("second", self.second)):
                for i, held in enumerate(row[name]):
                    held += [int(n) for n in counts[i * MAX_SHOTS : i * MAX_SHOTS + shots]]
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
            self.nodes.load_all()
            self.nodes.cool()
            self.nodes.image()
            for i in range(self.nodes.n):
                self.first[i * MAX_SHOTS + k] = self.nodes.counts[i]
            self.nodes.image()
            for i in range(self.nodes.n):
                self.second[i * MAX_SHOTS + k] = self.nodes.counts[i]
