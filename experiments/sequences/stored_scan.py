"""An experiment that scans one setting of a memory, or the storage time, and counts what comes back."""

from typing import Any

from artiq.language.environment import HasEnvironment

from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.stored_photons import StoredPhotons


class StoredScan(HasEnvironment):
    """Scan `axis`; what it changes is said by `storage_s` and `off_s`, or set by a `measure` of the experiment's own.

        class ControlPower(StoredScan, EnvExperiment):
            def build(self):
                self.build_scan(Axis("a_control", Scannable(…), "", "…"), shots=1500)
    """

    def build_scan(self, axis: Axis, shots: int, storage_s: float | None = 5e-6) -> None:
        """Ask for memory and scan; part of `build`. storage_s as in `StoredPhotons`."""
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.store = StoredPhotons(self, storage_s)
        self.nodes = self.store.nodes
        self.scan = Scan(self, (axis,), shares=("clicks", "n_clicks"), shots=shots)

    def storage_s(self, point: Point) -> float:
        """Return the storage time of a point."""
        return self.store.storage

    def off_s(self, point: Point) -> float | None:
        """Return when the control light goes off after first light; None: when the lab believes it should."""
        return None

    def prepare(self) -> None:
        """Read the beliefs, lay out timing and points, and refuse those outside the memory's window."""
        self.call_child_method("prepare")
        for point in self.scan.points:
            self.store.check([self.storage_s(point)], self.off_s(point))

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.store.init, self.store.close, self.store.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return clicks of stored and of passing photons, and of noise."""
        return self.store.row(self.scan.shots, self.storage_s(point), self.off_s(point))

    def analyze(self) -> None:
        """Fit the points; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
