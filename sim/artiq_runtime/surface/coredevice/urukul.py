"""Urukul: four DDS channels behind a CPLD that switches, attenuates, selects profiles and reports status.

The CPLD is chip select 1 (configuration, 24 bits), the attenuators are 2 (four bytes, channel 3 first), all DDS
together 3, one DDS each 4-7. Source: Urukul CPLD gateware, protocol revision 8 (quartiq/urukul), and the ARTIQ 8
manual.
"""

from artiq.coredevice import spi2 as spi
from artiq.language.core import at_mu, delay, kernel, now_mu, portable
from artiq.language.types import TBool, TFloat, TInt32
from artiq.language.units import ms, us
from numpy import int32, int64

SPI_CONFIG = spi.SPI_CS_POLARITY

# SPI clock dividers for write and read of the CPLD, the attenuators and the DDS.
SPIT_CFG_WR = 2
SPIT_CFG_RD = 16
SPIT_ATT_WR = 6
SPIT_ATT_RD = 16
SPIT_DDS_WR = 2
SPIT_DDS_RD = 16

# Bit positions of the configuration register.
CFG_RF_SW = 0
CFG_LED = 4
CFG_PROFILE = 8
CFG_IO_UPDATE = 12
CFG_MASK_NU = 13
CFG_CLK_SEL0 = 17
CFG_CLK_SEL1 = 21
CFG_SYNC_SEL = 18
CFG_RST = 19
CFG_IO_RST = 20
CFG_CLK_DIV = 22

# Bit positions of the status register.
STA_RF_SW = 0
STA_SMP_ERR = 4
STA_PLL_LOCK = 8
STA_IFC_MODE = 12
STA_PROTO_REV = 16

STA_PROTO_REV_MATCH = 0x08

CS_CFG = 1
CS_ATT = 2
CS_DDS_MULTI = 3
CS_DDS_CH0 = 4
CS_DDS_CH1 = 5
CS_DDS_CH2 = 6
CS_DDS_CH3 = 7

# The profile pins idle high.
DEFAULT_PROFILE = 7


@portable
def urukul_cfg(rf_sw, led, profile, io_update, mask_nu, clk_sel, sync_sel, rst, io_rst, clk_div):
    """Pack the fields of the configuration register."""
    switches = (rf_sw << CFG_RF_SW) | (led << CFG_LED) | (profile << CFG_PROFILE) | (io_update << CFG_IO_UPDATE)
    # The clock selector's second bit was added later, at another place.
    clock = ((clk_sel & 1) << CFG_CLK_SEL0) | ((clk_sel & 2) << (CFG_CLK_SEL1 - 1)) | (clk_div << CFG_CLK_DIV)
    resets = (rst << CFG_RST) | (io_rst << CFG_IO_RST)
    return switches | (mask_nu << CFG_MASK_NU) | (sync_sel << CFG_SYNC_SEL) | clock | resets


@portable
def urukul_sta_rf_sw(sta):
    """Return the RF switches' state, one bit per channel."""
    return (sta >> STA_RF_SW) & 0xF


@portable
def urukul_sta_smp_err(sta):
    """Return the DDS' SYNC sample errors, one bit per channel."""
    return (sta >> STA_SMP_ERR) & 0xF


@portable
def urukul_sta_pll_lock(sta):
    """Return the DDS' PLL locks, one bit per channel."""
    return (sta >> STA_PLL_LOCK) & 0xF


@portable
def urukul_sta_ifc_mode(sta):
    """Return the interface mode switches."""
    return (sta >> STA_IFC_MODE) & 0xF


@portable
def urukul_sta_proto_rev(sta):
    """Return the CPLD's protocol revision."""
    return (sta >> STA_PROTO_REV) & 0x7F


