"""Storage of one node's qubits in clock states, F = 1, m = 0 and F = 2, m = 0, and what refocuses them there.

    store    microwave |1> -> |2> |‾‾‾‾| , transfer |0> -> F = 1, m = 0 |‾|        recall: the same backwards
    turn     clock light, at all stored atoms of the node, about the axis (cos a, sin a, 0)
    pulses   __ X ____ Y ____ X ____ Y ____ Y ____ X ____ Y ____ X __          XY8, pulses in the middles of equal gaps

Transfer, clock and microwave close a loop: a phase that `store` has frozen stands against the clock light as the sum of
both tones' phases says. Both start from the same fiducial time, 0, as those of the Raman beams do; what a DDS is beside
the frequency asked for (0.06 Hz) adds up over the hours, and `frozen_pow` takes it off.

A Zeeman pair precesses, a stored one does not, and in between, with one level stored, it does so at half the rate:
`recall` leaves in `stored_mu` by how much later the phase reference of `Qubit.set_phase` is than before `store`.
A train of pulses about one axis adds up the errors of their areas (64 pulses of 1 % leave 43 % of the atoms elsewhere);
XY8 takes them off one another. So there is no other train here.
Source: T. Gullion, D. B. Baker, M. S. Conradi, J. Magn. Reson. 89, 479 (1990), for XY8.
"""

from artiq.coredevice.ad9910 import PHASE_MODE_CONTINUOUS, PHASE_MODE_TRACKING
from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64
from artiq.language.units import us
from numpy import int32, int64

from atomlink.at_port import belief
from atomlink.errors import UsageError
from drivers import parameters
from drivers.rtio.beam import Beam
from drivers.rtio.qubit import SET_TO_UPDATE_MU, Qubit

QUARTER_POW = 0x4000  # a quarter turn of the DDS's 16-bit phase offset: the axis Y
BLOCK = 8  # pulses of one XY8
OFF_UNIT = 1 << 48
SET_MU = 20_000  # what choosing an axis takes at most


