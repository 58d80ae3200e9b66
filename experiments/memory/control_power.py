"""How strong the control light has to be: weak, the photon is too long for its window; strong, for its cloud."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.stored_photons import StoredPhotons


class ControlPower(EnvExperiment):
    """Control power

    control at amplitude a: ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ read, gate ] ) x shots
    """

    simulated_in = "memory"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.store = StoredPhotons(self)
        self.nodes = self.store.nodes
        self.scan = Scan(
            self,
            (Axis("a_control", Scannable(RangeScan(0.2, 0.9, 8), global_min=0.0, global_max=1.0, precision=3),
                  "", "DDS amplitude of the control light, of full scale."),),
            shares=("clicks", "n_clicks"),
            shots=1500,
        )  # fmt: skip

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.store.check([self.store.storage])

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.store.init, self.store.close, self.store.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return clicks of stored and of passing photons, and of noise."""
        self.store.control(self.store.memory.frequency, point.a_control)
        return self.store.row(self.scan.shots, self.store.storage)

    def analyze(self) -> None:
        """Fit the points; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
