"""One atom and everything that acts on it: beams, tweezers, imaging and qubit, behind one name.

The atom at a node's first port is called as the node, others as "node.port" (`atomlink.at_port`). A port has light of
its own behind Urukuls of its own; cooling light with its repump light, microwave, coil, trap and shutter are the
node's, and of several atoms of one node in a run one (`acts`) sees to them. `repump` is what pumping needs: at the
first port it is the node's, and lights every atom there.
"""

from artiq.language.core import delay, delay_mu, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.units import ms, us

from atomlink.at_port import PORT_ROLES, belief, node_of, row
from drivers import parameters
from drivers.network import topology
from drivers.rtio.beam import Beam
from drivers.rtio.imaging import Imaging
from drivers.rtio.qubit import Qubit
from drivers.rtio.voltages import Tweezers

COARSE_MU = 8


class Node(HasEnvironment):
    """An atom in a tweezer in a cavity, and everything that acts on it."""

    kernel_invariants = {"core", "acts", "cplds", "shutter", "cooling", "node_repump", "repump", "own_repump",
                         "pumping", "excitation", "raman_a", "raman_b", "pushout", "imaging", "qubit", "tweezers",
                         "shutter_mu", "other_ports", "n_other_ports"}  # fmt: skip

    def build(self, name: str, acts: bool = True) -> None:
        self.name = name
        self.acts = acts
        self.core = self.get_device("core")
        self.cplds = [self.get_device(f"{name}_cpld") for name in self._urukuls()]
        self.shutter = self.get_device(row(name, "shutter"))
        self.cooling = Beam(self, name, "cooling", acts)
        self.node_repump = Beam(self, node_of(name), "repump", acts)
        self.own_repump = name != node_of(name)
        self.repump = Beam(self, name, "repump") if self.own_repump else self.node_repump
        self.pumping = Beam(self, name, "pumping")
        self.excitation = Beam(self, name, "excitation")
        self.raman_a = Beam(self, name, "raman_a")
        self.raman_b = Beam(self, name, "raman_b")
        self.pushout = Beam(self, name, "pushout")
        self.imaging = Imaging(self, name, self.cooling, self.node_repump, self.pushout, acts)
        self.qubit = Qubit(self, name, self.raman_a, self.raman_b, acts)
        self.tweezers = Tweezers(self, name, acts)
        others = [port.atom for port in topology(self).node(node_of(name)).ports if port.atom != name]
        switches = [self.get_device(row(atom, f"sw_{role}")) for atom in others for role in PORT_ROLES]
        self.n_other_ports = len(switches) if acts else 0
        self.other_ports = switches or [self.shutter]  # kernels take no empty list

    def _urukuls(self) -> list[str]:
        """Return the Urukuls that this atom initialises: those of its node's shared light, and of its port's own."""
        node = node_of(self.name)
        if self.name == node:
            return [f"{node}_urukul0", f"{node}_urukul1"]
        own = [f"{self.name.replace('.', '_')}_urukul{k}" for k in range(2)]
        return [f"{node}_urukul0", *own] if self.acts else own

    def prepare(self) -> None:
        """Read the beliefs of every part; `qubit` comes after its beams."""
        self.shutter_mu = parameters.duration_mu(self, belief(self.name, "t_shutter_s"))
        self.call_child_method("prepare")

    @kernel
    def init(self):
        """Initialise every device: all light off, voltages at their set points, shutter open."""
        for cpld in self.cplds:
            cpld.init()
        delay(1 * ms)
        self.cooling.init()
        self.node_repump.init()
        if self.own_repump:
            self.repump.init()
        self.pumping.init()
        self.excitation.init()
        self.raman_a.init()
        self.raman_b.init()
        self.pushout.init()
        self.qubit.init()
        self.tweezers.init()
        self.off()
        self.shutter.on()
        delay_mu(self.shutter_mu)

    @kernel
    def off(self):
        """Switch off every light, field and microwave that an experiment could have left on, within a microsecond."""
        self.imaging.off()
        delay_mu(COARSE_MU)  # nine events of one time would need nine lanes; a satellite has eight
        self.qubit.off()
        delay_mu(COARSE_MU)
        self.pumping.off()
        self.excitation.off()
        if self.own_repump:
            self.repump.off()
        for k in range(self.n_other_ports):
            delay_mu(COARSE_MU)
            self.other_ports[k].off()
        delay(1 * us)

    @kernel
    def close(self):
        """Leave atom and node safe: everything off, shutter closed. The trap stays on."""
        self.off()
        self.shutter.off()
        delay_mu(self.shutter_mu)
