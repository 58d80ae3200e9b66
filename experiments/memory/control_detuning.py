"""Where control light and photon are on two-photon resonance."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.scan import Axis, Point
from experiments.sequences.stored_scan import StoredScan


class ControlDetuning(StoredScan, EnvExperiment):
    """Control detuning

    control at frequency f: ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ read, gate ] ) x shots
    """

    simulated_in = "memory"

    def build(self) -> None:
        axis = Axis("f_control", Scannable(RangeScan(74e6, 86e6, 9), unit="MHz", global_min=1e6, global_max=400e6),
                    "Hz", "Frequency of the control light's AOM.")  # fmt: skip
        self.build_scan(axis, shots=1500)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return a point's row at its frequency."""
        self.store.control(point.f_control, self.store.memory.amplitude)
        return super().measure(point)
