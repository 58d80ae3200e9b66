"""Edge counters in gateware: count edges of a TTL input at any rate, without an RTIO event per edge.

One configuration register: bits 0 and 1 count rising and falling edges, bit 2 sends the count once, bit 3 clears it
first. Source: ARTIQ 8 manual, edge_counter.
"""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from artiq.coredevice.rtio import rtio_input_data, rtio_input_timestamped_data, rtio_output
from artiq.language.core import delay_mu, kernel, now_mu
from artiq.language.types import TBool, TInt32, TInt64, TTuple
from numpy import int32, int64

CONFIG_COUNT_RISING = 0b0001
CONFIG_COUNT_FALLING = 0b0010
CONFIG_SEND_COUNT_EVENT = 0b0100
CONFIG_RESET_TO_ZERO = 0b1000


class CounterOverflow(Exception):
    """Raised when the counter reached the largest count its register holds."""


class EdgeCounter:
    """Count edges between a gate's ends; results come back in the order of the gates."""

    kernel_invariants = {"core", "channel", "counter_max"}

    def __init__(self, dmgr, channel, gateware_width=31, core_device="core"):
        self.core = dmgr.get(core_device)
        self.channel = channel
        self.counter_max = (1 << (gateware_width - 1)) - 1

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @kernel
    def gate_rising(self, duration):
        """Count rising edges for `duration` seconds and request the result."""
        return self._gate_mu(self.core.seconds_to_mu(duration), 9)

    @kernel
    def gate_falling(self, duration):
        """Count falling edges for `duration` seconds and request the result."""
        return self._gate_mu(self.core.seconds_to_mu(duration), 10)

    @kernel
    def gate_both(self, duration):
        """Count both edges for `duration` seconds and request the result."""
        return self._gate_mu(self.core.seconds_to_mu(duration), 11)

    @kernel
    def gate_rising_mu(self, duration_mu):
        """Count rising edges for `duration_mu` and request the result."""
        return self._gate_mu(duration_mu, 9)

    @kernel
    def gate_falling_mu(self, duration_mu):
        """Count falling edges for `duration_mu` and request the result."""
        return self._gate_mu(duration_mu, 10)

    @kernel
    def gate_both_mu(self, duration_mu):
        """Count both edges for `duration_mu` and request the result."""
        return self._gate_mu(duration_mu, 11)

    @kernel
    def _gate_mu(self, duration_mu, opening):
        # `opening`: the edges to count, and RESET_TO_ZERO; the closing word stops and sends.
        target = self.channel << 8
        rtio_output(target, opening)
        delay_mu(duration_mu)
        rtio_output(target, 4)
        return now_mu()

    @kernel
    def set_config(self, count_rising: TBool, count_falling: TBool, send_count_event: TBool, reset_to_zero: TBool):
        """Write the configuration register at the cursor."""
        config = int32(0)
        if count_rising:
            config |= CONFIG_COUNT_RISING
        if count_falling:
            config |= CONFIG_COUNT_FALLING
        if send_count_event:
            config |= CONFIG_SEND_COUNT_EVENT
        if reset_to_zero:
            config |= CONFIG_RESET_TO_ZERO
        rtio_output(self.channel << 8, config)

    @kernel
    def fetch_count(self) -> TInt32:
        """Wait for the oldest requested result and return it."""
        count = rtio_input_data(self.channel)
        if count == self.counter_max:
            raise CounterOverflow("Input edge counter overflow on RTIO channel {0}", int64(self.channel))
        return count

    @kernel
    def fetch_timestamped_count(self, timeout_mu=int64(-1)) -> TTuple([TInt64, TInt32]):
        """Wait for the oldest requested result.

        Return (time stamp of the request, count), or (-1, 0) at the time-out.
        """
        timestamp, count = rtio_input_timestamped_data(timeout_mu, self.channel)
        if count == self.counter_max:
            raise CounterOverflow("Input edge counter overflow on RTIO channel {0}", int64(self.channel))
        return timestamp, count
