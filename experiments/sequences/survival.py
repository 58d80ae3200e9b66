"""The shot that most measurements on atoms share: what is done to the atoms, and are they still there?

    load --[ cool ]--[ experiment.act(x) ]--[ image ]--> next shot
`act` is a kernel method of the experiment; it begins with cold atoms in F = 2 and ends in the dark.
"""

from typing import Any

from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt32, TInt64

from atomlink.errors import DeviceError
from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import Nodes, ask_nodes
from experiments.sequences.scan import Axis, Point, Scan, by_node


class Survival(HasEnvironment):
    """Take shots and count the atoms that are still there, node by node."""

    kernel_invariants = {"core", "nodes", "experiment"}

    def build(self, experiment: Any, nodes: Nodes) -> None:
        self.experiment = experiment
        self.nodes = nodes
        self.core = self.get_device("core")
        self.bright = [0] * nodes.n

    def measure(self, x_mu: int, shots: int) -> dict[str, Any]:
        """Return one row: survivors of so many shots with `act(x_mu)`; DeviceError where no atom can be loaded."""
        if not self.take(x_mu, shots):
            raise DeviceError(self.nodes.no_atom_message())
        return {"bright": [int(n) for n in self.bright], "n": shots}

    @kernel
    def begin(self):
        """Initialise the nodes and look for atoms."""
        self.nodes.init()
        self.nodes.image()

    @kernel
    def take(self, x_mu: TInt64, shots: TInt32) -> TBool:
        """Count the atoms that survive; return False where none could be loaded."""
        self.core.break_realtime()
        for i in range(self.nodes.n):
            self.bright[i] = 0
        for _ in range(shots):
            if not self.nodes.load():
                return False
            self.nodes.cool()
            self.experiment.act(x_mu)
            self.nodes.image()
            for i in range(self.nodes.n):
                if self.nodes.there[i]:
                    self.bright[i] += 1
        return True


class SurvivalScan(HasEnvironment):
    """An experiment that scans one time and counts survivors: it has an `axis`, `shots`, and the kernel `act`.

        class TrapLifetime(SurvivalScan, EnvExperiment):
            def build(self):
                self.build_scan(Axis("t_hold", Scannable(…), "s", "…"), shots=40)
    """

    def build_scan(self, axis: Axis, shots: int) -> None:
        """Ask for nodes and scan, and make what shots need; part of `build`."""
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_nodes(self)
        self.axis = axis
        self.scan = Scan(self, (axis,), shares=by_node(self.nodes.names, "bright", "n"), shots=shots)
        self.survival = Survival(self, self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.survival.begin, self.nodes.close, self.run_level())

    def run_level(self) -> dict[str, Any]:
        """Return what the analysis needs beside the rows."""
        return self.nodes.run_level()

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many atoms of so many were still there."""
        return self.survival.measure(self.core.seconds_to_mu(getattr(point, self.axis.name)), self.scan.shots)

    def analyze(self) -> None:
        """Analyse the scan; with `apply` its result becomes what the lab believes."""
        self.result = conclude(self, self.scan)
