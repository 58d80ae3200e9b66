"""AD9912: byte registers over SPI, taken over at IO_UPDATE, and the tone that they make.

Instruction, 16 bits: read 15, length - 1 in 13-14 (3: streaming), address 0-12; bytes follow from the highest
address down. Source: AD9912 data sheet (Analog Devices): serial control port, register map.
"""

from __future__ import annotations

from sim.gateware.dds import Dds, TonePort
from sim.gateware.row import Row
from sim.gateware.urukul import place

FTW0, POW0, PRODID_LOW, PRODID_HIGH, PWRCNTRL1, N_DIV, PLLCFG = 0x1A6, 0x1AC, 0x002, 0x003, 0x010, 0x020, 0x022
PRODUCT_ID = 0x1982
PLL_POWER_DOWN, DOUBLER = 1 << 4, 1 << 3
# Meaning of the CPLD's clock divider field on the AD9912 build.
DIVIDERS = (1, 1, 2, 4)


class Ad9912(Dds):
    """One AD9912; the output's amplitude is not adjustable by RTIO drivers and counts as full scale."""

    accumulator_bits = 48

    def __init__(self, port: TonePort) -> None:
        super().__init__(port)
        self.registers = _defaults()
        self.active = dict(self.registers)
        self._reference_hz = 0.0
        self._begin()

    @property
    def locked(self) -> bool:
        """Return whether the PLL is powered."""
        return not self.active.get(PWRCNTRL1, 0) & PLL_POWER_DOWN

    def transfer(self, bits: int, length: int) -> int:
        """Shift whole bytes in and out."""
        answer = 0
        for shift in range(length - 8, -1, -8):
            answer = answer << 8 | self._byte(bits >> shift & 0xFF)
        return answer

    def release(self, t_mu: int) -> None:
        """End the transaction."""
        self._begin()

    def update(self, t_mu: int) -> None:
        """Take the registers over."""
        self.active.update(self.registers)
        word = sum(self.active.get(FTW0 + i, 0) << 8 * i for i in range(6))
        phase = self.active.get(POW0, 0) | (self.active.get(POW0 + 1, 0) & 0x3F) << 8
        self._retune(t_mu, self._system_clock_hz(), word, phase / (1 << 14), 1.0, False)

    def reset(self, t_mu: int) -> None:
        """Return to the state after power-up."""
        self.registers = _defaults()
        self.active = {}
        self._begin()
        self.update(t_mu)

    def set_reference(self, t_mu: int, reference_hz: float) -> None:
        """Take the reference clock."""
        self._reference_hz = reference_hz
        self._retune(t_mu, self._system_clock_hz(), self._word, self._offset_turns, self._amplitude, False)

    def _begin(self) -> None:
        self._header: list[int] = []
        self._address = 0

    def _byte(self, byte: int) -> int:
        if len(self._header) < 2:
            self._header.append(byte)
            self._address = (self._header[0] & 0x1F) << 8 | self._header[-1]
            return 0
        address, self._address = self._address, self._address - 1
        if self._header[0] & 0x80:
            return self.registers.get(address, 0)
        self.registers[address] = byte
        return 0

    def _system_clock_hz(self) -> int:
        if not self.locked:
            return round(self._reference_hz)
        doubled = 2 if self.active.get(PLLCFG, 0) & DOUBLER else 1
        return round(self._reference_hz * doubled * 2 * ((self.active.get(N_DIV, 0) & 0x1F) + 2))


def _defaults() -> dict[int, int]:
    # N divider 0x12: a multiplier of 40; PLL on.
    return {PRODID_LOW: PRODUCT_ID & 0xFF, PRODID_HIGH: PRODUCT_ID >> 8, PWRCNTRL1: 0, N_DIV: 0x12}


def _ad9912(row: Row) -> Dds:
    return place(row, Ad9912(row.world.output(row.key, "tone")), DIVIDERS)


SERVES = {"artiq.coredevice.ad9912.AD9912": _ad9912}
