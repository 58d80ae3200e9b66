"""Where control light and photon are on two-photon resonance."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.analyse_run import conclude
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.stored_photons import StoredPhotons


class ControlDetuning(EnvExperiment):
    """Control detuning

    control at frequency f: ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ read, gate ] ) x shots
    """

    simulated_in = "memory"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.store = StoredPhotons(self)
        self.nodes = self.store.nodes
        self.scan = Scan(
            self,
            (Axis("f_control", Scannable(RangeScan(74e6, 86e6, 9), unit="MHz", global_min=1e6, global_max=400e6),
                  "Hz", "Frequency of the control light's AOM."),),
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
        self.store.control(point.f_control, self.store.memory.amplitude)
        return self.store.row(self.scan.shots, self.store.storage)

    def analyze(self) -> None:
        """Fit the points; with `apply` they become what the lab believes."""
        self.result = conclude(self, self.scan)
