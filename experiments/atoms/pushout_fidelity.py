"""Push-out: how fast atoms in F = 2 leave, and how many in F = 1 leave with them."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TInt64, kernel, us
from artiq.language.core import at_mu, delay_mu, now_mu

from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_nodes
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.states import States
from experiments.sequences.survival import Survival

STATES = ("f2", "f1")


class PushoutFidelity(EnvExperiment):
    """Push-out fidelity

    load --[ cool: F = 2 ]------------------------------+--[ push out: t_pushout ]--[ image ]--> next shot
    load --[ cool ]--[ pump ]--( [ excite ] : F = 1 )----+
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_nodes(self)
        self.scan = Scan(
            self,
            (Axis("t_pushout", Scannable(RangeScan(0.0, 50 * us, 9), unit="us", global_min=0.0, global_max=10000 * us),
                  "s", "Length of the push-out light."),),
            shares={f"{node} {state}": ((state, i), "n")
                    for i, node in enumerate(self.nodes.names) for state in STATES},
            shots=50,
        )  # fmt: skip
        self.states = States(self, self.nodes)
        self.survival = Survival(self, self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        self.to_f1 = False
        self.dark_mu = max(node.pushout.dark_mu for node in self.nodes.nodes)

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.survival.begin, self.nodes.close, self.nodes.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were left, of those in F = 2 and of those in F = 1."""
        row: dict[str, Any] = {"n": self.scan.shots}
        for state in STATES:
            self.to_f1 = state == "f1"
            row[state] = self.survival.measure(self.core.seconds_to_mu(point.t_pushout), self.scan.shots)["bright"]
        return row

    def analyze(self) -> None:
        """Fit the loss of F = 2; count that of F = 1."""
        self.result = conclude(self, self.scan)

    @kernel
    def act(self, t_mu: TInt64):
        """Prepare F = 1 if asked to (cooling left F = 2), and push out."""
        if self.to_f1:
            self.states.f1()
        if t_mu > 0:
            t_start_mu = now_mu()
            for node in self.nodes.nodes:
                at_mu(t_start_mu)
                node.pushout.pulse_mu(t_mu)
            delay_mu(self.dark_mu)
