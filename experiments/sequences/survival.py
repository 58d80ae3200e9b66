"""The shot that most measurements on atoms share: what is done to the atoms, and are they still there?

    load --[ cool ]--[ experiment.act(x) ]--[ image ]--> next shot
`act` is a kernel method of the experiment; it begins with cold atoms in F = 2 and ends in the dark.
"""

from typing import Any

from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt32, TInt64

from atomlink.errors import DeviceError
from experiments.sequences.two_nodes import TwoNodes

SHARES = {"alice": ("bright_alice", "n"), "bob": ("bright_bob", "n")}  # of `Scan`: survivors by node


class Survival(HasEnvironment):
    """Take shots and count the atoms of both nodes that are still there."""

    kernel_invariants = {"core", "nodes", "experiment"}

    def build(self, experiment: Any, nodes: TwoNodes) -> None:
        self.experiment = experiment
        self.nodes = nodes
        self.core = self.get_device("core")
        self.bright_alice = 0
        self.bright_bob = 0

    def measure(self, x_mu: int, shots: int) -> dict[str, Any]:
        """Return one row: survivors of so many shots with `act(x_mu)`; DeviceError where no atom can be loaded."""
        if not self.take(x_mu, shots):
            raise DeviceError(self.nodes.no_atom_message())
        return {"bright_alice": self.bright_alice, "bright_bob": self.bright_bob, "n": shots}

    @kernel
    def begin(self):
        """Initialise the nodes and look for atoms."""
        self.nodes.init()
        self.nodes.image()

    @kernel
    def take(self, x_mu: TInt64, shots: TInt32) -> TBool:
        """Count the atoms that survive; return False where none could be loaded."""
        self.core.break_realtime()
        self.bright_alice = 0
        self.bright_bob = 0
        for _ in range(shots):
            if not self.nodes.load():
                return False
            self.nodes.cool()
            self.experiment.act(x_mu)
            self.nodes.image()
            if self.nodes.alice_there:
                self.bright_alice += 1
            if self.nodes.bob_there:
                self.bright_bob += 1
        return True
