"""AD9910 direct digital synthesiser, one channel of an Urukul card.

Serial interface: an 8-bit instruction (bit 7 reads), then the register, most significant bit first. A written
register takes effect at IO_UPDATE. Source: AD9910 data sheet (Analog Devices), register map; ARTIQ 8 manual. Above
400 lines because the chip has many registers and each has its methods.
"""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from typing import Any

from artiq.coredevice import spi2 as spi
from artiq.coredevice import urukul
from artiq.coredevice.urukul import DEFAULT_PROFILE
from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu, portable
from artiq.language.types import TBool, TFloat, TInt32, TInt64, TList, TTuple
from artiq.language.units import ms, us
from numpy import int32, int64

urukul_sta_pll_lock = urukul.urukul_sta_pll_lock
urukul_sta_smp_err = urukul.urukul_sta_smp_err

__all__ = [
    "AD9910",
    "PHASE_MODE_CONTINUOUS",
    "PHASE_MODE_ABSOLUTE",
    "PHASE_MODE_TRACKING",
    "RAM_DEST_FTW",
    "RAM_DEST_POW",
    "RAM_DEST_ASF",
    "RAM_DEST_POWASF",
    "RAM_MODE_DIRECTSWITCH",
    "RAM_MODE_RAMPUP",
    "RAM_MODE_BIDIR_RAMP",
    "RAM_MODE_CONT_BIDIR_RAMP",
    "RAM_MODE_CONT_RAMPUP",
]

_PHASE_MODE_DEFAULT = -1
PHASE_MODE_CONTINUOUS = 0  # the accumulator runs on; frequency changes keep the phase
PHASE_MODE_ABSOLUTE = 1  # the accumulator is cleared at the update: the phase is the phase offset
PHASE_MODE_TRACKING = 2  # cleared, with an offset as if the new frequency had run since the reference time

_AD9910_REG_CFR1 = 0x00
_AD9910_REG_CFR2 = 0x01
_AD9910_REG_CFR3 = 0x02
_AD9910_REG_AUX_DAC = 0x03
_AD9910_REG_IO_UPDATE = 0x04
_AD9910_REG_FTW = 0x07
_AD9910_REG_POW = 0x08
_AD9910_REG_ASF = 0x09
_AD9910_REG_SYNC = 0x0A
_AD9910_REG_RAMP_LIMIT = 0x0B
_AD9910_REG_RAMP_STEP = 0x0C
_AD9910_REG_RAMP_RATE = 0x0D
_AD9910_REG_PROFILE0 = 0x0E
_AD9910_REG_RAM = 0x16

RAM_DEST_FTW = 0
RAM_DEST_POW = 1
RAM_DEST_ASF = 2
RAM_DEST_POWASF = 3

RAM_MODE_DIRECTSWITCH = 0
RAM_MODE_RAMPUP = 1
RAM_MODE_BIDIR_RAMP = 2
RAM_MODE_CONT_BIDIR_RAMP = 3
RAM_MODE_CONT_RAMPUP = 4

_DEFAULT_PROFILE_RAM = 0

# Tuning range of each voltage-controlled oscillator of the PLL, MHz (data sheet).
_VCO_RANGE_MHZ = ((370, 510), (420, 590), (500, 700), (600, 880), (700, 950), (820, 1150))
# The CPLD's reference clock divider, by its clk_div field (0 is the default of the AD9910 build).
_CLK_DIVIDER = (4, 1, 2, 4)


class SyncDataUser:
    """Hold the alignment values given in the device_db row."""

    def __init__(self, core, sync_delay_seed, io_update_delay):
        self.core = core
        self.sync_delay_seed = sync_delay_seed
        self.io_update_delay = io_update_delay

    @kernel
    def init(self):
        """Do nothing: the values are known."""


