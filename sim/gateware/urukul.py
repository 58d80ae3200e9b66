"""Urukul's CPLD: RF switches, profile pins, IO_UPDATE, attenuators, status, chip selects.

Configuration, 24 bits: RF switches 0-3, LEDs 4-7, profile 8-10, IO_UPDATE 12, mask 13-16, reset 19, clock divider
22-23. Status: RF switches 0-3, sample errors 4-7, PLL locks 8-11, interface mode 12-15, protocol revision 16-22.
Source: quartiq/urukul, revision 8.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.gateware.dds import Dds
from sim.gateware.row import Row
from sim.gateware.spi import ShiftRegister, SpiBus
from sim.gateware.ttl import Ttl

PROTOCOL_REVISION = 8
CHANNELS = 4
SELECT_CONFIG, SELECT_ATTENUATORS, SELECT_ALL_DDS, SELECT_DDS0 = 1, 2, 3, 4
IO_UPDATE, RESET = 1 << 12, 1 << 19


class _Config:
    """The configuration register's shift chain; the status comes out as the configuration goes in."""

    def __init__(self, status: Callable[[], int], apply: Callable[[int, int], None]) -> None:
        self._status = status
        self._apply = apply
        self._word = 0
        self._bits = 0

    def transfer(self, bits: int, length: int) -> int:
        self._word = (self._word << length | bits) & 0xFFFFFF
        answer = self._status() & 0xFFFFFF
        self._bits += length
        return answer >> (24 - length) if length <= 24 else answer << (length - 24)

    def release(self, t_mu: int) -> None:
        self._apply(t_mu, self._word)


class _Attenuators(ShiftRegister):
    """Four step attenuators in a chain, channel 3 first; byte b attenuates (255 - b) / 8 dB.

    Source: HMC542 data sheet.
    """

    def __init__(self, apply: Callable[[int], None]) -> None:
        super().__init__(32)
        self._apply = apply

    def release(self, t_mu: int) -> None:
        super().release(t_mu)
        self._apply(t_mu)

    def attenuation_db(self, channel: int) -> float:
        return (255 - (self.latched >> 8 * channel & 0xFF)) / 8


class UrukulCpld:
    """One Urukul card."""

    def __init__(self, bus: SpiBus, refclk_hz: float) -> None:
        self._bus = bus
        self._refclk_hz = refclk_hz
        self._config = 0
        self._dds: dict[int, Dds] = {}
        self._ttl_switches: dict[int, Ttl] = {}
        self._attenuators = _Attenuators(self._attenuate)
        bus.attach(SELECT_CONFIG, _Config(self.status, self._configure))
        bus.attach(SELECT_ATTENUATORS, self._attenuators)

    def attach(self, chip_select: int, dds: Dds, switch: Ttl | None, dividers: tuple[int, int, int, int]) -> None:
        """Put a DDS on the card; `dividers` is what the clock divider field means for this chip."""
        channel = chip_select - SELECT_DDS0
        self._dds[channel] = dds
        self._dividers = dividers
        if switch is not None:
            self._ttl_switches[channel] = switch
        self._bus.attach(chip_select, dds)
        self._bus.attach(SELECT_ALL_DDS, dds)
        self._bus.probes[channel] = dds.monitored
        dds.attenuation_db = self._attenuators.attenuation_db(channel)
        dds.set_reference(0, self._refclk_hz / dividers[0])

    def status(self) -> int:
        """Return the status register."""
        switches = self._config & 0xF
        for channel, ttl in self._ttl_switches.items():
            switches |= ttl.pad << channel
        locks = sum(dds.locked << channel for channel, dds in self._dds.items())
        return PROTOCOL_REVISION << 16 | locks << 8 | switches

    def on_io_update(self, t_mu: int, level: int) -> None:
        """Take an edge of the IO_UPDATE line."""
        if level:
            for dds in self._dds.values():
                dds.update(t_mu)

    def _configure(self, t_mu: int, config: int) -> None:
        changed = config ^ self._config
        self._config = config
        for channel, dds in self._dds.items():
            if changed >> 22 & 3:
                dds.set_reference(t_mu, self._refclk_hz / self._dividers[config >> 22 & 3])
            if changed & config & RESET:
                dds.reset(t_mu)
            if changed & 0x700:
                # The chip takes a change of its profile pins as an update.
                dds.profile = config >> 8 & 7
                dds.update(t_mu)
            dds.switch = bool(config >> channel & 1)
            dds.emit(t_mu)
        self.on_io_update(t_mu, int(bool(changed & config & IO_UPDATE)))

    def _attenuate(self, t_mu: int) -> None:
        for channel, dds in self._dds.items():
            dds.attenuation_db = self._attenuators.attenuation_db(channel)
            dds.emit(t_mu)


def _cpld(row: Row) -> UrukulCpld:
    cpld = UrukulCpld(row.device("spi_device", SpiBus), row.number("refclk", 1e6, 1e9, 125e6))
    io_update = row.optional_device("io_update_device", Ttl)
    if io_update is not None:
        io_update.wire(cpld.on_io_update)
    return cpld


def place(row: Row, dds: Dds, dividers: tuple[int, int, int, int]) -> Dds:
    """Put the DDS of a device_db row on its card."""
    cpld = row.device("cpld_device", UrukulCpld)
    switch = row.optional_device("sw_device", Ttl)
    cpld.attach(row.integer("chip_select", SELECT_DDS0, SELECT_DDS0 + CHANNELS - 1), dds, switch, dividers)
    return dds


SERVES = {"artiq.coredevice.urukul.CPLD": _cpld}
