"""TTL channels: plain outputs, bidirectional channels with gated inputs, and clock generators.

Register map of the TTL PHY: address 0 output level, 1 output enable, 2 edge sensitivity (bit 0 rising, bit 1
falling), 3 sample the level and set the sensitivity. The clock generator has one register, its frequency word.
Source: ARTIQ 8 manual, RTIO TTL channels. The methods call `rtio_output` directly: they are the hot path of a host
run, and every call between costs.
"""

import numpy
from artiq.coredevice.exceptions import RTIOOverflow
from artiq.coredevice.rtio import rtio_input_data, rtio_input_timestamp, rtio_output
from artiq.language.core import delay, delay_mu, kernel, now_mu, portable

# The input path (pads, deserialiser, FIFO) is this many coarse clocks behind the counter.
GATE_LATENCY_COARSE = 13


class TTLOut:
    """Drive an output-only TTL channel."""

    kernel_invariants = {"core", "channel", "target_o"}

    def __init__(self, dmgr, channel, core_device="core"):
        self.core = dmgr.get(core_device)
        self.channel = channel
        self.target_o = channel << 8

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @kernel
    def output(self):
        """Do nothing: the channel is always an output (same interface as TTLInOut)."""

    @kernel
    def set_o(self, o):
        """Set the level at the cursor."""
        rtio_output(self.target_o, 1 if o else 0)

    @kernel
    def on(self):
        """Set the level high at the cursor."""
        rtio_output(self.target_o, 1)

    @kernel
    def off(self):
        """Set the level low at the cursor."""
        rtio_output(self.target_o, 0)

    @kernel
    def pulse_mu(self, duration):
        """Pulse high for `duration` mu; the cursor advances by it."""
        rtio_output(self.target_o, 1)
        delay_mu(duration)
        rtio_output(self.target_o, 0)

    @kernel
    def pulse(self, duration):
        """Pulse high for `duration` seconds; the cursor advances by it."""
        rtio_output(self.target_o, 1)
        delay(duration)
        rtio_output(self.target_o, 0)


