"""Rabi oscillations of the Raman beams on the Zeeman pair: their pi time, node by node."""

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, now_mu, us

from experiments.sequences.raman import Raman
from experiments.sequences.scan import Axis
from experiments.sequences.states import States
from experiments.sequences.survival import SurvivalScan


class RamanRabi(SurvivalScan, EnvExperiment):
    """Raman Rabi

    load --[ cool ]--[ pump ]--( [ excite ] ) x 6 --[ map |1>, push out: |0> ]--[ Raman t_raman ]
         --[ map |1>, push out ]--[ image ]--> next shot
    An atom that is still there was in |0> twice; half of the atoms are lost at the first push-out.
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_raman", Scannable(RangeScan(0.0, 6 * us, 13), unit="us", global_min=0.0, global_max=1000 * us),
                  "s", "Length of the Raman pulse."),
            shots=40,
        )  # fmt: skip
        self.states = States(self, self.nodes)
        self.raman = Raman(self, self.nodes)

    @kernel
    def act(self, t_mu: TInt64):
        """Prepare |0>, rotate, and push out |1>."""
        self.states.zero()
        self.raman.refer(now_mu(), 0)
        self.raman.turn_mu(t_mu)
        self.states.push_out_one()