class SyncDataEeprom:
    """Read the alignment values from an EEPROM, given as "device:offset"."""

    def __init__(self, dmgr, core, eeprom_str):
        self.core = core
        device, offset = eeprom_str.split(":")
        self.eeprom_device = dmgr.get(device)
        self.eeprom_offset = int(offset)
        self.sync_delay_seed: Any = 0
        self.io_update_delay: Any = 0

    @kernel
    def init(self):
        """Fetch the values: upper byte the signed SYNC delay, lower byte the IO_UPDATE delay (0xff: none)."""
        word = self.eeprom_device.read_i32(self.eeprom_offset) >> 16
        seed = word >> 8
        io_update_delay = 0
        if seed >= 0:
            io_update_delay = word & 0xFF
            if io_update_delay == 0xFF:
                io_update_delay = 0
        self.sync_delay_seed = int32(seed)
        self.io_update_delay = int32(io_update_delay)


def _system_clock(row, clk, pll_en, pll_n, pll_vco, pll_cp):
    """Return the DDS clock (Hz) or refuse values that the PLL cannot reach."""
    if not pll_en:
        sysclk = clk
    else:
        if clk > 60e6:
            raise ValueError(
                f"AD9910 {row}: the PLL's input must be <= 60 MHz, but is {clk / 1e6:g} MHz; raise the CPLD's clk_div"
            )
        if not 12 <= pll_n <= 127:
            raise ValueError(f"AD9910 {row}: pll_n must be 12 to 127, but is {pll_n}")
        if not 0 <= pll_vco <= 5:
            raise ValueError(f"AD9910 {row}: pll_vco must be 0 to 5, but is {pll_vco}")
        if not 0 <= pll_cp <= 7:
            raise ValueError(f"AD9910 {row}: pll_cp must be 0 to 7, but is {pll_cp}")
        sysclk = clk * pll_n
        low, high = _VCO_RANGE_MHZ[pll_vco]
        if not low <= sysclk / 1e6 <= high:
            raise ValueError(
                f"AD9910 {row}: VCO {pll_vco} covers {low} to {high} MHz, but the system clock is {sysclk / 1e6:g} MHz"
            )
    if sysclk > 1e9:
        raise ValueError(f"AD9910 {row}: the system clock must be <= 1 GHz, but is {sysclk / 1e6:g} MHz")
    return sysclk


