"""AD5370 family of multi-channel 16-bit DACs on SPI.

A word of 24 bits: mode in bits 22-23 (3 data, 2 offset, 1 gain, 0 special function), channel + 8 in 16-21, value in
0-15. New values appear at the outputs when LDAC falls. Source: AD5372/AD5373 data sheet (Analog Devices), serial
word and special functions.
"""

from artiq.coredevice import spi2 as spi
from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu, portable
from artiq.language.units import ns, us
from numpy import int32

SPI_AD53XX_CONFIG = spi.SPI_END | spi.SPI_CLK_PHASE

AD53XX_CMD_DATA = 3 << 22
AD53XX_CMD_OFFSET = 2 << 22
AD53XX_CMD_GAIN = 1 << 22
AD53XX_CMD_SPECIAL = 0 << 22

AD53XX_SPECIAL_NOP = 0 << 16
AD53XX_SPECIAL_CONTROL = 1 << 16
AD53XX_SPECIAL_OFS0 = 2 << 16
AD53XX_SPECIAL_OFS1 = 3 << 16
AD53XX_SPECIAL_READ = 5 << 16
AD53XX_SPECIAL_AB0 = 6 << 16
AD53XX_SPECIAL_AB1 = 7 << 16
AD53XX_SPECIAL_AB2 = 8 << 16
AD53XX_SPECIAL_AB3 = 9 << 16
AD53XX_SPECIAL_AB = 11 << 16

# What can be read back; channel registers count from channel + 8.
AD53XX_READ_X1A = 0x008 << 7
AD53XX_READ_X1B = 0x048 << 7
AD53XX_READ_OFFSET = 0x088 << 7
AD53XX_READ_GAIN = 0x0C8 << 7
AD53XX_READ_CONTROL = 0x101 << 7
AD53XX_READ_OFS0 = 0x102 << 7
AD53XX_READ_OFS1 = 0x103 << 7
AD53XX_READ_AB0 = 0x106 << 7
AD53XX_READ_AB1 = 0x107 << 7
AD53XX_READ_AB2 = 0x108 << 7
AD53XX_READ_AB3 = 0x109 << 7


@portable
def ad53xx_cmd_write_ch(channel, value, op):
    """Return the word that writes `value` to a channel's data, offset or gain register (`op`)."""
    return op | (channel + 8) << 16 | (value & 0xFFFF)


@portable
def ad53xx_cmd_read_ch(channel, op):
    """Return the word that asks for a register (`op`, an AD53XX_READ_*)."""
    return AD53XX_CMD_SPECIAL | AD53XX_SPECIAL_READ | (op + (channel << 7))


@portable
def voltage_to_mu(voltage, offset_dacs=0x2000, vref=5.0):
    """Return the code nearest to `voltage`: the span is four references, shifted by the offset DACs."""
    code = int(round((1 << 16) * (voltage / (4.0 * vref)) + offset_dacs * 0x4))
    if code < 0x0 or code > 0xFFFF:
        raise ValueError("Invalid DAC voltage!")
    return code


class _DummyTTL:
    """Stand in for a control line that is not wired."""

    @portable
    def on(self):
        pass

    @portable
    def off(self):
        pass


