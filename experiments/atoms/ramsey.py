"""Ramsey fringes of the Zeeman pair: the magnetic field at the atoms, and how long they keep phase."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, at_mu, kernel, kHz, now_mu, us

from atomlink.at_port import belief
from drivers import parameters
from experiments.sequences.raman import Fringes, Raman
from experiments.sequences.scan import Axis
from experiments.sequences.states import States
from experiments.sequences.survival import SurvivalScan


class Ramsey(SurvivalScan, EnvExperiment):
    """Ramsey

    load --[ cool ]--[ |0> ]--[ pi/2 ]____ t_wait ____[ pi/2, axis turned by f_offset t_wait ]
         --[ map |1>, push out ]--[ image ]--> next shot
    The axis precesses at the believed frequency plus f_offset: fringes at f_offset + believed - true.
    """

    def build(self) -> None:
        self.build_scan(
            Axis("t_wait", Scannable(RangeScan(5 * us, 125 * us, 25), unit="us", global_min=5 * us,
                                      global_max=10000 * us), "s", "From pulse to pulse."),
            shots=30,
        )  # fmt: skip
        self.fringes = Fringes(
            self, 50 * kHz, 1 * kHz,
            "Frequency of the fringes if the belief is right; larger than any error it may have.",
        )  # fmt: skip
        self.states = States(self, self.nodes)
        self.raman = Raman(self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        super().prepare()
        for node in self.nodes.names:
            parameters.get(self, belief(node, "t2_s"))  # filed: the analysis takes it off the decay
        self.pow = 0

    def run_level(self) -> dict[str, Any]:
        """Return what the analysis needs beside the rows."""
        believed = [node.qubit.larmor for node in self.nodes.nodes]
        return {**super().run_level(), **self.fringes.run_level(), "scan.f_believed": believed}

    def measure(self, point: Any) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        self.pow = self.fringes.pow_after(point.t_wait)
        return self.survival.measure(self.core.seconds_to_mu(point.t_wait), self.scan.shots)

    @kernel
    def act(self, t_mu: TInt64):
        """Two quarter turns, the second about an axis that has gone on."""
        self.states.zero()
        t_ref_mu = now_mu()
        self.raman.refer(t_ref_mu, 0)
        self.raman.quarter_turn()
        t_end_mu = now_mu()
        self.raman.refer(t_ref_mu, self.pow)
        at_mu(t_end_mu + t_mu)
        self.raman.quarter_turn()
        self.states.push_out_one()
