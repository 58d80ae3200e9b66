"""Rotations of one node's qubit: Raman pulses within the Zeeman pair, and the microwave map to F = 2.

Conventions. |0>, |1> = F = 1, m = -1, +1 point to +z, -z of the Bloch sphere. Free precession turns the Bloch vector by
+2 pi f_larmor t about z (m = +1 lies lower: g_F = -1/2 in F = 1 of Rb-87). Two Raman beams with f_b - f_a = f_larmor turn it
about the equatorial axis of azimuth 2 pi (phase_b - phase_a)(t), which therefore keeps up with the precession.

Phase reference. The atom's phase counts from its emission, so the axis must, too: azimuth(T) = 2 pi [(f_b - f_a)(T - t_ref) +
p]. AD9910.set_mu in tracking mode gives at its output p + f (t - ref - d): the accumulator starts at IO_UPDATE, d after the
call's start; light at the atom at T left the DDS one AOM latency earlier. Hence ref = t_ref - latency - d.
"""

import numpy as np
from artiq.coredevice.ad9910 import PHASE_MODE_TRACKING
from artiq.language.core import delay_mu, kernel, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64

from drivers import parameters
from drivers.rtio.beam import Beam

# CFR1 (88 + 9 x 2 ... SPI clocks) and the profile go out before IO_UPDATE; from the events of the stock AD9910 driver.
SET_TO_UPDATE_MU = 1952


class Qubit(HasEnvironment):
    """The Zeeman qubit of one node."""

    kernel_invariants = {"core", "raman_a", "raman_b", "microwave", "ftw_a", "ftw_b", "asf_a", "asf_b",
                         "raman_pi_mu", "mw_pi_mu", "ref_offset_mu"}  # fmt: skip

    def build(self, node: str, raman_a: Beam, raman_b: Beam) -> None:
        self.node = node
        self.raman_a = raman_a
        self.raman_b = raman_b
        self.core = self.get_device("core")
        self.microwave = self.get_device(f"{node}_mw_switch")

    def prepare(self) -> None:
        """Turn beliefs into machine units; the Raman beams must be prepared before."""
        larmor = parameters.get(self, f"param.{self.node}.f_larmor_hz")
        self.raman_b.frequency = self.raman_a.frequency + larmor
        self.ftw_a = self.raman_a.dds.frequency_to_ftw(self.raman_a.frequency)
        self.ftw_b = self.raman_b.dds.frequency_to_ftw(self.raman_b.frequency)
        self.asf_a = self.raman_a.dds.amplitude_to_asf(self.raman_a.amplitude)
        self.asf_b = self.raman_b.dds.amplitude_to_asf(self.raman_b.amplitude)
        self.raman_pi_mu = parameters.duration_mu(self, f"param.{self.node}.t_raman_pi_s")
        self.mw_pi_mu = parameters.duration_mu(self, f"param.{self.node}.t_mw_pi_s")
        self.ref_offset_mu = np.int64(-self.raman_b.latency_mu - SET_TO_UPDATE_MU)

    @kernel
    def set_phase(self, t_ref_mu: TInt64, pow_: TInt32):
        """Let the rotation axis have azimuth `pow_` / 65536 turns at `t_ref_mu` (time at the atom) and precess from there."""
        ref_mu = t_ref_mu + self.ref_offset_mu
        self.raman_a.dds.set_mu(self.ftw_a, 0, self.asf_a, PHASE_MODE_TRACKING, ref_mu)
        self.raman_b.dds.set_mu(self.ftw_b, pow_, self.asf_b, PHASE_MODE_TRACKING, ref_mu)

    @kernel
    def rotate_mu(self, duration_mu: TInt64):
        """Raman pulse about the axis that `set_phase` chose; ends when the light has left the atom."""
        if duration_mu > 0:
            with parallel:
                self.raman_a.sw.pulse_mu(duration_mu)
                self.raman_b.sw.pulse_mu(duration_mu)
        delay_mu(self.raman_b.latency_mu)

    @kernel
    def map_to_f2(self):
        """Map |1> to F = 2 with a microwave pi pulse."""
        self.microwave.pulse_mu(self.mw_pi_mu)

    @kernel
    def off(self):
        """Switch everything of this subsystem off, now."""
        self.raman_a.off()
        self.raman_b.off()
        self.microwave.off()
