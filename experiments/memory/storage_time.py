"""How long a stored photon lives, and how much of it comes back."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.stored_photons import StoredPhotons


class StorageTime(EnvExperiment):
    """Storage time

    ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ control: read, gate ] ) x shots
    with, for each point, photons that pass an empty cloud (what there was to store) and read-outs without a photon.
    """

    simulated_in = "memory"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.store = StoredPhotons(self, storage_s=None)
        self.nodes = self.store.nodes
        self.scan = Scan(
            self,
            (Axis("t_storage", Scannable(RangeScan(1e-6, 301e-6, 7), unit="us", global_min=0.0, global_max=1.0),
                  "s", "From the photon's first light in the cloud to the read-out's."),),
            shares=("clicks", "n_clicks"),
            shots=2000,
        )  # fmt: skip

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.store.check(point.t_storage for point in self.scan.points)

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.store.init, self.store.close, self.store.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return clicks of stored and of passing photons, and of noise."""
        return self.store.row(self.scan.shots, point.t_storage)

    def analyze(self) -> None:
        """Fit the points; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
