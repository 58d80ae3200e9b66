"""SPI bus masters: transfers to the chips of a card. Source: ARTIQ 8 gateware, SPI core version 2.

Register 1 is the configuration (flags in bits 0-7, length - 1 in 8-12, divider - 2 in 16-23, chip select in 24-31),
register 0 the data: writing starts a transfer of (length + 1) * divider + 1 coarse clocks. Chips act when chip
select is released, at its end. A bus has no probes of its own: cards put theirs there (tuning words, DAC codes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atomlink.errors import DeviceError
from sim.gateware.peripheral import Peripheral
from sim.gateware.row import Row

OFFLINE, END, INPUT = 0x01, 0x02, 0x04
COARSE_MU = 8


class SpiChip(Protocol):
    """A chip on a bus."""

    def transfer(self, bits: int, length: int) -> int:
        """Shift in `length` bits (first bit is the highest) and return those that come out."""

    def release(self, t_mu: int) -> None:
        """End the transaction: chip select goes inactive."""


class SpiBus(Peripheral):
    """One SPI bus; `chips` says which chips each chip-select word selects.

    `unmodelled` is the refusal of a device on it that has no model: nothing answers then, and nothing may seem to.
    """

    fifo_depth = 4

    def __init__(self) -> None:
        super().__init__()
        self.chips: dict[int, tuple[SpiChip, ...]] = {}
        self.unmodelled: DeviceError | None = None
        self.probes: dict[int, Callable[[], int]] = {}
        self.lost = 0  # events that met a busy bus
        self._flags, self._length, self._divider, self._select = OFFLINE | END, 1, 2, 0
        self._end_mu: int | None = None
        self._finish: tuple[int, int, int, int] = (0, 0, 0, 0)  # flags, word, length, chip select

    @property
    def due_mu(self) -> int | None:
        """Return the end of the transfer on the wire."""
        return self._end_mu

    def attach(self, select: int, chip: SpiChip) -> None:
        """Let chip-select word `select` reach `chip`, beside those that it reaches already."""
        self.chips[select] = (*self.chips.get(select, ()), chip)

    def probe(self, number: int) -> int:
        """Return what the card's monitor knows."""
        return self.probes[number]() if number in self.probes else 0

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write the configuration or start a transfer; a busy bus loses the event, as in the gateware."""
        # Within a transaction the bus is free up to one SPI clock before the driver's estimate.
        if self._end_mu is not None and t_mu >= self._end_mu - self._divider * COARSE_MU:
            self._carry_out()
        if self._end_mu is not None:
            self.lost += 1
        elif address == 1:
            self._configure(data)
        else:
            self._end_mu = t_mu + ((self._length + 1) * self._divider + 1) * COARSE_MU
            self._finish = (self._flags, data & 0xFFFFFFFF, self._length, self._select)
            self.running = True

    def poll(self, t_mu: int) -> None:
        """Carry out the transfer that has ended by `t_mu`."""
        if self._end_mu is not None and self._end_mu <= t_mu:
            self._carry_out()

    def _configure(self, data: int) -> None:
        self._flags = data & 0xFF
        self._length = (data >> 8 & 0x1F) + 1
        self._divider = (data >> 16 & 0xFF) + 2
        self._select = data >> 24 & 0xFF

    def _carry_out(self) -> None:
        t_mu, self._end_mu, self.running = self._end_mu, None, False
        assert t_mu is not None
        flags, word, length, select = self._finish
        bits = word >> (32 - length)
        if self.unmodelled is not None and not self.chips:
            raise self.unmodelled
        chips = self.chips.get(select, ())
        answer = 0
        for chip in chips:
            answer |= chip.transfer(bits, length)
        if flags & INPUT:
            self.fifo.append((t_mu, _signed(answer)))
        if flags & END:
            for chip in chips:
                chip.release(t_mu)


class ShiftRegister:
    """A chip that is only a shift register, latched at the release: attenuators, gains, LEDs."""

    def __init__(self, width: int) -> None:
        self.latched = 0
        self._mask = (1 << width) - 1
        self._width = width
        self._shift = 0

    def transfer(self, bits: int, length: int) -> int:
        """Shift in; what was in the register comes out, highest bit first."""
        chain = self._shift << length | bits
        self._shift = chain & self._mask
        return chain >> self._width & ((1 << length) - 1)

    def release(self, t_mu: int) -> None:
        """Latch the register."""
        self.latched = self._shift


def _signed(word: int) -> int:
    """Return a 32-bit word as RTIO data, which is signed."""
    return word - (1 << 32) if word & 1 << 31 else word


def _spi_bus(row: Row) -> SpiBus:
    bus = SpiBus()
    row.claim(bus)
    return bus


SERVES = {"artiq.coredevice.spi2.SPIMaster": _spi_bus}