class TTLInOut:
    """Drive a bidirectional TTL channel: output, gated edge time stamps, level samples, watching.

    Gate methods return the cursor at the gate's end, to be handed to `count` or `timestamp_mu`.
    """

    kernel_invariants = {"core", "channel", "gate_latency_mu", "target_o", "target_oe", "target_sens", "target_sample"}

    def __init__(self, dmgr, channel, gate_latency_mu=None, core_device="core"):
        self.core = dmgr.get(core_device)
        self.channel = channel
        if gate_latency_mu is None:
            gate_latency_mu = GATE_LATENCY_COARSE * self.core.ref_multiplier
        self.gate_latency_mu = gate_latency_mu
        base = channel << 8
        self.target_o, self.target_oe, self.target_sens, self.target_sample = base, base + 1, base + 2, base + 3

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @kernel
    def set_oe(self, oe):
        """Enable (True) or disable (False) the output driver."""
        rtio_output(self.target_oe, 1 if oe else 0)

    @kernel
    def output(self):
        """Make the channel an output."""
        rtio_output(self.target_oe, 1)

    @kernel
    def input(self):
        """Make the channel an input."""
        rtio_output(self.target_oe, 0)

    @kernel
    def set_o(self, o):
        """Set the output level at the cursor."""
        rtio_output(self.target_o, 1 if o else 0)

    @kernel
    def on(self):
        """Set the output level high at the cursor."""
        rtio_output(self.target_o, 1)

    @kernel
    def off(self):
        """Set the output level low at the cursor."""
        rtio_output(self.target_o, 0)

    @kernel
    def pulse_mu(self, duration):
        """Pulse high for `duration` mu; the cursor advances by it."""
        rtio_output(self.target_o, 1)
        delay_mu(duration)
        rtio_output(self.target_o, 0)

    @kernel
    def pulse(self, duration):
        """Pulse high for `duration` seconds; the cursor advances by it."""
        rtio_output(self.target_o, 1)
        delay(duration)
        rtio_output(self.target_o, 0)

    @kernel
    def _set_sensitivity(self, value):
        rtio_output(self.target_sens, value)

    @kernel
    def gate_rising_mu(self, duration):
        """Register rising edges for `duration` mu."""
        rtio_output(self.target_sens, 1)
        delay_mu(duration)
        rtio_output(self.target_sens, 0)
        return now_mu()

    @kernel
    def gate_falling_mu(self, duration):
        """Register falling edges for `duration` mu."""
        rtio_output(self.target_sens, 2)
        delay_mu(duration)
        rtio_output(self.target_sens, 0)
        return now_mu()

    @kernel
    def gate_both_mu(self, duration):
        """Register both edges for `duration` mu."""
        rtio_output(self.target_sens, 3)
        delay_mu(duration)
        rtio_output(self.target_sens, 0)
        return now_mu()

    @kernel
    def gate_rising(self, duration):
        """Register rising edges for `duration` seconds."""
        rtio_output(self.target_sens, 1)
        delay(duration)
        rtio_output(self.target_sens, 0)
        return now_mu()

    @kernel
    def gate_falling(self, duration):
        """Register falling edges for `duration` seconds."""
        rtio_output(self.target_sens, 2)
        delay(duration)
        rtio_output(self.target_sens, 0)
        return now_mu()

    @kernel
    def gate_both(self, duration):
        """Register both edges for `duration` seconds."""
        rtio_output(self.target_sens, 3)
        delay(duration)
        rtio_output(self.target_sens, 0)
        return now_mu()

    @kernel
    def count(self, up_to_timestamp_mu):
        """Return the number of registered edges; wait until the counter has passed `up_to_timestamp_mu`."""
        deadline = up_to_timestamp_mu + self.gate_latency_mu
        count = 0
        while rtio_input_timestamp(deadline, self.channel) >= 0:
            count += 1
        return count

    @kernel
    def timestamp_mu(self, up_to_timestamp_mu):
        """Return the time stamp of the next registered edge, or -1 when there is none up to `up_to_timestamp_mu`."""
        return rtio_input_timestamp(up_to_timestamp_mu + self.gate_latency_mu, self.channel)

    @kernel
    def sample_input(self):
        """Ask for the input level at the cursor; `sample_get` fetches it."""
        rtio_output(self.target_sample, 0)

    @kernel
    def sample_get(self):
        """Return the level asked for by the oldest `sample_input` not fetched yet."""
        return rtio_input_data(self.channel)

    @kernel
    def sample_get_nonrt(self):
        """Sample the level at the cursor, fetch it and make slack again."""
        self.sample_input()
        level = self.sample_get()
        self.core.break_realtime()
        return level

    @kernel
    def watch_stay_on(self):
        """Return whether the level is high, and watch for a fall until `watch_done`."""
        rtio_output(self.target_sample, 2)
        return rtio_input_data(self.channel) == 1

    @kernel
    def watch_stay_off(self):
        """Return whether the level is low, and watch for a rise until `watch_done`."""
        rtio_output(self.target_sample, 1)
        return rtio_input_data(self.channel) == 0

    @kernel
    def watch_done(self):
        """Stop watching; return whether the level has not changed. Consumes all slack."""
        rtio_output(self.target_sens, 0)
        steady = True
        try:
            while rtio_input_timestamp(now_mu() + self.gate_latency_mu, self.channel) != -1:
                steady = False
        except RTIOOverflow:
            # More edges than the FIFO holds: it certainly moved.
            steady = False
        return steady


class TTLClockGen:
    """Drive a clock generator channel; no method moves the cursor."""

    kernel_invariants = {"core", "channel", "target", "acc_width"}

    def __init__(self, dmgr, channel, acc_width=24, core_device="core"):
        self.core = dmgr.get(core_device)
        self.channel = channel
        self.target = channel << 8
        self.acc_width = numpy.int64(acc_width)

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @portable
    def frequency_to_ftw(self, frequency):
        """Return the frequency word nearest to `frequency` (Hz)."""
        return round(2**self.acc_width * frequency * self.core.coarse_ref_period)

    @portable
    def ftw_to_frequency(self, ftw):
        """Return the frequency (Hz) of the word `ftw`."""
        return ftw / self.core.coarse_ref_period / 2**self.acc_width

    @kernel
    def set_mu(self, frequency):
        """Set the frequency word; the phase restarts at 0 at the cursor."""
        rtio_output(self.target, frequency)

    @kernel
    def set(self, frequency):
        """Set the frequency (Hz)."""
        self.set_mu(self.frequency_to_ftw(frequency))

    @kernel
    def stop(self):
        """Stop the clock."""
        self.set_mu(0)
