"""Rabi oscillations of the microwave that maps |1> to F = 2: its pi time, node by node."""

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, at_mu, kernel, now_mu, us

from experiments.sequences.scan import Axis
from experiments.sequences.states import States
from experiments.sequences.survival import SurvivalScan


class MicrowaveRabi(SurvivalScan, EnvExperiment):
    """Microwave Rabi

    load --[ cool ]--[ pump ]--( [ excite ] ) x 6 --[ microwave t_mw ]--[ push out F = 2 ]--[ image ]--> next shot
    An atom that is still there was in F = 1. Only |1> (m = +1) is driven, half of the atoms: the contrast is 1/2.
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_mw", Scannable(RangeScan(0.0, 30 * us, 16), unit="us", global_min=0.0, global_max=1000 * us),
                  "s", "Length of the microwave pulse."),
            shots=40,
        )  # fmt: skip
        self.states = States(self, self.nodes)

    @kernel
    def act(self, t_mw_mu: TInt64):
        """Prepare F = 1, drive, and push out F = 2."""
        self.states.f1()
        if t_mw_mu > 0:
            t_mu = now_mu()
            for node in self.nodes.nodes:
                at_mu(t_mu)
                node.qubit.drive_mu(t_mw_mu)
        self.nodes.push_out()
