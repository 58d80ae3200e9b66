"""Fluorescence imaging of one node, and what shares its light: cooling, loading and push-out.

    load   coil, cooling, repump  |‾‾‾‾‾‾‾‾‾|____ field decays ____
    cool   cooling, repump        |‾‾‾‾|
    image  cooling, repump        |‾‾‾‾‾‾‾‾‾‾‾‾‾‾|
           counter gate             |‾‾‾‾‾‾‾‾‾‾‾‾|      one AOM latency later
"""

import numpy as np
from artiq.language.core import delay_mu, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64

from atomlink.at_port import belief, row
from drivers import parameters
from drivers.rtio.beam import Beam


class Imaging(HasEnvironment):
    """Cool, load, image and push out one atom. Cooling light, repump light and coil are its node's: `acts` says whether
    they are this atom's to switch, or another's of the run (as in `Beam`).
    """

    kernel_invariants = {
        "core", "coil", "counter", "cooling", "repump", "pushout",
        "acts", "cooling_mu", "recooling_mu", "loading_mu", "coil_decay_mu", "exposure_mu", "pushout_mu", "threshold",
    }  # fmt: skip

    def build(self, atom: str, cooling: Beam, repump: Beam, pushout: Beam, acts: bool = True) -> None:
        self.atom = atom
        self.acts = acts
        self.cooling = cooling
        self.repump = repump
        self.pushout = pushout
        self.core = self.get_device("core")
        self.coil = self.get_device(row(atom, "mot_coil"))
        self.counter = self.get_device(row(atom, "fluorescence_counter"))

    def prepare(self) -> None:
        """Read the durations and the threshold."""
        self.cooling_mu = self._duration_mu("t_cooling_s")
        self.recooling_mu = self._duration_mu("t_recooling_s")
        self.loading_mu = self._duration_mu("t_loading_s")
        self.coil_decay_mu = self._duration_mu("t_coil_s")
        self.exposure_mu = self._duration_mu("t_image_s")
        self.pushout_mu = self._duration_mu("t_pushout_s")
        self.threshold = round(parameters.get(self, belief(self.atom, "image_threshold")))

    def _duration_mu(self, name: str) -> np.int64:
        return parameters.duration_mu(self, belief(self.atom, name))

    @kernel
    def off(self):
        """Switch everything of this subsystem off, now."""
        if self.acts:
            self.coil.off()
        self.cooling.off()
        self.repump.off()
        self.pushout.off()

    @kernel
    def cool_mu(self, duration_mu: TInt64):
        """Polarisation-gradient cooling for `duration_mu`; ends when the light has left the atom."""
        self.cooling.on()
        self.repump.on()
        delay_mu(duration_mu)
        self.cooling.off()
        self.repump.off()
        delay_mu(self.cooling.dark_mu)

    @kernel
    def cool(self):
        """Cool a freshly loaded or imaged atom."""
        self.cool_mu(self.cooling_mu)

    @kernel
    def recool(self):
        """Cool between two blocks of attempts."""
        self.cool_mu(self.recooling_mu)

    @kernel
    def load(self):
        """Try once to load an atom. Only for an empty trap: a second atom would cost the first in a pair collision."""
        self.load_mu(self.loading_mu)

    @kernel
    def load_mu(self, duration_mu: TInt64):
        """Load for `duration_mu`, then let the field decay."""
        if self.acts:
            self.coil.on()
        self.cool_mu(duration_mu)
        if self.acts:
            self.coil.off()
        delay_mu(self.coil_decay_mu)

    @kernel
    def push_out(self):
        """Remove the atom if it is in F = 2."""
        self.pushout.pulse_mu(self.pushout_mu)
        delay_mu(self.pushout.dark_mu)

    @kernel
    def expose(self):
        """Illuminate and count; read the result with `fetch`."""
        self.cooling.on()
        self.repump.on()
        delay_mu(self.cooling.latency_mu)
        self.counter.gate_rising_mu(self.exposure_mu)
        self.cooling.off()
        self.repump.off()
        delay_mu(self.cooling.dark_mu)

    @kernel
    def fetch(self) -> TInt32:
        """Return the counts of the last exposure; waits for its end, which costs the slack."""
        return self.counter.fetch_count()
