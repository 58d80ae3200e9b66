"""Zotino: 32 DAC channels (AD5372) with LDAC and CLR lines, and LEDs.

A word of 24 bits: mode in bits 22-23 (3 data, 2 offset, 1 gain, 0 special function), address 16-21, value 0-15;
channel registers start at address 8. V = 4 V_ref (code - 4 OFS) / 2^16 with code = data (gain + 1) / 2^16 + offset -
2^15. After power-up the data are 0x5555 and OFS 0x1555, which is 0 V. Source: AD5372/AD5373 data sheet (Analog
Devices), transfer function and register tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.gateware.row import Row
from sim.gateware.spi import ShiftRegister, SpiBus
from sim.gateware.ttl import Ttl

SELECT_DAC, SELECT_LEDS = 1, 2
CHANNELS = 32
OFFSET_GROUP_0 = 8  # channels below have offset DAC 0, the others 1
CONTROL, OFS0, OFS1, READ = 1, 2, 3, 5
POWER_UP_DATA, POWER_UP_OFS, NO_OFFSET, FULL_GAIN = 0x5555, 0x1555, 0x8000, 0xFFFF
# Where the read-back word finds the registers: of channels (+ 8), and single ones.
READ_DATA, READ_OFFSET, READ_GAIN, READ_CONTROL, READ_OFS0, READ_OFS1 = 0x000, 0x080, 0x0C0, 0x101, 0x102, 0x103


class Ad5372:
    """The DAC: data wait for LDAC low, CLR low grounds the outputs."""

    def __init__(self, v_ref: float, ports: list[Callable[[int, float], Any]]) -> None:
        self.data = [POWER_UP_DATA] * CHANNELS
        self.offset = [NO_OFFSET] * CHANNELS
        self.gain = [FULL_GAIN] * CHANNELS
        self.control = 0
        self.ofs = [POWER_UP_OFS, POWER_UP_OFS]
        self.monitored = [0] * CHANNELS  # as the core device's monitor saw data go by; nothing was before the first
        self.transparent = False  # LDAC is low
        self.cleared = False  # CLR is low
        self._v_ref = v_ref
        self._ports = ports
        self._loaded = [POWER_UP_DATA] * CHANNELS
        self._seen = [0] * CHANNELS
        self._volts = [0.0] * CHANNELS
        self._word = 0
        self._answer = 0

    def transfer(self, bits: int, length: int) -> int:
        """Shift in; the answer to the read word before comes out."""
        self._word = (self._word << length | bits) & 0xFFFFFF
        answer = self._answer
        return answer >> (24 - length) if length <= 24 else answer << (length - 24)

    def release(self, t_mu: int) -> None:
        """Carry out the word."""
        mode, address, value = self._word >> 22, self._word >> 16 & 0x3F, self._word & 0xFFFF
        self._answer = 0
        if mode == 0:
            self._special(t_mu, address, value)
        elif 8 <= address < 8 + CHANNELS:
            registers = {1: self.gain, 2: self.offset, 3: self.data}[mode]
            registers[address - 8] = value
            if mode == 3:
                self._seen[address - 8] = value
            if self.transparent:
                self.load(t_mu)

    def on_ldac(self, t_mu: int, level: int) -> None:
        """Take an edge of LDAC."""
        self.transparent = not level
        if self.transparent:
            self.load(t_mu)

    def on_clr(self, t_mu: int, level: int) -> None:
        """Take an edge of CLR."""
        self.cleared = not level
        self._drive(t_mu)

    def load(self, t_mu: int) -> None:
        """Bring the written codes to the outputs."""
        self.monitored[:] = self._seen
        for channel in range(CHANNELS):
            code = self.data[channel] * (self.gain[channel] + 1) // 65536 + self.offset[channel] - NO_OFFSET
            self._loaded[channel] = min(max(code, 0), 0xFFFF)  # the chip saturates
        self._drive(t_mu)

    def _special(self, t_mu: int, function: int, value: int) -> None:
        if function == CONTROL:
            self.control = value & 0b00111
        elif function in (OFS0, OFS1):
            self.ofs[function - OFS0] = value & 0x3FFF
            self._drive(t_mu)
        elif function == READ:
            self._answer = self._read(value >> 7)

    def _read(self, address: int) -> int:
        single = {READ_CONTROL: self.control, READ_OFS0: self.ofs[0], READ_OFS1: self.ofs[1]}
        if address in single:
            return single[address]
        registers = {READ_DATA: self.data, READ_OFFSET: self.offset, READ_GAIN: self.gain}.get(address & 0x1C0)
        channel = (address & 0x3F) - 8
        return registers[channel] if registers is not None and 0 <= channel < CHANNELS else 0

    def _drive(self, t_mu: int) -> None:
        for channel, port in enumerate(self._ports):
            ofs = self.ofs[0 if channel < OFFSET_GROUP_0 else 1]
            volts = 0.0 if self.cleared else 4.0 * self._v_ref * (self._loaded[channel] - 4 * ofs) / 65536
            if volts != self._volts[channel]:
                self._volts[channel] = volts
                port(t_mu, volts)


def _zotino(row: Row) -> Ad5372:
    bus = row.device("spi_device", SpiBus)
    ports = [row.world.output(f"{row.key}/{channel}", "voltage") for channel in range(CHANNELS)]
    dac = Ad5372(row.number("vref", 0.1, 10.0, 5.0), ports)
    lines = (("ldac_device", dac.on_ldac, "transparent"), ("clr_device", dac.on_clr, "cleared"))
    for name, listener, state in lines:
        line = row.optional_device(name, Ttl)
        if line is not None:
            # Both are active low, and a TTL is low after power-up.
            setattr(dac, state, not line.level)
            line.wire(listener)
    bus.attach(SELECT_DAC, dac)
    bus.attach(SELECT_LEDS, ShiftRegister(8))
    for channel in range(CHANNELS):
        bus.probes[channel] = lambda channel=channel: dac.monitored[channel]  # type: ignore[misc]
    return dac


SERVES = {"artiq.coredevice.zotino.Zotino": _zotino}
