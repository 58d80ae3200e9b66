"""How long a stored photon lives, and how much of it comes back."""

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.scan import Axis, Point
from experiments.sequences.stored_scan import StoredScan


class StorageTime(StoredScan, EnvExperiment):
    """Storage time

    ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ control: read, gate ] ) x shots
    with, for each point, photons that pass an empty cloud (what there was to store) and read-outs without a photon.
    """

    simulated_in = "memory"

    def build(self) -> None:
        axis = Axis("t_storage", Scannable(RangeScan(1e-6, 301e-6, 7), unit="us", global_min=0.0, global_max=1.0),
                    "s", "From the photon's first light in the cloud to the read-out's.")  # fmt: skip
        self.build_scan(axis, shots=2000, storage_s=None)

    def storage_s(self, point: Point) -> float:
        """Return what is scanned."""
        return float(point.t_storage)