class AD53xx:
    """Control one DAC of the AD5370 family."""

    kernel_invariants = {"bus", "ldac", "clr", "chip_select", "div_write", "div_read", "vref", "core"}

    def __init__(
        self,
        dmgr,
        spi_device,
        ldac_device=None,
        clr_device=None,
        chip_select=1,
        div_write=4,
        div_read=16,
        vref=5.0,
        offset_dacs=8192,
        core="core",
    ):
        self.bus = dmgr.get(spi_device)
        self.bus.update_xfer_duration_mu(div_write, 24)
        self.ldac = _DummyTTL() if ldac_device is None else dmgr.get(ldac_device)
        self.clr = _DummyTTL() if clr_device is None else dmgr.get(clr_device)
        self.chip_select = chip_select
        self.div_write = div_write
        self.div_read = div_read
        self.vref = vref
        self.offset_dacs = offset_dacs
        self.core = dmgr.get(core)

    @kernel
    def init(self, blind=False):
        """Configure the bus, the offset DACs and the control register (`blind`: do not read back)."""
        self.ldac.on()
        self.clr.on()
        self.bus.set_config_mu(SPI_AD53XX_CONFIG, 24, self.div_write, self.chip_select)
        self.write_offset_dacs_mu(self.offset_dacs)
        if not blind:
            ctrl = self.read_reg(0, AD53XX_READ_CONTROL)
            if ctrl == 0xFFFF:
                raise ValueError("DAC not found")
            if (ctrl & 0b10000) != 0:
                raise ValueError("DAC over temperature")
            delay(25 * us)
        # Bit 1: shut down on over-temperature.
        self.bus.write((AD53XX_CMD_SPECIAL | AD53XX_SPECIAL_CONTROL | 0b0010) << 8)
        if not blind:
            ctrl = self.read_reg(0, AD53XX_READ_CONTROL)
            if (ctrl & 0b10111) != 0b00010:
                raise ValueError("DAC CONTROL readback mismatch")
            delay(15 * us)

    @kernel
    def read_reg(self, channel=0, op=AD53XX_READ_X1A):
        """Read a register (`op`, an AD53XX_READ_*)."""
        self.bus.write(ad53xx_cmd_read_ch(channel, op) << 8)
        self.bus.set_config_mu(SPI_AD53XX_CONFIG | spi.SPI_INPUT, 24, self.div_read, self.chip_select)
        delay(270 * ns)  # chip select stays high between the words of a read
        self.bus.write((AD53XX_CMD_SPECIAL | AD53XX_SPECIAL_NOP) << 8)
        self.bus.set_config_mu(SPI_AD53XX_CONFIG, 24, self.div_write, self.chip_select)
        return self.bus.read() & int32(0xFFFF)

    @kernel
    def write_offset_dacs_mu(self, value):
        """Set both offset DACs (14 bits)."""
        value &= 0x3FFF
        self.offset_dacs = value
        self.bus.write((AD53XX_CMD_SPECIAL | AD53XX_SPECIAL_OFS0 | value) << 8)
        self.bus.write((AD53XX_CMD_SPECIAL | AD53XX_SPECIAL_OFS1 | value) << 8)

    @kernel
    def write_gain_mu(self, channel, gain=0xFFFF):
        """Set a channel's gain: (gain + 1) / 65536."""
        self.bus.write(ad53xx_cmd_write_ch(channel, gain, AD53XX_CMD_GAIN) << 8)

    @kernel
    def write_offset_mu(self, channel, offset=0x8000):
        """Set a channel's offset; 0x8000 is none."""
        self.bus.write(ad53xx_cmd_write_ch(channel, offset, AD53XX_CMD_OFFSET) << 8)

    @kernel
    def write_offset(self, channel, voltage):
        """Set a channel's offset (V)."""
        self.write_offset_mu(channel, voltage_to_mu(voltage, self.offset_dacs, self.vref))

    @kernel
    def write_dac_mu(self, channel, value):
        """Write a channel's code; it appears at the next `load`."""
        self.bus.write(ad53xx_cmd_write_ch(channel, value, AD53XX_CMD_DATA) << 8)

    @kernel
    def write_dac(self, channel, voltage):
        """Write a channel's voltage; it appears at the next `load`."""
        self.write_dac_mu(channel, voltage_to_mu(voltage, self.offset_dacs, self.vref))

    @kernel
    def load(self):
        """Pulse LDAC: what was written appears at the outputs."""
        self.ldac.off()
        delay_mu(2 * self.bus.ref_period_mu)
        self.ldac.on()

    @kernel
    def set_dac_mu(self, values, channels=list(range(40))):
        """Write codes **before** the cursor so that they appear at it; the cursor does not move."""
        t0 = now_mu()
        # LDAC may fall this long after the last word.
        settle_mu = self.core.seconds_to_mu(1500 * ns)
        delay_mu(-settle_mu - len(values) * self.bus.xfer_duration_mu)
        for i in range(len(values)):
            self.write_dac_mu(channels[i], values[i])
        delay_mu(settle_mu)
        self.load()
        at_mu(t0)

    @kernel
    def set_dac(self, voltages, channels=list(range(40))):
        """Write voltages **before** the cursor so that they appear at it; the cursor does not move."""
        values = [voltage_to_mu(voltage, self.offset_dacs, self.vref) for voltage in voltages]
        self.set_dac_mu(values, channels)

    @kernel
    def calibrate(self, channel, vzs, vfs):
        """Correct a channel that was measured to give `vzs` at zero scale and `vfs` at full scale (V)."""
        offset_err = voltage_to_mu(vzs, self.offset_dacs, self.vref)
        gain_err = voltage_to_mu(vfs, self.offset_dacs, self.vref) - (offset_err + 0xFFFF)
        assert offset_err <= 0
        assert gain_err >= 0
        self.core.break_realtime()
        self.write_offset_mu(channel, 0x8000 - offset_err)
        self.write_gain_mu(channel, 0xFFFF - gain_err)

    @portable
    def voltage_to_mu(self, voltage):
        """Return the code nearest to `voltage` with this DAC's reference and offset."""
        return voltage_to_mu(voltage, self.offset_dacs, self.vref)
