"""Fastino: 32 fast DAC channels with interpolators. Source: ARTIQ 8 manual, fastino; quartiq/fastino gateware.

Addresses 0-31 are the DAC words, then 0x20 update, 0x21 hold, 0x22 configuration, 0x23 LEDs, 0x25 continuous, 0x26
stage and 0x27 apply the interpolation.
"""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from artiq.coredevice.rtio import rtio_output, rtio_output_wide
from artiq.language.core import delay_mu, kernel, portable
from artiq.language.types import TInt32, TList
from artiq.language.units import ns
from numpy import int32, int64


class Fastino:
    """Control a Fastino card; +-10 V per channel. `log2_width`: channels written at once, as the gateware was built."""

    kernel_invariants = {"core", "channel", "width", "t_frame"}

    def __init__(self, dmgr, channel, core_device="core", log2_width=0):
        self.channel = channel << 8
        self.core = dmgr.get(core_device)
        self.width = 1 << log2_width
        if self.core.ref_period != 1 * ns:
            raise ValueError(f"Fastino on channel {channel}: ref_period must be 1e-9, but is {self.core.ref_period}")
        # A frame: 14 words of 7 bits, 4 ns a bit.
        self.t_frame = int64(14 * 7 * 4)

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @kernel
    def init(self):
        """Clear errors, stop continuous updates and interpolation, LEDs off."""
        self.set_cfg(0, 0, 0, 1)
        delay_mu(self.t_frame)
        self.set_cfg(0, 0, 0, 0)
        delay_mu(self.t_frame)
        self.set_continuous(0)
        delay_mu(self.t_frame)
        self.stage_cic(1)
        delay_mu(self.t_frame)
        self.apply_cic(0xFFFFFFFF)
        delay_mu(self.t_frame)
        self.set_leds(0)
        delay_mu(self.t_frame)
        self.set_hold(0)
        delay_mu(self.t_frame)

    @kernel
    def write(self, addr, data):
        """Write a register."""
        rtio_output(self.channel | addr, data)

    @kernel
    def read(self, addr):
        """Refuse: the gateware has no read-back."""
        raise NotImplementedError

    @kernel
    def set_dac_mu(self, dac, data):
        """Write one channel's code."""
        self.write(dac, data)

    @kernel
    def set_group_mu(self, dac: TInt32, data: TList(TInt32)):
        """Write `width` channels from `dac` on, two codes a word."""
        if dac & (self.width - 1) != 0:
            raise ValueError("Group index LSBs must be zero")
        rtio_output_wide(self.channel | dac, data)

    @portable
    def voltage_to_mu(self, voltage):
        """Return the code nearest to `voltage`."""
        data = int32(round((0x8000 / 10.0) * voltage)) + int32(0x8000)
        if data < 0 or data > 0xFFFF:
            raise ValueError("DAC voltage out of bounds")
        return data

    @portable
    def voltage_group_to_mu(self, voltage, data):
        """Fill `data` with the codes of a group, two a word."""
        for i in range(len(voltage)):
            code = self.voltage_to_mu(voltage[i])
            if i & 1 != 0:
                code = data[i // 2] | (code << 16)
            data[i // 2] = int32(code)

    @kernel
    def set_dac(self, dac, voltage):
        """Write one channel's voltage."""
        self.write(dac, self.voltage_to_mu(voltage))

    @kernel
    def set_group(self, dac, voltage):
        """Write `width` voltages from `dac` on."""
        data = [int32(0)] * (len(voltage) // 2)
        self.voltage_group_to_mu(voltage, data)
        self.set_group_mu(dac, data)

    @kernel
    def update(self, update):
        """Update the outputs of the channels in the bit mask."""
        self.write(0x20, update)

    @kernel
    def set_hold(self, hold):
        """Hold the channels in the bit mask until `update`."""
        self.write(0x21, hold)

    @kernel
    def set_cfg(self, reset=0, afe_power_down=0, dac_clr=0, clr_err=0):
        """Write the configuration bits."""
        self.write(0x22, reset | (afe_power_down << 1) | (dac_clr << 2) | (clr_err << 3))

    @kernel
    def set_leds(self, leds):
        """Set the LEDs, one bit each."""
        self.write(0x23, leds)

    @kernel
    def set_continuous(self, channel_mask):
        """Update the channels in the bit mask in every frame."""
        self.write(0x25, channel_mask)

    @kernel
    def stage_cic_mu(self, rate_mantissa, rate_exponent, gain_exponent):
        """Prepare an interpolation rate in machine units."""
        if rate_mantissa < 0 or rate_mantissa >= 1 << 6:
            raise ValueError("rate_mantissa out of bounds")
        if rate_exponent < 0 or rate_exponent >= 1 << 4:
            raise ValueError("rate_exponent out of bounds")
        if gain_exponent < 0 or gain_exponent >= 1 << 6:
            raise ValueError("gain_exponent out of bounds")
        self.write(0x26, rate_mantissa | (rate_exponent << 6) | (gain_exponent << 10))

    @kernel
    def stage_cic(self, rate) -> TInt32:
        """Prepare interpolation by `rate`, 1 to 65536; return the rate that the hardware can do, at most that."""
        if rate <= 0 or rate > 1 << 16:
            raise ValueError("rate out of bounds")
        order = 3
        mantissa = rate
        exponent = 0
        while mantissa > 1 << 6:
            exponent += 1
            mantissa >>= 1
        # The filter gains mantissa**order; it is divided by the next power of two.
        gain = mantissa * mantissa * mantissa
        gain_exponent = 0
        while gain > 1 << gain_exponent:
            gain_exponent += 1
        gain_exponent += order * exponent
        assert gain_exponent <= order * 16
        self.stage_cic_mu(mantissa - 1, exponent, gain_exponent)
        return mantissa << exponent

    @kernel
    def apply_cic(self, channel_mask):
        """Apply the prepared interpolation to the channels in the bit mask; their filters restart."""
        self.write(0x27, channel_mask)
