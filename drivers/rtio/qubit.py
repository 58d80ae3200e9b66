"""Rotations of one node's qubit: Raman pulses within the Zeeman pair, and the microwave map to F = 2.

Conventions. |0>, |1> = F = 1, m = -1, +1 point to +z, -z of the Bloch sphere. Free precession turns the Bloch vector
by +2 pi f_larmor t about z (m = +1 lies lower: g_F = -1/2 in F = 1 of Rb-87). Two Raman beams with f_b - f_a = f_larmor
turn it about the equatorial axis of azimuth 2 pi (phase_b - phase_a)(t), which therefore keeps up with the precession.

Phase reference. Both DDS accumulators start from the same fiducial time, 0, and run on: phase_b - phase_a = (f_b - f_a)
t. A shot moves only the phase offset of beam b, so that azimuth(T) = 2 pi [(f_b - f_a)(T - t_ref) + p]: eight RTIO
events, because between herald and pulse every microsecond costs coherence. AD9910.set_mu in tracking mode refers the
phase to a moment d before IO_UPDATE, where the accumulator starts; light at the atom at T left the DDS one AOM latency
earlier. Both are constant.
"""

from artiq.coredevice.ad9910 import PHASE_MODE_CONTINUOUS, PHASE_MODE_TRACKING
from artiq.language.core import delay, delay_mu, kernel, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64
from artiq.language.units import us
from numpy import int32, int64

from atomlink.at_port import belief, row
from drivers import parameters
from drivers.rtio.beam import Beam

# From the moment to which a tracking set_mu refers the phase, after CFR1, to its IO_UPDATE (the stock driver's events).
SET_TO_UPDATE_MU = 1248


class Qubit(HasEnvironment):
    """The Zeeman qubit of one node."""

    kernel_invariants = {"core", "raman_a", "raman_b", "microwave", "ftw_a", "ftw_b", "asf_a", "asf_b",
                         "acts", "ftw_difference", "raman_pi_mu", "mw_pi_mu", "lead_mu"}  # fmt: skip

    def build(self, atom: str, raman_a: Beam, raman_b: Beam, acts: bool = True) -> None:
        self.atom = atom
        self.acts = acts  # the microwave, which reaches all atoms of the node, is this one's to switch
        self.raman_a = raman_a
        self.raman_b = raman_b
        self.core = self.get_device("core")
        self.microwave = self.get_device(row(atom, "mw_switch"))

    def prepare(self) -> None:
        """Turn beliefs into machine units; the Raman beams must be prepared before."""
        self.larmor = larmor = parameters.get(self, belief(self.atom, "f_larmor_hz"))  # Hz
        self.raman_b.frequency = self.raman_a.frequency + larmor
        self.ftw_a = self.raman_a.dds.frequency_to_ftw(self.raman_a.frequency)
        self.ftw_b = self.raman_b.dds.frequency_to_ftw(self.raman_b.frequency)
        self.asf_a = self.raman_a.dds.amplitude_to_asf(self.raman_a.amplitude)
        self.asf_b = self.raman_b.dds.amplitude_to_asf(self.raman_b.amplitude)
        self.raman_pi_mu = parameters.duration_mu(self, belief(self.atom, "t_raman_pi_s"))
        self.mw_pi_mu = parameters.duration_mu(self, belief(self.atom, "t_mw_pi_s"))
        self.ftw_difference = int64(self.ftw_b - self.ftw_a) * self.raman_b.dds.sysclk_per_mu
        self.start_pow = int32(0)  # raman_b's phase offset when its accumulator started
        self.lead_mu = int64(self.raman_b.latency_mu + SET_TO_UPDATE_MU)

    @kernel
    def init(self):
        """Start both Raman tones from the same fiducial time; their beams must be initialised before."""
        self.raman_a.dds.set_mu(self.ftw_a, 0, self.asf_a, PHASE_MODE_TRACKING, int64(0))
        self.start_pow = self.raman_b.dds.set_mu(self.ftw_b, 0, self.asf_b, PHASE_MODE_TRACKING, int64(0))
        delay(10 * us)

    @kernel
    def set_phase(self, t_ref_mu: TInt64, pow_: TInt32):
        """Let the axis have azimuth `pow_` / 65536 turns at `t_ref_mu` (time at the atom) and precess from there."""
        offset = (self.start_pow + pow_ - self.turned_pow(t_ref_mu - self.lead_mu)) & 0xffff
        self.raman_b.dds.set_mu(self.ftw_b, offset, self.asf_b, PHASE_MODE_CONTINUOUS)

    @kernel
    def turned_pow(self, duration_mu: TInt64) -> TInt32:
        """Return by how many 1/65536 turns the axis precesses in a duration."""
        # 32 bits of time are enough: whole turns drop out of the 32-bit phase.
        return int32(((self.ftw_difference * (duration_mu & 0xffffffff)) >> 16) & 0xffff)

    @kernel
    def rotate_mu(self, duration_mu: TInt64):
        """Raman pulse about the axis that `set_phase` chose; ends when the light has left the atom."""
        if duration_mu > 0:
            with parallel:
                self.raman_a.sw.pulse_mu(duration_mu)
                self.raman_b.sw.pulse_mu(duration_mu)
        delay_mu(self.raman_b.dark_mu)

    @kernel
    def map_to_f2(self):
        """Map |1> to F = 2 with a microwave pi pulse."""
        self.drive_mu(self.mw_pi_mu)

    @kernel
    def drive_mu(self, duration_mu: TInt64):
        """Switch the microwave on now for `duration_mu`."""
        if self.acts:
            self.microwave.pulse_mu(duration_mu)
        else:
            delay_mu(duration_mu)

    @kernel
    def off(self):
        """Switch everything of this subsystem off, now."""
        self.raman_a.off()
        self.raman_b.off()
        if self.acts:
            self.microwave.off()