class _RegIOUpdate:
    """Pulse IO_UPDATE through the configuration register, where no TTL is wired."""

    def __init__(self, cpld):
        self.cpld = cpld

    @kernel
    def pulse(self, t: TFloat):
        cfg = self.cpld.cfg_reg
        self.cpld.cfg_write(cfg | (1 << CFG_IO_UPDATE))
        delay(t)
        self.cpld.cfg_write(cfg)


class _DummySync:
    """Stand in for the SYNC clock generator where none is wired."""

    def __init__(self, cpld):
        self.cpld = cpld

    @kernel
    def set_mu(self, ftw: TInt32):
        pass


class CPLD:
    """Control the CPLD of one Urukul card and own its SPI bus.

    `clk_sel`: 0 internal oscillator, 1 front SMA, 2 internal MMCX. `clk_div`: 0 default (4 for AD9910, 1 for AD9912),
    1: by 1, 2: by 2, 3: by 4.
    `att` is the attenuator word the card is believed to hold; `get_att_mu` reads the true one.
    """

    kernel_invariants = {"refclk", "bus", "core", "io_update", "clk_div"}

    def __init__(
        self,
        dmgr,
        spi_device,
        io_update_device=None,
        dds_reset_device=None,
        sync_device=None,
        sync_sel=0,
        clk_sel=0,
        clk_div=0,
        rf_sw=0,
        refclk=125e6,
        att=0x00000000,
        sync_div=None,
        core_device="core",
    ):
        if not 0 <= clk_div <= 3:
            raise ValueError(f"Urukul on `{spi_device}`: clk_div must be 0, 1, 2 or 3, but is {clk_div}")
        if sync_device is None and sync_div is not None:
            raise ValueError(f"Urukul on `{spi_device}`: sync_div is {sync_div} but no sync_device drives SYNC")
        self.core = dmgr.get(core_device)
        self.refclk = refclk
        self.clk_div = clk_div
        self.bus = dmgr.get(spi_device)
        self.io_update = _RegIOUpdate(self) if io_update_device is None else dmgr.get(io_update_device)
        if dds_reset_device is not None:
            self.dds_reset = dmgr.get(dds_reset_device)
        if sync_device is None:
            self.sync = _DummySync(self)
            self.sync_div = 0
        else:
            self.sync = dmgr.get(sync_device)
            self.sync_div = 2 if sync_div is None else sync_div
        self.cfg_reg = urukul_cfg(
            rf_sw=rf_sw,
            led=0,
            profile=DEFAULT_PROFILE,
            io_update=0,
            mask_nu=0,
            clk_sel=clk_sel,
            sync_sel=sync_sel,
            rst=0,
            io_rst=0,
            clk_div=clk_div,
        )
        self.att_reg = int32(int64(att))

    @kernel
    def cfg_write(self, cfg: TInt32):
        """Write the configuration register."""
        self.bus.set_config_mu(SPI_CONFIG | spi.SPI_END, 24, SPIT_CFG_WR, CS_CFG)
        self.bus.write(cfg << 8)
        self.cfg_reg = cfg

    @kernel
    def sta_read(self) -> TInt32:
        """Write the configuration again and return the status that comes back."""
        self.bus.set_config_mu(SPI_CONFIG | spi.SPI_END | spi.SPI_INPUT, 24, SPIT_CFG_RD, CS_CFG)
        self.bus.write(self.cfg_reg << 8)
        return self.bus.read()

    @kernel
    def init(self, blind: TBool = False):
        """Reset the DDS interfaces and check the protocol revision (`blind`: do not read back)."""
        cfg = self.cfg_reg
        # The DDS reset line stays low: a pulse on it would lose the SYNC alignment.
        self.cfg_reg = cfg | (1 << CFG_IO_RST)
        if blind:
            self.cfg_write(self.cfg_reg)
        else:
            if urukul_sta_proto_rev(self.sta_read()) != STA_PROTO_REV_MATCH:
                raise ValueError("Urukul proto_rev mismatch")
        delay(100 * us)
        self.cfg_write(cfg)
        if self.sync_div:
            at_mu(now_mu() & ~0xF)
            self.set_sync_div(self.sync_div)
        delay(1 * ms)

    @kernel
    def io_rst(self):
        """Pulse IO_RESET of all DDS."""
        self.cfg_write(self.cfg_reg | (1 << CFG_IO_RST))
        self.cfg_write(self.cfg_reg & ~(1 << CFG_IO_RST))

    @kernel
    def cfg_sw(self, channel: TInt32, on: TBool):
        """Set the CPLD's RF-switch bit of one channel (ORed with its TTL)."""
        cfg = self.cfg_reg
        if on:
            cfg |= 1 << channel
        else:
            cfg &= ~(1 << channel)
        self.cfg_write(cfg)

    @kernel
    def cfg_switches(self, state: TInt32):
        """Set the CPLD's RF-switch bits of all channels."""
        self.cfg_write((self.cfg_reg & ~0xF) | state)

    @portable(flags={"fast-math"})
    def mu_to_att(self, att_mu: TInt32) -> TFloat:
        """Return the attenuation (dB) of an attenuator byte."""
        return (255 - (att_mu & 0xFF)) / 8

    @portable(flags={"fast-math"})
    def att_to_mu(self, att: TFloat) -> TInt32:
        """Return the attenuator byte for `att` dB, 0 to 31.875 in steps of 0.125."""
        code = int32(255) - int32(round(att * 8))
        if code < 0 or code > 255:
            raise ValueError("Invalid urukul.CPLD attenuation!")
        return code

    @kernel
    def set_att_mu(self, channel: TInt32, att: TInt32):
        """Set one attenuator byte; the other channels keep what the driver believes they have."""
        others = self.att_reg & ~(0xFF << (channel * 8))
        self.set_all_att_mu(others | (att << (channel * 8)))

    @kernel
    def set_all_att_mu(self, att_reg: TInt32):
        """Set all attenuators."""
        self.bus.set_config_mu(SPI_CONFIG | spi.SPI_END, 32, SPIT_ATT_WR, CS_ATT)
        self.bus.write(att_reg)
        self.att_reg = att_reg

    @kernel
    def set_att(self, channel: TInt32, att: TFloat):
        """Set one attenuator (dB)."""
        self.set_att_mu(channel, self.att_to_mu(att))

    @kernel
    def get_att_mu(self) -> TInt32:
        """Read all attenuators; their shift register is then written back."""
        self.bus.set_config_mu(SPI_CONFIG | spi.SPI_INPUT, 32, SPIT_ATT_RD, CS_ATT)
        self.bus.write(0)  # what was in the chain comes out
        self.bus.set_config_mu(SPI_CONFIG | spi.SPI_END, 32, SPIT_ATT_WR, CS_ATT)
        delay(10 * us)
        self.att_reg = self.bus.read()
        self.bus.write(self.att_reg)  # and goes in again before chip select latches
        return self.att_reg

    @kernel
    def get_channel_att_mu(self, channel: TInt32) -> TInt32:
        """Read one attenuator byte."""
        return int32((self.get_att_mu() >> (channel * 8)) & 0xFF)

    @kernel
    def get_channel_att(self, channel: TInt32) -> TFloat:
        """Read one attenuator (dB)."""
        return self.mu_to_att(self.get_channel_att_mu(channel))

    @kernel
    def set_sync_div(self, div: TInt32):
        """Set the SYNC clock to the RTIO clock divided by `div`, a divisor of 16."""
        ftw_max = 1 << 4
        ftw = ftw_max // div
        assert ftw * div == ftw_max
        self.sync.set_mu(ftw)

    @kernel
    def set_profile(self, profile: TInt32):
        """Set the profile pins of all DDS."""
        self.cfg_write((self.cfg_reg & ~(7 << CFG_PROFILE)) | ((profile & 7) << CFG_PROFILE))
