"""Prepare what all atoms are in: F = 2, m = 0 by optical pumping, F = 1 as an unpolarised qubit, or |0>.

    ready      pumping + repump |‾‾‾‾|
    f1         ready, then          |‾|_|‾|_|‾|   excitation: each pulse that has not yet emitted takes READY to F = 1
    zero       f1, then |1> mapped to F = 2 and pushed out: half of the atoms are lost, those that stay are in |0>
"""

from artiq.language.core import at_mu, delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt64
from numpy import int64

from atomlink.at_port import belief
from drivers import parameters
from experiments.sequences.nodes import Nodes

EXCITATIONS = 6  # of 0.8 each, 6e-5 stay behind
PUMP_TIMES = 3  # of the belief, which is chosen short for the attempts


class States(HasEnvironment):
    """State preparation of all nodes; the nodes are loaded and cooled before."""

    kernel_invariants = {"nodes", "pump_mu", "pulse_mu", "gap_mu"}

    def build(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.core = self.get_device("core")

    def prepare(self) -> None:
        """Read pumping and excitation times; the nodes must be prepared before."""
        pump = max(parameters.duration_mu(self, belief(node, "t_pump_s")) for node in self.nodes.names)
        pulse = max(parameters.duration_mu(self, belief(node, "t_excitation_s")) for node in self.nodes.names)
        self.pump_mu = int64(PUMP_TIMES * pump)
        self.pulse_mu = int64(pulse)
        dark = max(node.excitation.dark_mu for node in self.nodes.nodes)
        self.gap_mu = int64(dark + 1000)  # the cavity has emptied, too

    @kernel
    def ready(self):
        """Pump all atoms to F = 2, m = 0; ends when the light has left the atoms."""
        self.ready_mu(self.pump_mu)

    @kernel
    def ready_mu(self, duration_mu: TInt64):
        """Pump all atoms for `duration_mu`."""
        t_mu = now_mu()
        for node in self.nodes.nodes:
            at_mu(t_mu)
            node.pumping.pulse_mu(duration_mu)
            at_mu(t_mu)
            node.repump.pulse_mu(duration_mu)
        delay_mu(self.gap_mu)

    @kernel
    def f1(self):
        """Bring all atoms to F = 1, m = -1 or +1 with equal chances; their photons are not looked at."""
        self.ready()
        self.empty_ready()

    @kernel
    def empty_ready(self):
        """Bring the atoms that are ready to F = 1; all others stay what they are."""
        for _ in range(EXCITATIONS):
            self.excite()

    @kernel
    def excite(self):
        """Play one excitation pulse on all atoms; ends when its light has left them."""
        t_mu = now_mu()
        for node in self.nodes.nodes:
            at_mu(t_mu)
            node.excitation.pulse_mu(self.pulse_mu)
        delay_mu(self.gap_mu)

    @kernel
    def zero(self):
        """Bring all atoms to |0>, or lose them: half of either."""
        self.f1()
        self.push_out_one()

    @kernel
    def push_out_one(self):
        """Map |1> to F = 2 and push it out: an atom that is still there is in |0>."""
        self.nodes.map_to_f2()
        self.nodes.push_out()
