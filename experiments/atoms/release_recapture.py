"""Release and recapture: how hot the atoms are."""

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, us
from artiq.language.core import delay, delay_mu

from atomlink.at_port import belief
from drivers import parameters
from experiments.sequences.scan import Axis
from experiments.sequences.survival import SurvivalScan

TRAP = ("trap_depth_k", "trap_waist_m", "trap_wavelength_m")


class ReleaseRecapture(SurvivalScan, EnvExperiment):
    """Release and recapture

    trap  ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾|__ t_release __|‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾
    load --[ cool ]--------- in the dark --------[ image ]--> next shot
    Two writes to the DAC of the trap must be 5 us apart; at 0 it stays on.
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_release", Scannable(RangeScan(8 * us, 64 * us, 8), unit="us", global_min=0.0,
                                         global_max=10000 * us), "s", "The trap is off for so long."),
            shots=60,
        )  # fmt: skip

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        super().prepare()
        for node in self.nodes.names:
            for name in TRAP:  # filed with the results: the analysis rests on them
                parameters.get(self, belief(node, name))

    @kernel
    def act(self, t_mu: TInt64):
        """Let the atoms fly for a while."""
        delay(20 * us)  # the DAC is written ahead of the cursor
        if t_mu > 0:
            for node in self.nodes.nodes:  # takes no time on the timeline
                node.tweezers.release()
            delay_mu(t_mu)
            for node in self.nodes.nodes:
                node.tweezers.restore()
        delay(20 * us)
