"""How strong the control light has to be: weak, the photon is too long for its window; strong, for its cloud."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable

from experiments.sequences.scan import Axis, Point
from experiments.sequences.stored_scan import StoredScan


class ControlPower(StoredScan, EnvExperiment):
    """Control power

    control at amplitude a: ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ read, gate ] ) x shots
    """

    simulated_in = "memory"

    def build(self) -> None:
        axis = Axis("a_control", Scannable(RangeScan(0.2, 0.65, 10), global_min=0.0, global_max=1.0, precision=3),
                    "", "DDS amplitude of the control light, of full scale.")  # fmt: skip
        self.build_scan(axis, shots=2000)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return a point's row at its amplitude."""
        self.store.control(self.store.memory.frequency, point.a_control)
        return super().measure(point)
