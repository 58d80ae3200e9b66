"""When the control light has to go off for a photon to be inside: the memory's clock against the photon."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.scan import Axis, Point
from experiments.sequences.stored_scan import StoredScan


class ControlDelay(StoredScan, EnvExperiment):
    """Control delay

    ( pump --[ excite ]--/photon/ t_off |control off --- t_storage ---[ control: read, gate ] ) x shots
    Too early, the rest of the photon finds an absorbing cloud; too late, its front is out already: clicks before the
    read-out (`leaked`), taken beside those at it.
    """

    simulated_in = "memory"

    def build(self) -> None:
        axis = Axis("t_off", Scannable(RangeScan(0.15e-6, 0.75e-6, 9), unit="us", global_min=0.0, global_max=1e-3),
                    "s", "The control light goes off so long after first light.")  # fmt: skip
        self.build_scan(axis, shots=2000)

    def off_s(self, point: Point) -> float:
        """Return what is scanned."""
        return float(point.t_off)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return a point's row, and beside it the clicks before the read-out."""
        row = super().measure(point)
        leaked = self.store.leaked(self.scan.shots, self.store.storage, point.t_off)
        return {**row, "leaked": sum(leaked[1:]), "n_leaked": self.store.done}
