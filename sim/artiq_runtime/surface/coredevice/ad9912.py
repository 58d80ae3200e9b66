"""AD9912 direct digital synthesiser (48-bit frequency words), one channel of an Urukul card.

Serial interface: a 16-bit instruction (bit 15 reads, bits 13-14 length - 1, then the highest address), then the
bytes, from the highest address down. Source: AD9912 data sheet (Analog Devices), serial control port; ARTIQ 8
manual.
"""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from artiq.coredevice import spi2 as spi
from artiq.coredevice import urukul
from artiq.coredevice.ad9912_reg import (
    AD9912_FTW3,
    AD9912_N_DIV,
    AD9912_PLLCFG,
    AD9912_POW1,
    AD9912_PRODIDH,
    AD9912_PWRCNTRL1,
    AD9912_SER_CONF,
)
from artiq.language.core import delay, kernel, portable
from artiq.language.types import TBool, TFloat, TInt32, TInt64, TTuple
from artiq.language.units import ms, ns, us
from numpy import int32, int64

# The CPLD's reference clock divider, by its clk_div field (0 is the default of the AD9912 build).
_CLK_DIVIDER = (1, 1, 2, 4)
# Below this reference the chip's input doubler is on.
_DOUBLER_BELOW_HZ = 11e6


class AD9912:
    """Control one AD9912 of an Urukul card. `sw` is the TTL of the RF switch where the row names one."""

    def __init__(self, dmgr, chip_select, cpld_device, sw_device=None, pll_n=10, pll_en=1):
        self.kernel_invariants = {"cpld", "core", "bus", "chip_select", "pll_n", "pll_en", "ftw_per_hz"}
        if not 4 <= chip_select <= 7:
            raise ValueError(f"AD9912 on `{cpld_device}`: chip_select must be 4 to 7, but is {chip_select}")
        self.cpld = dmgr.get(cpld_device)
        self.core = self.cpld.core
        self.bus = self.cpld.bus
        self.chip_select = chip_select
        if sw_device:
            self.sw = dmgr.get(sw_device)
            self.kernel_invariants.add("sw")
        self.pll_en = pll_en
        self.pll_n = pll_n
        sysclk = self.cpld.refclk
        if pll_en:
            if sysclk < _DOUBLER_BELOW_HZ:
                sysclk *= 2
            sysclk = sysclk / _CLK_DIVIDER[self.cpld.clk_div] * pll_n
        if sysclk > 1e9:
            raise ValueError(
                f"AD9912 on `{cpld_device}`: the system clock must be <= 1 GHz, but is {sysclk / 1e6:g} MHz;"
                " lower pll_n"
            )
        self.ftw_per_hz = 1 / sysclk * (int64(1) << 48)

    @kernel
    def write(self, addr: TInt32, data: TInt32, length: TInt32):
        """Write `length` bytes (1 to 4), from the highest address `addr` down."""
        assert length > 0
        assert length <= 4
        self.bus.set_config_mu(urukul.SPI_CONFIG, 16, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write((addr | ((length - 1) << 13)) << 16)
        self.bus.set_config_mu(urukul.SPI_CONFIG | spi.SPI_END, length * 8, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write(data << (32 - length * 8))

    @kernel
    def read(self, addr: TInt32, length: TInt32) -> TInt32:
        """Read `length` bytes (1 to 4), from the highest address `addr` down."""
        assert length > 0
        assert length <= 4
        self.bus.set_config_mu(urukul.SPI_CONFIG, 16, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write((addr | ((length - 1) << 13) | 0x8000) << 16)
        self.bus.set_config_mu(
            urukul.SPI_CONFIG | spi.SPI_END | spi.SPI_INPUT, length * 8, urukul.SPIT_DDS_RD, self.chip_select
        )
        self.bus.write(0)
        data = self.bus.read()
        if length < 4:
            data &= (1 << (length * 8)) - 1
        return data

    @kernel
    def init(self):
        """Set up the serial port, check the product id, and start the PLL."""
        # Four wires, and the same in the mirrored bits.
        self.write(AD9912_SER_CONF, 0x99, 1)
        self.cpld.io_update.pulse(2 * us)
        prodid = self.read(AD9912_PRODIDH, 2)
        if (prodid != 0x1982) and (prodid != 0x1902):
            raise ValueError("Urukul AD9912 product id mismatch")
        delay(50 * us)
        # HSTL driver off, CMOS driver off; bit 4 powers the PLL down.
        self.write(AD9912_PWRCNTRL1, 0x80 | ((~self.pll_en & 1) << 4), 1)
        self.cpld.io_update.pulse(2 * us)
        if self.pll_en:
            self.write(AD9912_N_DIV, self.pll_n // 2 - 2, 1)
            self.cpld.io_update.pulse(2 * us)
            # 375 uA charge pump, high VCO range; bit 3 is the doubler.
            if self.cpld.refclk < 11e6:
                self.write(AD9912_PLLCFG, 0b00001101, 1)
            else:
                self.write(AD9912_PLLCFG, 0b00000101, 1)
            self.cpld.io_update.pulse(2 * us)
        delay(1 * ms)

    @kernel
    def set_att_mu(self, att: TInt32):
        """Set the attenuator byte."""
        self.cpld.set_att_mu(self.chip_select - 4, att)

    @kernel
    def set_att(self, att: TFloat):
        """Set the attenuation (dB)."""
        self.cpld.set_att(self.chip_select - 4, att)

    @kernel
    def get_att_mu(self) -> TInt32:
        """Read the attenuator byte."""
        return self.cpld.get_channel_att_mu(self.chip_select - 4)

    @kernel
    def get_att(self) -> TFloat:
        """Read the attenuation (dB)."""
        return self.cpld.get_channel_att(self.chip_select - 4)

    @kernel
    def set_mu(self, ftw: TInt64, pow_: TInt32 = 0):
        """Set the frequency and phase words, ending with an IO_UPDATE."""
        # Phase and frequency are neighbours: eight bytes in one streaming transfer.
        self.bus.set_config_mu(urukul.SPI_CONFIG, 16, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write((AD9912_POW1 << 16) | (3 << 29))
        self.bus.set_config_mu(urukul.SPI_CONFIG, 32, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write((pow_ << 16) | (int32(ftw >> 32) & 0xFFFF))
        self.bus.set_config_mu(urukul.SPI_CONFIG | spi.SPI_END, 32, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write(int32(ftw))
        self.cpld.io_update.pulse(10 * ns)

    @kernel
    def get_mu(self) -> TTuple([TInt64, TInt32]):
        """Read the frequency and phase words."""
        high = self.read(AD9912_POW1, 4)
        self.core.break_realtime()
        low = self.read(AD9912_FTW3, 4)
        ftw = (int64(high & 0xFFFF) << 32) | (int64(low) & int64(0xFFFFFFFF))
        return ftw, (high >> 16) & 0x3FFF

    @portable(flags={"fast-math"})
    def frequency_to_ftw(self, frequency: TFloat) -> TInt64:
        """Return the 48-bit frequency word nearest to `frequency` (Hz)."""
        return int64(round(self.ftw_per_hz * frequency)) & ((int64(1) << 48) - 1)

    @portable(flags={"fast-math"})
    def ftw_to_frequency(self, ftw: TInt64) -> TFloat:
        """Return the frequency (Hz) of a word."""
        return ftw / self.ftw_per_hz

    @portable(flags={"fast-math"})
    def turns_to_pow(self, phase: TFloat) -> TInt32:
        """Return the 14-bit phase word nearest to `phase` (turns)."""
        return int32(round((1 << 14) * phase)) & 0xFFFF

    @portable(flags={"fast-math"})
    def pow_to_turns(self, pow_: TInt32) -> TFloat:
        """Return the phase (turns) of a word."""
        return pow_ / (1 << 14)

    @kernel
    def set(self, frequency: TFloat, phase: TFloat = 0.0):
        """Set frequency (Hz) and phase (turns)."""
        self.set_mu(self.frequency_to_ftw(frequency), self.turns_to_pow(phase))

    @kernel
    def get(self) -> TTuple([TFloat, TFloat]):
        """Read (frequency, phase)."""
        ftw, pow_ = self.get_mu()
        return self.ftw_to_frequency(ftw), self.pow_to_turns(pow_)

    @kernel
    def cfg_sw(self, state: TBool):
        """Set the CPLD's RF-switch bit (ORed with the TTL)."""
        self.cpld.cfg_sw(self.chip_select - 4, state)
