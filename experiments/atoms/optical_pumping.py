"""How long optical pumping takes, and how much it leaves behind."""

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, us

from experiments.sequences.scan import Axis
from experiments.sequences.states import States
from experiments.sequences.survival import SurvivalScan


class OpticalPumping(SurvivalScan, EnvExperiment):
    """Optical pumping

    load --[ cool ]--[ pump + repump: t_pump ]--( [ excite ] ) x 6 --[ push out F = 2 ]--[ image ]--> next shot
    Only a pumped atom is excited; its photon leaves it in F = 1, where the push-out spares it.
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_pump", Scannable(RangeScan(0.1 * us, 5.1 * us, 11), unit="us", global_min=0.0,
                                      global_max=1000 * us), "s", "Length of the pumping light."),
            shots=60,
        )  # fmt: skip
        self.states = States(self, self.nodes)

    @kernel
    def act(self, t_mu: TInt64):
        """Pump, turn what is ready into F = 1, and push out the rest."""
        self.states.ready_mu(t_mu)
        self.states.empty_ready()
        self.nodes.push_out()
