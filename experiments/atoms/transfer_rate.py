"""How much excitation light of a given power takes out of the prepared state."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TFloat, TInt64, kernel

from atomlink.at_port import belief
from drivers import parameters
from experiments.sequences.scan import Axis, Point
from experiments.sequences.states import States
from experiments.sequences.survival import SurvivalScan


class TransferRate(SurvivalScan, EnvExperiment):
    """Transfer rate

    load --[ cool ]--[ pump ]--[ excite: amplitude ]--[ push out F = 2 ]--[ image ]--> next shot
    Only an atom that the light took to F = 1 is spared by the push-out.
    """

    def build(self) -> None:
        self.build_scan(
            Axis("amplitude", Scannable(RangeScan(0.0, 1.0, 11), global_min=0.0, global_max=1.0), "",
                 "DDS amplitude of the excitation beam, fraction of full scale."),
            shots=60,
        )  # fmt: skip
        self.states = States(self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        super().prepare()
        for node in self.nodes.names:
            parameters.get(self, belief(node, "transfer_rate"))  # filed: the report shows what was believed

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        self.set_excitation(point.amplitude)
        return self.survival.measure(0, self.scan.shots)

    @kernel
    def set_excitation(self, amplitude: TFloat):
        """Give all excitation beams this amplitude."""
        self.core.break_realtime()
        for node in self.nodes.nodes:
            node.excitation.set(node.excitation.frequency, amplitude)

    @kernel
    def act(self, t_mu: TInt64):
        """Pump, excite once, and push out what stayed."""
        self.states.ready()
        self.states.excite()
        self.nodes.push_out()
