"""Rydberg light of one node and the CZ gate on |2> of the atom at the port and the one beside it.

    cz    both beams  |‾‾‾‾‾|_______|‾‾‾‾‾|     t_cz_pulse, t_cz_dark, t_cz_pulse

The light is detuned by f_cz_detuning, so that in the dark it goes on by 2 pi f_cz_detuning t_cz_dark against the atoms:
this is the jump of phase between the two pulses of H. Levine et al., PRL 123, 170503 (2019), arXiv 1908.06101, made by
the switches alone.
"""

from artiq.language.core import delay, delay_mu, kernel, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.units import ms

from atomlink.at_port import belief, row
from drivers import parameters
from drivers.rtio.beam import Beam


class RydbergLight(HasEnvironment):
    """Both beams of the two-photon excitation."""

    kernel_invariants = {"core", "cpld", "blue", "red", "pulse_mu", "dark_mu", "duration_mu"}

    def build(self, node: str) -> None:
        self.node = node
        self.core = self.get_device("core")
        self.cpld = self.get_device(row(node, "urukul2_cpld"))
        self.blue = Beam(self, node, "rydberg_420")
        self.red = Beam(self, node, "rydberg_1013")

    def prepare(self) -> None:
        """Read the beliefs; `duration_mu` is how long `cz` takes."""
        self.call_child_method("prepare")
        self.blue.frequency += parameters.get(self, belief(self.node, "f_cz_detuning_hz"))
        self.pulse_mu = parameters.duration_mu(self, belief(self.node, "t_cz_pulse_s"))
        self.dark_mu = parameters.duration_mu(self, belief(self.node, "t_cz_dark_s"))
        self.duration_mu = 2 * self.pulse_mu + self.dark_mu + self.red.dark_mu

    @kernel
    def init(self):
        """Initialise both beams, switched off; urukul1, which has the 420 nm beam, is the node's to initialise."""
        self.cpld.init()
        delay(1 * ms)
        self.blue.init()
        self.red.init()

    @kernel
    def off(self):
        """Switch both beams off, now."""
        self.blue.off()
        self.red.off()

    @kernel
    def both_mu(self):
        """One of the two pulses."""
        with parallel:
            self.blue.pulse_mu(self.pulse_mu)
            self.red.pulse_mu(self.pulse_mu)

    @kernel
    def cz(self):
        """Make the gate; ends when the light has left the atoms."""
        self.both_mu()
        delay_mu(self.dark_mu)
        self.both_mu()
        delay_mu(self.red.dark_mu)
