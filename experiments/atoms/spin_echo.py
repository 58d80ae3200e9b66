"""Spin echo of the Zeeman pair: how long a qubit lives once slow field noise is undone."""

from typing import Any

from artiq.experiment import (
    EnvExperiment,
    RangeScan,
    Scannable,
    TInt64,
    at_mu,
    kernel,
    kHz,
    ms,
    now_mu,
    us,
)

from experiments.sequences.raman import Fringes, Raman
from experiments.sequences.scan import Axis
from experiments.sequences.states import States
from experiments.sequences.survival import SurvivalScan


class SpinEcho(SurvivalScan, EnvExperiment):
    """Spin echo

    load --[ cool ]--[ |0> ]--[ pi/2 ]___ t_wait/2 ___[ pi ]___ t_wait/2 ___[ pi/2, axis turned by f_offset t_wait ]
         --[ map |1>, push out ]--[ image ]--> next shot
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_wait", Scannable(RangeScan(20 * us, 5020 * us, 21), unit="us", global_min=20 * us,
                                      global_max=100 * ms), "s", "From the first pulse to the last."),
            shots=120,
        )  # fmt: skip
        self.fringes = Fringes(
            self, 0.8 * kHz, 0.1 * kHz,
            "The last axis turns at this frequency, so that contrast shows as fringes.",
        )  # fmt: skip
        self.states = States(self, self.nodes)
        self.raman = Raman(self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        super().prepare()
        self.pow = 0

    def run_level(self) -> dict[str, Any]:
        """Return what the analysis needs beside the rows."""
        return {**super().run_level(), **self.fringes.run_level()}

    def measure(self, point: Any) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        self.pow = self.fringes.pow_after(point.t_wait)
        return self.survival.measure(self.core.seconds_to_mu(point.t_wait), self.scan.shots)

    @kernel
    def act(self, t_mu: TInt64):
        """Quarter, half and quarter turn; the half turn sits in the middle."""
        self.states.zero()
        t_ref_mu = now_mu()
        self.raman.refer(t_ref_mu, 0)
        self.raman.quarter_turn()
        t_end_mu = now_mu()
        at_mu(t_end_mu + (t_mu >> 1))
        self.raman.half_turn()
        self.raman.refer(t_ref_mu, self.pow)
        at_mu(t_end_mu + t_mu)
        self.raman.quarter_turn()
        self.states.push_out_one()
