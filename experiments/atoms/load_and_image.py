"""Load both nodes again and again and look at the images: is there an atom, how bright, does it stay?"""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment, NumberValue, TBool, TerminationRequested, TInt32, kernel, rpc

from atomlink.errors import DataError
from drivers.progress import Progress
from experiments.sequences.two_nodes import TwoNodes

CHECK_SHOTS = 8  # shots between two looks at the scheduler


class LoadAndImage(EnvExperiment):
    """Load and image

    --[ push out ]--[ image ]--[ load the empty ones ]--[ image ]--[ image again ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument(
            "n_shots",
            NumberValue(200, precision=0, scale=1, step=10, min=1, max=100_000, type="int"),
            tooltip="How often both nodes are loaded.",
        )
        self.nodes = TwoNodes(self)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.call_child_method("prepare")
        self.done = 0

    def run(self) -> None:
        """Take the images; keep what there is when asked to stop."""
        self.images: list[list[int]] = []
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
            print(f"Stopped after {len(self.images) // 3} of {self.n_shots} shots; the data are kept.")
        finally:
            try:
                self.nodes.close()
            finally:
                self.archive()

    def archive(self) -> None:
        """Write counts and presence, (shots, 3, 2): before loading, after, and once more; alice, bob."""
        whole = len(self.images) // 3 * 3
        counts = np.array(self.images[:whole], dtype=np.int32).reshape(-1, 3, 2)
        threshold = np.array([self.nodes.alice.imaging.threshold, self.nodes.bob.imaging.threshold])
        self.set_dataset("images.counts", counts, unit="counts", scale=1.0)
        self.set_dataset("images.present", (counts > threshold).astype(np.int32))
        self.set_dataset("images.threshold", threshold, unit="counts", scale=1.0)

    def analyze(self) -> None:
        """Print loading probability and survival of an image, node by node."""
        present = self.get_dataset("images.present", archive=False)
        if not len(present):
            raise DataError("No image was taken: let the experiment run for at least one shot.")
        for i, node in enumerate(("alice", "bob")):
            before, after, again = present[:, 0, i], present[:, 1, i], present[:, 2, i]
            loaded = after[before == 0]
            kept = again[after == 1]
            print(f"{node}: loaded {_share(loaded)} of the tries, survived {_share(kept)} of the images")

    @kernel
    def take_images(self) -> TBool:
        """Take shots until there are enough (True) or a pause is due (False)."""
        self.core.break_realtime()
        complete = True
        while self.done < self.n_shots and complete:
            self.nodes.push_out()
            self.nodes.image()
            self.record(0, self.nodes.counts_alice, self.nodes.counts_bob)
            self.nodes.load_once()
            self.record(1, self.nodes.counts_alice, self.nodes.counts_bob)
            self.nodes.image()
            self.record(2, self.nodes.counts_alice, self.nodes.counts_bob)
            self.done += 1
            if self.done % CHECK_SHOTS == 0:
                complete = not self.scheduler.check_pause()
                self.core.break_realtime()
        return complete or self.done >= self.n_shots

    @rpc(flags={"async"})
    def record(self, image: TInt32, alice: TInt32, bob: TInt32) -> None:
        """Keep one image; a shot counts when its third has come."""
        self.images.append([int(alice), int(bob)])
        if image == 2:
            self.progress.update(len(self.images) // 3)


def _share(flags: Any) -> str:
    n = len(flags)
    if n == 0:
        return "none (no try)"
    p = float(np.mean(flags))
    return f"{p:.3f} ± {max(np.sqrt(p * (1 - p) / n), 1 / n):.3f} (n = {n})"
