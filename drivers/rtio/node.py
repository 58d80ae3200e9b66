"""One node: beams, tweezers, imaging and qubit behind one name of the device database."""

from artiq.language.core import delay, delay_mu, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.units import ms, us

from drivers import parameters
from drivers.rtio.beam import Beam
from drivers.rtio.imaging import Imaging
from drivers.rtio.qubit import Qubit
from drivers.rtio.voltages import Tweezers

COARSE_MU = 8


class Node(HasEnvironment):
    """An atom in a tweezer in a cavity, and everything that acts on it."""

    kernel_invariants = {"core", "cpld0", "cpld1", "shutter", "cooling", "repump", "pumping", "excitation", "raman_a",
                         "raman_b", "pushout", "imaging", "qubit", "tweezers", "shutter_mu"}  # fmt: skip

    def build(self, name: str) -> None:
        self.name = name
        self.core = self.get_device("core")
        self.cpld0 = self.get_device(f"{name}_urukul0_cpld")
        self.cpld1 = self.get_device(f"{name}_urukul1_cpld")
        self.shutter = self.get_device(f"{name}_shutter")
        self.cooling = Beam(self, name, "cooling")
        self.repump = Beam(self, name, "repump")
        self.pumping = Beam(self, name, "pumping")
        self.excitation = Beam(self, name, "excitation")
        self.raman_a = Beam(self, name, "raman_a")
        self.raman_b = Beam(self, name, "raman_b")
        self.pushout = Beam(self, name, "pushout")
        self.imaging = Imaging(self, name, self.cooling, self.repump, self.pushout)
        self.qubit = Qubit(self, name, self.raman_a, self.raman_b)
        self.tweezers = Tweezers(self, name)

    def prepare(self) -> None:
        """Read the beliefs of every part; `qubit` comes after its beams."""
        self.shutter_mu = parameters.duration_mu(self, f"param.{self.name}.t_shutter_s")
        self.call_child_method("prepare")

    @kernel
    def init(self):
        """Initialise every device of the node: all light off, voltages at their set points, shutter open."""
        self.cpld0.init()
        self.cpld1.init()
        delay(1 * ms)
        self.cooling.init()
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
        delay(1 * us)

    @kernel
    def close(self):
        """Leave the node safe: everything off, shutter closed. The trap stays on."""
        self.off()
        self.shutter.off()
        delay_mu(self.shutter_mu)