class AD9910:
    """Control one AD9910 of an Urukul card.

    Frequencies are Hz, phases turns, amplitudes 0 to 1; `ftw` is the 32-bit frequency word, `pow_` the 16-bit phase
    word, `asf` the 14-bit amplitude word. `sw` is the TTL of the RF switch where the row names one.
    """

    def __init__(
        self,
        dmgr,
        chip_select,
        cpld_device,
        sw_device=None,
        pll_n=40,
        pll_cp=7,
        pll_vco=5,
        sync_delay_seed=-1,
        io_update_delay=0,
        pll_en=1,
    ):
        self.kernel_invariants = {
            "cpld",
            "core",
            "bus",
            "chip_select",
            "pll_en",
            "pll_n",
            "pll_vco",
            "pll_cp",
            "ftw_per_hz",
            "sysclk_per_mu",
            "sysclk",
            "sync_data",
        }
        row = f"{chip_select} of `{cpld_device}`"
        if not 3 <= chip_select <= 7:
            raise ValueError(f"AD9910 {row}: chip_select must be 4 to 7 (3 for all), but is {chip_select}")
        self.cpld = dmgr.get(cpld_device)
        self.core = self.cpld.core
        self.bus = self.cpld.bus
        self.chip_select = chip_select
        if sw_device:
            self.sw = dmgr.get(sw_device)
            self.kernel_invariants.add("sw")
        self.pll_en, self.pll_n, self.pll_vco, self.pll_cp = pll_en, pll_n, pll_vco, pll_cp
        clk = self.cpld.refclk / _CLK_DIVIDER[self.cpld.clk_div]
        self.sysclk = _system_clock(row, clk, pll_en, pll_n, pll_vco, pll_cp)
        self.ftw_per_hz = (1 << 32) / self.sysclk
        self.sysclk_per_mu = int(round(self.sysclk * self.core.ref_period))
        if isinstance(sync_delay_seed, str) or isinstance(io_update_delay, str):
            if sync_delay_seed != io_update_delay:
                raise ValueError(
                    f"AD9910 {row}: with an EEPROM, sync_delay_seed and io_update_delay must be the same string"
                )
            self.sync_data: Any = SyncDataEeprom(dmgr, self.core, sync_delay_seed)
        else:
            self.sync_data = SyncDataUser(self.core, sync_delay_seed, io_update_delay)
        self.phase_mode = PHASE_MODE_CONTINUOUS

    @kernel
    def set_phase_mode(self, phase_mode: TInt32):
        """Set the phase mode that `set` and `set_mu` use when they are not told another."""
        self.phase_mode = phase_mode

    # -- registers ---------------------------------------------------------------------------------------------------

    @kernel
    def _instruction(self, byte):
        """Send the instruction byte and keep the chip selected."""
        self.bus.set_config_mu(urukul.SPI_CONFIG, 8, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write(byte << 24)

    @kernel
    def _send(self, flags, word):
        """Send a 32-bit word."""
        self.bus.set_config_mu(urukul.SPI_CONFIG | flags, 32, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write(word)

    @kernel
    def _request(self, flags, length):
        """Clock out a word whose bits come back as an input event."""
        self.bus.set_config_mu(urukul.SPI_CONFIG | spi.SPI_INPUT | flags, length, urukul.SPIT_DDS_RD, self.chip_select)
        self.bus.write(0)

    @kernel
    def write16(self, addr: TInt32, data: TInt32):
        """Write a 16-bit register."""
        self.bus.set_config_mu(urukul.SPI_CONFIG | spi.SPI_END, 24, urukul.SPIT_DDS_WR, self.chip_select)
        self.bus.write((addr << 24) | ((data & 0xFFFF) << 8))

    @kernel
    def write32(self, addr: TInt32, data: TInt32):
        """Write a 32-bit register."""
        self._instruction(addr)
        self._send(spi.SPI_END, data)

    @kernel
    def write64(self, addr: TInt32, data_high: TInt32, data_low: TInt32):
        """Write a 64-bit register."""
        self._instruction(addr)
        self._send(0, data_high)
        self._send(spi.SPI_END, data_low)

    @kernel
    def read16(self, addr: TInt32) -> TInt32:
        """Read a 16-bit register."""
        self._instruction(addr | 0x80)
        self._request(spi.SPI_END, 16)
        return self.bus.read()

    @kernel
    def read32(self, addr: TInt32) -> TInt32:
        """Read a 32-bit register."""
        self._instruction(addr | 0x80)
        self._request(spi.SPI_END, 32)
        return self.bus.read()

    @kernel
    def read64(self, addr: TInt32) -> TInt64:
        """Read a 64-bit register."""
        self._instruction(addr | 0x80)
        self._request(0, 32)
        self._request(spi.SPI_END, 32)
        high = self.bus.read()
        low = self.bus.read()
        # The low word counts as unsigned: its sign must not run into the high one.
        return (int64(high) << 32) | (int64(low) & 0xFFFFFFFF)

    @kernel
    def write_ram(self, data: TList(TInt32)):
        """Write the RAM from the start to the end address of the RAM profile that the profile pins select."""
        last = len(data) - 1
        self._instruction(_AD9910_REG_RAM)
        self.bus.set_config_mu(urukul.SPI_CONFIG, 32, urukul.SPIT_DDS_WR, self.chip_select)
        for i in range(last):
            self.bus.write(data[i])
        self._send(spi.SPI_END, data[last])

    @kernel
    def read_ram(self, data: TList(TInt32)):
        """Read the RAM into `data`, over the addresses that `write_ram` writes."""
        last = len(data) - 1
        # The SPI input FIFO is short: read with a lag of eight words.
        lag = min(last, 8)
        self._instruction(_AD9910_REG_RAM | 0x80)
        if last > 0:
            self.bus.set_config_mu(urukul.SPI_CONFIG | spi.SPI_INPUT, 32, urukul.SPIT_DDS_RD, self.chip_select)
        for i in range(last):
            self.bus.write(0)
            if i >= lag:
                data[i - lag] = self.bus.read()
        self._request(spi.SPI_END, 32)
        for i in range(lag + 1):
            data[last - lag + i] = self.bus.read()

    # -- control registers -------------------------------------------------------------------------------------------

    @kernel
    def set_cfr1(
        self,
        power_down: TInt32 = 0b0000,
        phase_autoclear: TInt32 = 0,
        drg_load_lrr: TInt32 = 0,
        drg_autoclear: TInt32 = 0,
        phase_clear: TInt32 = 0,
        internal_profile: TInt32 = 0,
        ram_destination: TInt32 = 0,
        ram_enable: TInt32 = 0,
        manual_osk_external: TInt32 = 0,
        osk_enable: TInt32 = 0,
        select_auto_osk: TInt32 = 0,
    ):
        """Write control register 1; it takes effect at the next IO_UPDATE."""
        ram = (ram_enable << 31) | (ram_destination << 29) | (internal_profile << 17)
        osk = (manual_osk_external << 23) | (osk_enable << 9) | (select_auto_osk << 8)
        ramp = (drg_load_lrr << 15) | (drg_autoclear << 14)
        phase = (phase_autoclear << 13) | (phase_clear << 11)
        # Bit 1: the data pin is an input only (three pins, SDO apart).
        self.write32(_AD9910_REG_CFR1, ram | osk | ramp | phase | (power_down << 4) | 2)

    @kernel
    def set_cfr2(
        self,
        asf_profile_enable: TInt32 = 1,
        drg_enable: TInt32 = 0,
        effective_ftw: TInt32 = 1,
        sync_validation_disable: TInt32 = 0,
        matched_latency_enable: TInt32 = 0,
    ):
        """Write control register 2; it takes effect at the next IO_UPDATE."""
        self.write32(
            _AD9910_REG_CFR2,
            (asf_profile_enable << 24)
            | (drg_enable << 19)
            | (effective_ftw << 16)
            | (matched_latency_enable << 7)
            | (sync_validation_disable << 5),
        )

    @kernel
    def init(self, blind: TBool = False):
        """Reset the control registers, check the chip and lock the PLL (`blind`: do not read back)."""
        self.sync_data.init()
        if self.sync_data.sync_delay_seed >= 0:
            if not self.cpld.sync_div:
                raise ValueError("parent CPLD does not drive SYNC")
            if self.sysclk_per_mu != self.sysclk * self.core.ref_period:
                raise ValueError("incorrect clock ratio for synchronization")
        delay(50 * ms)  # slack: reading an EEPROM takes some 30 ms
        self.set_cfr1()
        self.cpld.io_update.pulse(1 * us)
        delay(1 * ms)
        if not blind:
            if self.read32(_AD9910_REG_AUX_DAC) & 0xFF != 0x7F:
                raise ValueError("Urukul AD9910 AUX_DAC mismatch")
            delay(50 * us)
        self.set_cfr2(sync_validation_disable=1)
        self.cpld.io_update.pulse(1 * us)
        self._init_pll(blind)
        delay(10 * us)
        if self.sync_data.sync_delay_seed >= 0 and not blind:
            self.tune_sync_delay(self.sync_data.sync_delay_seed)
        delay(1 * ms)

    @kernel
    def _init_pll(self, blind: TBool):
        # DRV0 off, input divider bypassed and not reset; bit 10 resets the phase detector.
        cfr3 = 0x0807C000 | (self.pll_vco << 24) | (self.pll_cp << 19) | (self.pll_en << 8) | (self.pll_n << 1)
        self.write32(_AD9910_REG_CFR3, cfr3 | (1 << 10))
        self.cpld.io_update.pulse(1 * us)
        if not self.pll_en:
            return
        self.write32(_AD9910_REG_CFR3, cfr3)
        self.cpld.io_update.pulse(1 * us)
        if blind:
            delay(100 * ms)
        else:
            self._wait_for_lock()

    @kernel
    def _wait_for_lock(self):
        locked = False
        for _ in range(100):
            lock = urukul_sta_pll_lock(self.cpld.sta_read())
            delay(1 * ms)
            if lock & (1 << (self.chip_select - 4)) != 0:
                locked = True
                break
        if not locked:
            raise ValueError("PLL lock timeout")

    @kernel
    def power_down(self, bits: TInt32 = 0b1111):
        """Power down: bits for digital core, DAC, reference input and auxiliary DAC, from bit 3 down."""
        self.set_cfr1(power_down=bits)
        self.cpld.io_update.pulse(1 * us)

    # -- single tone -------------------------------------------------------------------------------------------------

    @kernel
    def set_mu(
        self,
        ftw: TInt32 = 0,
        pow_: TInt32 = 0,
        asf: TInt32 = 0x3FFF,
        phase_mode: TInt32 = _PHASE_MODE_DEFAULT,
        ref_time_mu: TInt64 = int64(-1),
        profile: TInt32 = DEFAULT_PROFILE,
        ram_destination: TInt32 = -1,
    ) -> TInt32:
        """Set the tone in machine units, ending with an IO_UPDATE; return the phase word written.

        In tracking mode the phase is that of an oscillator which has run since `ref_time_mu` (0 by default). With
        `ram_destination` the registers that the RAM does not drive are written instead of a profile.
        """
        if phase_mode == _PHASE_MODE_DEFAULT:
            phase_mode = self.phase_mode
        # IO_UPDATE must keep its phase to the coarse clock.
        at_mu(now_mu() & ~7)
        if phase_mode != PHASE_MODE_CONTINUOUS:
            self.set_cfr1(phase_autoclear=1)
            if phase_mode == PHASE_MODE_TRACKING and ref_time_mu < 0:
                ref_time_mu = int64(0)
            if ref_time_mu >= 0:
                # 32 bits suffice: the phase word is the product modulo one turn.
                dt = int32(now_mu()) - int32(ref_time_mu)
                pow_ += dt * ftw * self.sysclk_per_mu >> 16
        if ram_destination == -1:
            self.write64(_AD9910_REG_PROFILE0 + profile, (asf << 16) | (pow_ & 0xFFFF), ftw)
        else:
            self._set_outside_ram(ftw, pow_, asf, ram_destination)
        delay_mu(int64(self.sync_data.io_update_delay))
        self.cpld.io_update.pulse_mu(8)
        at_mu(now_mu() & ~7)
        if phase_mode != PHASE_MODE_CONTINUOUS:
            self.set_cfr1()
            # The next IO_UPDATE applies it.
        return pow_

    @kernel
    def _set_outside_ram(self, ftw, pow_, asf, ram_destination):
        """Write the single-tone registers of what the RAM does not drive."""
        if ram_destination != RAM_DEST_FTW:
            self.set_ftw(ftw)
        if ram_destination != RAM_DEST_POWASF:
            if ram_destination != RAM_DEST_ASF:
                self.set_asf(asf)
            if ram_destination != RAM_DEST_POW:
                self.set_pow(pow_)

    @kernel
    def get_mu(self, profile: TInt32 = DEFAULT_PROFILE) -> TTuple([TInt32, TInt32, TInt32]):
        """Read (ftw, pow, asf) of a profile."""
        data = int64(self.read64(_AD9910_REG_PROFILE0 + profile))
        return int32(data), int32((data >> 32) & 0xFFFF), int32((data >> 48) & 0x3FFF)

    @kernel
    def set(
        self,
        frequency: TFloat = 0.0,
        phase: TFloat = 0.0,
        amplitude: TFloat = 1.0,
        phase_mode: TInt32 = _PHASE_MODE_DEFAULT,
        ref_time_mu: TInt64 = int64(-1),
        profile: TInt32 = DEFAULT_PROFILE,
        ram_destination: TInt32 = -1,
    ) -> TFloat:
        """Set the tone; return the phase written, in turns. See `set_mu`."""
        return self.pow_to_turns(
            self.set_mu(
                self.frequency_to_ftw(frequency),
                self.turns_to_pow(phase),
                self.amplitude_to_asf(amplitude),
                phase_mode,
                ref_time_mu,
                profile,
                ram_destination,
            )
        )

    @kernel
    def get(self, profile: TInt32 = DEFAULT_PROFILE) -> TTuple([TFloat, TFloat, TFloat]):
        """Read (frequency, phase, amplitude) of a profile."""
        ftw, pow_, asf = self.get_mu(profile)
        return self.ftw_to_frequency(ftw), self.pow_to_turns(pow_), self.asf_to_amplitude(asf)

    @kernel
    def set_profile_ram(
        self,
        start: TInt32,
        end: TInt32,
        step: TInt32 = 1,
        profile: TInt32 = _DEFAULT_PROFILE_RAM,
        nodwell_high: TInt32 = 0,
        zero_crossing: TInt32 = 0,
        mode: TInt32 = 1,
    ):
        """Set a RAM profile: addresses `start` to `end`, `step` in units of 4 system clocks, playback `mode`."""
        low = (end << 30) | (start << 14) | (nodwell_high << 5) | (zero_crossing << 3) | mode
        self.write64(_AD9910_REG_PROFILE0 + profile, (step << 8) | (end >> 2), low)

    @kernel
    def set_ftw(self, ftw: TInt32):
        """Write the frequency register (used with RAM)."""
        self.write32(_AD9910_REG_FTW, ftw)

    @kernel
    def set_asf(self, asf: TInt32):
        """Write the amplitude register (used with RAM)."""
        self.write32(_AD9910_REG_ASF, asf << 2)

    @kernel
    def set_pow(self, pow_: TInt32):
        """Write the phase register (used with RAM)."""
        self.write16(_AD9910_REG_POW, pow_)

    @kernel
    def get_ftw(self) -> TInt32:
        """Read the frequency register."""
        return self.read32(_AD9910_REG_FTW)

    @kernel
    def get_asf(self) -> TInt32:
        """Read the amplitude register."""
        return self.read32(_AD9910_REG_ASF) >> 2

    @kernel
    def get_pow(self) -> TInt32:
        """Read the phase register."""
        return self.read16(_AD9910_REG_POW)

    @kernel
    def set_frequency(self, frequency: TFloat):
        """Write the frequency register (Hz)."""
        self.set_ftw(self.frequency_to_ftw(frequency))

    @kernel
    def set_amplitude(self, amplitude: TFloat):
        """Write the amplitude register (0 to 1)."""
        self.set_asf(self.amplitude_to_asf(amplitude))

    @kernel
    def set_phase(self, turns: TFloat):
        """Write the phase register (turns)."""
        self.set_pow(self.turns_to_pow(turns))

    @kernel
    def get_frequency(self) -> TFloat:
        """Read the frequency register (Hz)."""
        return self.ftw_to_frequency(self.get_ftw())

    @kernel
    def get_amplitude(self) -> TFloat:
        """Read the amplitude register (0 to 1)."""
        return self.asf_to_amplitude(self.get_asf())

    @kernel
    def get_phase(self) -> TFloat:
        """Read the phase register (turns)."""
        return self.pow_to_turns(self.get_pow())

    # -- conversions -------------------------------------------------------------------------------------------------

    @portable(flags={"fast-math"})
    def frequency_to_ftw(self, frequency: TFloat) -> TInt32:
        """Return the frequency word nearest to `frequency` (Hz)."""
        return int32(round(self.ftw_per_hz * frequency))

    @portable(flags={"fast-math"})
    def ftw_to_frequency(self, ftw: TInt32) -> TFloat:
        """Return the frequency (Hz) of a word."""
        return ftw / self.ftw_per_hz

    @portable(flags={"fast-math"})
    def turns_to_pow(self, turns: TFloat) -> TInt32:
        """Return the phase word nearest to `turns`, modulo one turn."""
        return int32(round(turns * 0x10000)) & int32(0xFFFF)

    @portable(flags={"fast-math"})
    def pow_to_turns(self, pow_: TInt32) -> TFloat:
        """Return the phase (turns) of a word."""
        return pow_ / 0x10000

    @portable(flags={"fast-math"})
    def amplitude_to_asf(self, amplitude: TFloat) -> TInt32:
        """Return the amplitude word nearest to `amplitude`, 0 to 1."""
        code = int32(round(amplitude * 0x3FFF))
        if code < 0 or code > 0x3FFF:
            raise ValueError("Invalid AD9910 fractional amplitude!")
        return code

    @portable(flags={"fast-math"})
    def asf_to_amplitude(self, asf: TInt32) -> TFloat:
        """Return the amplitude (0 to 1) of a word."""
        return asf / float(0x3FFF)

    @portable(flags={"fast-math"})
    def frequency_to_ram(self, frequency: TList(TFloat), ram: TList(TInt32)):
        """Fill `ram` with frequency words."""
        for i in range(len(ram)):
            ram[i] = self.frequency_to_ftw(frequency[i])

    @portable(flags={"fast-math"})
    def turns_to_ram(self, turns: TList(TFloat), ram: TList(TInt32)):
        """Fill `ram` with phase words."""
        for i in range(len(ram)):
            ram[i] = self.turns_to_pow(turns[i]) << 16

    @portable(flags={"fast-math"})
    def amplitude_to_ram(self, amplitude: TList(TFloat), ram: TList(TInt32)):
        """Fill `ram` with amplitude words."""
        for i in range(len(ram)):
            ram[i] = self.amplitude_to_asf(amplitude[i]) << 18

    @portable(flags={"fast-math"})
    def turns_amplitude_to_ram(self, turns: TList(TFloat), amplitude: TList(TFloat), ram: TList(TInt32)):
        """Fill `ram` with polar words: phase and amplitude."""
        for i in range(len(ram)):
            ram[i] = (self.turns_to_pow(turns[i]) << 16) | (self.amplitude_to_asf(amplitude[i]) << 2)

    # -- attenuator and switch, on the CPLD --------------------------------------------------------------------------

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
    def cfg_sw(self, state: TBool):
        """Set the CPLD's RF-switch bit (ORed with the TTL)."""
        self.cpld.cfg_sw(self.chip_select - 4, state)

    # -- synchronisation ---------------------------------------------------------------------------------------------

    @kernel
    def set_sync(self, in_delay: TInt32, window: TInt32, en_sync_gen: TInt32 = 0):
        """Write the multichip sync register: receiver on, `in_delay` in steps of about 75 ps, validation `window`."""
        self.write32(_AD9910_REG_SYNC, (window << 28) | (1 << 27) | (en_sync_gen << 26) | (in_delay << 3))

    @kernel
    def clear_smp_err(self):
        """Clear the SYNC sample error by disabling its validation for 10 us."""
        self.set_cfr2(sync_validation_disable=1)
        self.cpld.io_update.pulse(1 * us)
        delay(10 * us)
        self.set_cfr2(sync_validation_disable=0)
        self.cpld.io_update.pulse(1 * us)

    @kernel
    def _sync_error(self, in_delay, window):
        """Return whether SYNC is sampled wrongly with these values."""
        self.set_sync(in_delay, window)
        self.clear_smp_err()
        delay(100 * us)
        err = urukul_sta_smp_err(self.cpld.sta_read())
        delay(100 * us)
        return (err >> (self.chip_select - 4)) & 1 != 0

    @kernel
    def tune_sync_delay(self, search_seed: TInt32 = 15) -> TTuple([TInt32, TInt32]):
        """Find the SYNC delay with the widest error-free window around `search_seed`; return (delay, window)."""
        if not self.cpld.sync_div:
            raise ValueError("parent cpld does not drive SYNC")
        search_span = 13
        min_window = 0  # the widest validation
        margin = 1
        for window in range(16):
            next_seed = -1
            for step in range(search_span - 2 * window):
                # Search outwards from the seed: 0, -1, 1, -2, 2, ...
                signed = step
                if step & 1 != 0:
                    signed = -step
                in_delay = search_seed + (signed >> 1)
                if in_delay < 0 or in_delay > 31:
                    continue
                if not self._sync_error(in_delay, window):
                    next_seed = in_delay
                    break
            if next_seed >= 0:
                search_seed = next_seed
                continue
            if window <= min_window:
                break
            safe = max(min_window, window - 1 - margin)
            self.set_sync(search_seed, safe)
            self.clear_smp_err()
            delay(100 * us)
            return search_seed, safe
        raise ValueError("no valid window/delay")

    @kernel
    def measure_io_update_alignment(self, delay_start: TInt64, delay_stop: TInt64) -> TInt32:
        """Return whether two IO_UPDATEs, offset by these delays, see an odd number of sync clocks between them.

        The ramp generator counts the clocks: it starts at one update and stops at the next.
        """
        self.set_cfr1(drg_load_lrr=1, drg_autoclear=1)
        self.set_cfr2(drg_enable=1)
        self.write64(_AD9910_REG_RAMP_LIMIT, -1, 0)
        self.write32(_AD9910_REG_RAMP_RATE, 0x00010000)
        self.write64(_AD9910_REG_RAMP_STEP, -1, 0)
        t = (now_mu() + 8) & ~7
        at_mu(t + delay_start)
        self.cpld.io_update.pulse_mu(16 - delay_start)
        self.set_cfr1()
        self.write64(_AD9910_REG_RAMP_STEP, 0, 0)
        at_mu(t + 0x1000 + delay_stop)
        self.cpld.io_update.pulse_mu(16 - delay_stop)
        ftw = self.read32(_AD9910_REG_FTW)
        delay(100 * us)
        self.set_cfr2(drg_enable=0)
        self.cpld.io_update.pulse_mu(8)
        return ftw & 1

    @kernel
    def _count_alignment(self, delay_start, delay_stop, repeat):
        """Return how many of `repeat` alignment measurements were odd."""
        odd = 0
        for _ in range(repeat):
            odd += self.measure_io_update_alignment(int64(delay_start), int64(delay_stop))
        return odd

    @kernel
    def tune_io_update_delay(self) -> TInt32:
        """Find the IO_UPDATE delay farthest from the sync clock's edge and return it."""
        period = self.sysclk_per_mu * 4
        repeat = 100
        for i in range(period):
            # Two steps apart and always even: the edge does not lie between.
            if self._count_alignment(i, i + 2, repeat) != 0:
                continue
            first = self._count_alignment(i, i + 1, repeat)
            second = self._count_alignment(i + 1, i + 2, repeat)
            if (first == 0 and second == 0) or (first == repeat and second == repeat):
                raise ValueError("no clear IO_UPDATE-SYNC_CLK alignment edge found")
            return (i + 1 + period // 2) & (period - 1)
        raise ValueError("no IO_UPDATE-SYNC_CLK alignment edge found")
