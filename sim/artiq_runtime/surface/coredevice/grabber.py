"""Grabber: a camera's frames summed over regions of interest, in gateware. Source: ARTIQ 8 manual, grabber.

Channel `channel_base` takes the regions (address 4 n + 0..3: x0, y0, x1, y1), the next the gate mask; one frame
answers with a sentinel and then the sum of each gated region.
"""

from artiq.coredevice.rtio import rtio_input_timestamped_data, rtio_output
from artiq.language.core import delay, delay_mu, kernel
from numpy import int32, int64


class OutOfSyncException(Exception):
    """Raised when the number of regions read and of regions gated differ."""


class GrabberTimeoutException(Exception):
    """Raised when no frame came before the time-out."""


class Grabber:
    """Define regions of interest, gate them, and read their sums."""

    kernel_invariants = {"core", "channel_base", "sentinel"}

    def __init__(self, dmgr, channel_base, res_width=12, count_shift=0, core_device="core"):
        self.core = dmgr.get(core_device)
        self.channel_base = channel_base
        # One more than the largest sum: 16-bit pixels of a whole frame.
        count_width = min(31, 2 * res_width + 16 - count_shift)
        self.sentinel = int32(int64(2**count_width))

    @staticmethod
    def get_rtio_channels(channel_base, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel_base, "ROI coordinates"), (channel_base + 1, "ROI mask")]

    @kernel
    def setup_roi(self, n, x0, y0, x1, y1):
        """Define region `n`, pixels x0 <= x < x1, y0 <= y < y1; takes four coarse clocks."""
        clock = int64(self.core.ref_multiplier)
        target = (self.channel_base << 8) | (4 * n)
        rtio_output(target, x0)
        delay_mu(clock)
        rtio_output(target + 1, y0)
        delay_mu(clock)
        rtio_output(target + 2, x1)
        delay_mu(clock)
        rtio_output(target + 3, y1)
        delay_mu(clock)

    @kernel
    def gate_roi(self, mask):
        """Send the sums of the regions in the bit mask, from the frame that begins next on."""
        rtio_output((self.channel_base + 1) << 8, mask)

    @kernel
    def gate_roi_pulse(self, mask, dt):
        """Gate the regions in the bit mask for `dt` seconds."""
        self.gate_roi(mask)
        delay(dt)
        self.gate_roi(0)

    @kernel
    def input_mu(self, data, timeout_mu=-1):
        """Read the sums of one frame into `data`, as long as the number of gated regions."""
        channel = self.channel_base + 1
        timestamp, word = rtio_input_timestamped_data(timeout_mu, channel)
        if timestamp == -1:
            raise GrabberTimeoutException("Timeout before Grabber frame available")
        if word != self.sentinel:
            raise OutOfSyncException
        for i in range(len(data)):
            timestamp, word = rtio_input_timestamped_data(timeout_mu, channel)
            if word == self.sentinel:
                raise OutOfSyncException
            if timestamp == -1:
                raise GrabberTimeoutException("Timeout retrieving ROIs (attempting to read more ROIs than enabled?)")
            data[i] = word
