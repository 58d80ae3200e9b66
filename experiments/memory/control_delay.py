"""When the control light has to go off for a photon to be inside: the memory's clock against the photon."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.stored_photons import StoredPhotons


class ControlDelay(EnvExperiment):
    """Control delay

    ( pump --[ excite ]--/photon/ t_off |control off --- t_storage ---[ control: read, gate ] ) x shots
    Too early, the rest of the photon finds an absorbing cloud; too late, its front is out already: clicks before the
    read-out (`leaked`), taken beside those at it.
    """

    simulated_in = "memory"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.store = StoredPhotons(self)
        self.nodes = self.store.nodes
        self.scan = Scan(
            self,
            (Axis("t_off", Scannable(RangeScan(0.1e-6, 0.8e-6, 8), unit="us", global_min=0.0, global_max=1e-3),
                  "s", "The control light goes off so long after first light."),),
            shares=("clicks", "n_clicks"),
            shots=1500,
        )  # fmt: skip

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        for point in self.scan.points:
            self.store.check([self.store.storage], point.t_off)

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.store.init, self.store.close, self.store.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return clicks at the read-out and before it, of passing photons, and of noise."""
        row = self.store.row(self.scan.shots, self.store.storage, point.t_off)
        leaked = self.store.leaked(self.scan.shots, self.store.storage, point.t_off)
        return {**row, "leaked": sum(leaked[1:]), "n_leaked": self.store.done}

    def analyze(self) -> None:
        """Fit the points; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