class Storage(HasEnvironment):
    """The transfer and clock light of one node; `qubit` has its microwave. Its CPLD is the Rydberg light's to start."""

    kernel_invariants = {"core", "transfer", "clock", "qubit", "transfer_pi_mu", "clock_pi_mu", "after_mu", "before_mu",
                         "middle_mu", "ftw", "asf", "transfer_ftw", "transfer_asf", "transfer_off", "clock_off",
                         "lead_pow", "axes"}  # fmt: skip

    def build(self, node: str, qubit: Qubit) -> None:
        self.node = node
        self.qubit = qubit
        self.core = self.get_device("core")
        self.transfer = Beam(self, node, "transfer")
        self.clock = Beam(self, node, "clock")
        self.since_mu = int64(0)
        self.stored_mu = int64(0)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.call_child_method("prepare")
        self.transfer_pi_mu = parameters.duration_mu(self, belief(self.node, "t_transfer_pi_s"))
        self.middle_mu = int64(self.transfer.latency_mu) + (self.transfer_pi_mu >> 1)  # of the light, after its switch
        self.clock_pi_mu = parameters.duration_mu(self, belief(self.node, "t_clock_pi_s"))
        # Of a gap: from its middle until its pulse is over, and from setting the next one up to that one's middle.
        self.after_mu = (self.clock_pi_mu >> 1) + int64(self.clock.dark_mu)
        self.before_mu = (self.clock_pi_mu >> 1) + int64(SET_MU) // 2
        self.ftw = self.clock.dds.frequency_to_ftw(self.clock.frequency)
        self.asf = self.clock.dds.amplitude_to_asf(self.clock.amplitude)
        self.transfer_ftw = self.transfer.dds.frequency_to_ftw(self.transfer.frequency)
        self.transfer_asf = self.transfer.dds.amplitude_to_asf(self.transfer.amplitude)
        self.transfer_off, self.clock_off = (self._off(beam, ftw) for beam, ftw in
                                             ((self.transfer, self.transfer_ftw), (self.clock, self.ftw)))  # fmt: skip
        lead_turns = self._lead_turns(self.transfer) + self._lead_turns(self.clock)
        self.lead_pow = int32(round(lead_turns * 65536) % 65536)
        self.start_pow = int32(0)  # the clock light's phase offset when its accumulator started
        self.axes = [int32(QUARTER_POW * axis) for axis in (0, 1, 0, 1, 1, 0, 1, 0)]

    def _off(self, beam: Beam, ftw: int32) -> int64:
        """Return by how much a tone is beside the frequency asked for, in 2^-48 turns per mu."""
        return int64(round((beam.dds.ftw_to_frequency(ftw) - beam.frequency) * self.core.ref_period * OFF_UNIT))

    def _lead_turns(self, beam: Beam) -> float:
        """Return how far a tone goes from where its phase counts to the light at the atom."""
        return float(beam.frequency * (int(beam.latency_mu) + SET_TO_UPDATE_MU) * self.core.ref_period)

    def spacing_mu(self, duration_s: float, blocks: int) -> int64:
        """Return the gap from pulse to pulse of so many XY8 within a duration; UsageError where they do not fit."""
        if blocks < 1:
            raise UsageError(f"{blocks} blocks of XY8: stored qubits need at least one to be refocused.")
        spacing_mu = int64(round(duration_s / self.core.ref_period)) // (BLOCK * blocks)
        least_mu = int(self.clock_pi_mu) + SET_MU
        if spacing_mu < least_mu:
            period = self.core.ref_period
            raise UsageError(f"{BLOCK * blocks} pulses within {duration_s:g} s are {spacing_mu * period:g} s apart, "
                             f"but each takes {least_mu * period:g} s: wait longer, or take fewer blocks.")
        return spacing_mu

    @kernel
    def init(self):
        """Initialise both beams, switched off."""
        self.transfer.init()
        self.clock.init()
        self.transfer.dds.set_mu(self.transfer_ftw, 0, self.transfer_asf, PHASE_MODE_TRACKING, int64(0))
        self.start_pow = self.clock.dds.set_mu(self.ftw, 0, self.asf, PHASE_MODE_TRACKING, int64(0))
        delay(10 * us)

    @kernel
    def off(self):
        """Switch both beams off, now."""
        self.transfer.off()
        self.clock.off()

    @kernel
    def store(self):
        """Take the Zeeman qubits that the port's light reaches to the clock states."""
        t_map_mu = now_mu()
        self.qubit.map_to_f2()
        self.since_mu = (t_map_mu + now_mu() + self.middle_mu) >> 1
        self.transfer.pulse_mu(self.transfer_pi_mu)
        delay_mu(self.transfer.dark_mu)

    @kernel
    def recall(self):
        """Take the stored qubits that the port's light reaches back to the Zeeman pair."""
        t_transfer_mu = now_mu()
        self.transfer.pulse_mu(self.transfer_pi_mu)
        delay_mu(self.transfer.dark_mu)
        self.stored_mu = ((t_transfer_mu + self.middle_mu + now_mu()) >> 1) - self.since_mu
        self.qubit.map_to_f2()

    @kernel
    def set_axis(self, pow_: TInt32):
        """Choose the axis of the next pulse, in 1/65536 turns from X; about a microsecond."""
        self.clock.dds.set_mu(self.ftw, (self.start_pow + pow_) & 0xffff, self.asf, PHASE_MODE_CONTINUOUS)

    @kernel
    def turn_mu(self, pow_: TInt32, duration_mu: TInt64):
        """Turn all stored atoms about an axis; ends when the light has left them."""
        self.set_axis(pow_)
        self.clock.pulse_mu(duration_mu)
        delay_mu(self.clock.dark_mu)

    @kernel
    def frozen_pow(self) -> TInt32:
        """Return what to add to a clock axis now so that it stands against what was stored last as it would at once."""
        turned = self.transfer_off * self.since_mu + self.clock_off * now_mu()
        return self.lead_pow - int32((turned >> 32) & 0xffff)

    @kernel
    def quarter_turn(self, pow_: TInt32):
        """Turn all stored atoms by a quarter turn: from a pole to the equator, or back."""
        self.turn_mu(pow_, self.clock_pi_mu >> 1)

    @kernel
    def pulses(self, start_mu: TInt64, spacing_mu: TInt64, first: TInt32, stop: TInt32):
        """Play pulses `first` … `stop` - 1 of a train of XY8 that begins at `start_mu`; the cursor is then at the end
        of the last one's gap. Whoever does something else in between plays the train in parts.
        """
        for k in range(first, stop):
            at_mu(start_mu + spacing_mu * int64(k) + (spacing_mu >> 1) - self.before_mu)
            self.set_axis(self.axes[k % BLOCK])
            at_mu(start_mu + spacing_mu * int64(k) + (spacing_mu >> 1) - (self.clock_pi_mu >> 1))
            self.clock.pulse_mu(self.clock_pi_mu)
        at_mu(start_mu + spacing_mu * int64(stop))

    @kernel
    def hold(self, spacing_mu: TInt64, blocks: TInt32):
        """Refocus all stored atoms by so many XY8 from now on; takes 8 x spacing for each."""
        self.pulses(now_mu(), spacing_mu, 0, BLOCK * blocks)
