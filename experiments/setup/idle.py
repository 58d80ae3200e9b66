"""Leave the lab safe while nothing runs: all light off, shutters closed.

Also the idle and the startup kernel (`artiq_compile`, then `artiq_coremgmt config write -f idle_kernel FILE`): the core
device runs it whenever no experiment does, after a crash of the host, too.
"""

from artiq.experiment import EnvExperiment, kernel, now_mu

from drivers.network import topology
from experiments.sequences.nodes import Nodes


class Idle(EnvExperiment):
    """Close the shutters

    +--[ all beams off ]--[ shutters closed ]--+
    """

    kernel_invariants = {"nodes"}

    def build(self) -> None:
        self.setattr_device("core")
        self.nodes = Nodes(self, topology(self).node_names)

    def prepare(self) -> None:
        """Read the beliefs of every node."""
        self.call_child_method("prepare")

    @kernel
    def run(self):
        """Reset the core device and leave every node dark."""
        self.nodes.close()
        self.core.wait_until_mu(now_mu())  # the shutters are closed when the experiment is over
