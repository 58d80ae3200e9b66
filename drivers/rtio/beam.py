"""A laser beam behind an AOM: one AD9910 channel and its RF switch, of a port, or of a node.

Light at the atom follows the switch after the AOM's latency, t_aom: sound travels from the transducer to the beam.
"""

from artiq.language.core import delay, delay_mu, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TFloat, TInt64
from artiq.language.units import us

from atomlink.at_port import belief, row
from drivers import parameters

SETTLE_MU = 104  # four times the fall time of 25 ns, on the coarse clock


class Beam(HasEnvironment):
    """One beam on an atom; `sw` is its RF switch, a TTL. `acts`: False where another atom's beam of this run is the
    same light, and switches it.
    """

    kernel_invariants = {"core", "dds", "sw", "latency_mu", "dark_mu", "frequency", "amplitude", "attenuation", "acts"}

    def build(self, atom: str, role: str, acts: bool = True) -> None:
        self.atom = atom
        self.role = role
        self.acts = acts
        self.core = self.get_device("core")
        self.dds = self.get_device(row(atom, f"dds_{role}"))
        self.sw = self.get_device(row(atom, f"sw_{role}"))

    def prepare(self) -> None:
        """Read the beam's beliefs."""
        self.frequency = parameters.get(self, belief(self.atom, f"f_{self.role}_hz"))
        self.amplitude = parameters.get(self, belief(self.atom, f"a_{self.role}"))
        self.attenuation = parameters.get(self, belief(self.atom, f"att_{self.role}_db"))
        self.latency_mu = parameters.duration_mu(self, belief(self.atom, "t_aom_s"))
        self.dark_mu = self.latency_mu + SETTLE_MU  # from switching off to darkness at the atom

    @kernel
    def init(self):
        """Initialise the DDS and set frequency, amplitude and attenuation, switched off. Needs an initialised CPLD."""
        if self.acts:
            self.dds.init()
            self.sw.off()
            self.dds.cfg_sw(False)
            delay(10 * us)
            self.dds.set_att(self.attenuation)
            delay(10 * us)
            self.set(self.frequency, self.amplitude)

    @kernel
    def set(self, frequency: TFloat, amplitude: TFloat):
        """Set frequency (Hz) and amplitude (fraction of full scale); the switch stays as it is."""
        self.dds.set(frequency, 0.0, amplitude)
        delay(10 * us)

    @kernel
    def on(self):
        """Switch on now: light at the atom one latency later."""
        if self.acts:
            self.sw.on()

    @kernel
    def off(self):
        """Switch off now: dark at the atom one latency later."""
        if self.acts:
            self.sw.off()

    @kernel
    def pulse_mu(self, duration_mu: TInt64):
        """Switch on now for `duration_mu`. Not for a beam that does not act: pulses in `parallel` bear no `if`."""
        self.sw.pulse_mu(duration_mu)

    @kernel
    def light_mu(self, duration_mu: TInt64):
        """Light at the atom from now on for `duration_mu`: the switch leads by the latency."""
        delay_mu(-self.latency_mu)
        self.sw.pulse_mu(duration_mu)
        delay_mu(self.latency_mu)
