"""Load the nodes again and again and look at the images: is there an atom, how bright, does it stay?"""

# ARTIQ's annotations are calls, TList(TFloat), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

import numpy as np
from artiq.experiment import EnvExperiment, TBool, TerminationRequested, TInt32, TList, kernel, rpc

from drivers.progress import Progress
from experiments.sequences.analyse_run import conclude_run
from experiments.sequences.filing import ending, file_datasets
from experiments.sequences.live import Live, counts_histogram
from experiments.sequences.nodes import ask_nodes
from experiments.sequences.recorder import provenance, stopped
from experiments.sequences.whole_numbers import ask_whole

CHECK_SHOTS = 8  # shots between two looks at the scheduler
SHOWN_SHOTS = 10  # shots between two updates of the plots: counts of the image after loading


class LoadAndImage(EnvExperiment):
    """Load and image

    --[ push out ]--[ image ]--[ load the empty ones ]--[ image ]--[ image again ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        ask_whole(self, "n_shots", 200, 1, 100_000, "Statistics", "How often the nodes are loaded.", step=10)
        self.nodes = ask_nodes(self)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.call_child_method("prepare")
        self.done = 0

    def run(self) -> None:
        """Take the images; keep what there is when asked to stop."""
        self.images: list[list[int]] = []
        self.live = Live(self, [counts_histogram(node, node) for node in self.nodes.names])
        self.live.open()
        complete = False
        try:
            with Progress(self.n_shots, "images") as self.progress:
                while not complete:
                    self.nodes.init()
                    complete = self.take_images()
                    if not complete:
                        self.nodes.close()
                        self.core.comm.close()
                        self.scheduler.pause()
        except (TerminationRequested, KeyboardInterrupt):
            print(stopped(len(self.images) // 3, self.n_shots, "shots"))
        finally:
            with ending(self.nodes.close):
                self.archive(complete)

    def archive(self, complete: bool) -> None:
        """Write counts and presence, (shots, 3, nodes): before loading, after, and once more."""
        whole = len(self.images) // 3 * 3
        counts = np.array(self.images[:whole], dtype=np.int32).reshape(-1, 3, self.nodes.n)
        threshold = np.array(self.nodes.thresholds())
        self.datasets = {"images.counts": counts, "images.present": (counts > threshold).astype(np.int32),
                         "images.threshold": threshold, "images.nodes": ",".join(self.nodes.names)}  # fmt: skip
        units = {"images.counts": "counts", "images.threshold": "counts"}
        file_datasets(self, {**self.datasets, **provenance(self), "run.complete": int(complete)}, units)
        if whole:
            self.show()

    def analyze(self) -> None:
        """Print loading probability and survival of an image, node by node."""
        conclude_run(self, self.datasets, apply=False)

    @kernel
    def take_images(self) -> TBool:
        """Take shots until there are enough (True) or a pause is due (False)."""
        self.core.break_realtime()
        complete = True
        while self.done < self.n_shots and complete:
            self.nodes.push_out()
            self.nodes.image()
            self.record(0, self.nodes.counts)
            self.nodes.load_once()
            self.record(1, self.nodes.counts)
            self.nodes.image()
            self.record(2, self.nodes.counts)
            self.done += 1
            if self.done % CHECK_SHOTS == 0:
                complete = not self.scheduler.check_pause()
                self.core.break_realtime()
        return complete or self.done >= self.n_shots

    @rpc(flags={"async"})
    def record(self, image: TInt32, counts: TList(TInt32)) -> None:
        """Keep one image; a shot counts when its third has come."""
        self.images.append([int(n) for n in counts])
        if image == 2:
            self.progress.update(len(self.images) // 3)
            if len(self.images) % (3 * SHOWN_SHOTS) == 0:
                self.show()

    def show(self) -> None:
        """Publish the counts after loading."""
        self.live.publish(dict(zip(self.nodes.names, zip(*self.images[1::3], strict=True), strict=True)))
