"""Fastino: 32 fast DAC channels. Addresses 0-31 codes, 0x20 update, 0x21 hold, 0x22 configuration, 0x23 LEDs.

A code appears with its event (the frame of 392 ns is not modelled, nor the interpolation: its registers are stored).
Source: ARTIQ 8 manual, fastino.
"""

from __future__ import annotations

from collections.abc import Callable

from atomlink.errors import DeviceError
from sim.gateware.peripheral import Peripheral
from sim.gateware.row import Row

CHANNELS = 32
UPDATE, HOLD, CONFIG, LEDS, CONTINUOUS, STAGE_CIC, APPLY_CIC = 0x20, 0x21, 0x22, 0x23, 0x25, 0x26, 0x27
DAC_CLEAR = 1 << 2
MIDSCALE, FULL_SCALE_V = 0x8000, 10.0


class Fastino(Peripheral):
    """One card; its outputs are ports key/channel."""

    def __init__(self, key: str, ports: list[Callable[[int, float], None]]) -> None:
        super().__init__()
        self.codes = [MIDSCALE] * CHANNELS
        self.registers = {HOLD: 0, CONFIG: 0, LEDS: 0, CONTINUOUS: 0, STAGE_CIC: 0, APPLY_CIC: 0}
        self._key = key
        self._ports = ports
        self._volts = [0.0] * CHANNELS

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write a register."""
        if address < CHANNELS:
            self._set(t_mu, address, data & 0xFFFF)
        elif address == UPDATE:
            self._drive(t_mu, data)
        elif address in self.registers:
            self.registers[address] = data & 0xFFFFFFFF
            self._drive(t_mu, ~self.registers[HOLD])
        else:
            raise DeviceError(
                f"Fastino `{self._key}`: register {address:#x} does not exist; it must be 0 to 0x23 or 0x25 to 0x27"
            )

    def write_wide(self, t_mu: int, address: int, data: list[int]) -> None:
        """Write a group of channels, two codes a word."""
        for i, word in enumerate(data):
            self._set(t_mu, address + 2 * i, word & 0xFFFF)
            if len(data) > 1 or word >> 16 & 0xFFFF:
                self._set(t_mu, address + 2 * i + 1, word >> 16 & 0xFFFF)

    def _set(self, t_mu: int, channel: int, code: int) -> None:
        self.codes[channel] = code
        self._drive(t_mu, ~self.registers[HOLD] & 1 << channel)

    def _drive(self, t_mu: int, mask: int) -> None:
        for channel in range(CHANNELS):
            if not mask >> channel & 1:
                continue
            cleared = self.registers[CONFIG] & DAC_CLEAR
            volts = 0.0 if cleared else (self.codes[channel] - MIDSCALE) * FULL_SCALE_V / MIDSCALE
            if volts != self._volts[channel]:
                self._volts[channel] = volts
                self._ports[channel](t_mu, volts)


def _fastino(row: Row) -> Fastino:
    card = Fastino(row.key, [row.world.output(f"{row.key}/{channel}", "voltage") for channel in range(CHANNELS)])
    row.claim(card)
    return card


SERVES = {"artiq.coredevice.fastino.Fastino": _fastino}
