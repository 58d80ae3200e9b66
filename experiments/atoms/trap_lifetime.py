"""How long an atom stays in its tweezer in the dark."""

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, delay_mu, kernel

from experiments.sequences.scan import Axis
from experiments.sequences.survival import SurvivalScan


class TrapLifetime(SurvivalScan, EnvExperiment):
    """Trap lifetime

    load --[ cool ]____ t_hold in the dark ____[ image ]--> next shot
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_hold", Scannable(RangeScan(0.0, 120.0, 7), unit="s", global_min=0.0, global_max=3600.0), "s",
                  "Time in the dark between cooling and image."),
            shots=40,
        )  # fmt: skip

    @kernel
    def act(self, t_mu: TInt64):
        """Wait in the dark."""
        delay_mu(t_mu)
