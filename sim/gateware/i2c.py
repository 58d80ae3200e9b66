"""The I2C buses of the core device's CPU, byte by byte: a Kasli's switches, the EEPROMs behind them, port expanders.

A bus number is DRTIO destination << 16 | number of the bus; each destination has bus 0. Between a start and the stop
every chip that acknowledged its address listens. Chips: PCA9548 (switch), 24AA02 (EEPROM), TCA6424A and PCF8574A
(outputs). Source: their data sheets; UM10204, sections 3.1.4 to 3.1.10; ARTIQ 8 firmware (bus numbers).

What a row cannot say is left out: expanders hang at the bus itself, whatever a switch selects, and an EEPROM has
written what it was given at once (5 ms in the data sheet).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim.gateware.row import Row

NOTHING = 0xFF  # what is read where nobody pulls the line low

# Kasli's EEM ports, SFP cages and local bus by the switches' channels: 0-7 of the first switch, 8-15 of the second.
# Source: Kasli schematics, revision 1.1 to 2.0.
PORTS = {
    "EEM0": 7, "EEM1": 5, "EEM2": 4, "EEM3": 3, "EEM4": 2, "EEM5": 1, "EEM6": 0, "EEM7": 6,
    "SFP0": 8, "SFP1": 9, "SFP2": 10, "LOC0": 11, "EEM8": 12, "EEM9": 13, "EEM11": 14, "EEM10": 15,
}  # fmt: skip


class I2cChip:
    """A chip that acknowledges its 8-bit address: it takes every byte and has nothing to say."""

    def __init__(self, address: int) -> None:
        self.address = address & 0xFE

    def begin(self, reading: bool) -> None:
        """A start condition with this chip's address has come, to be read or written."""

    def write(self, byte: int) -> bool:
        """Take a byte; return whether it is acknowledged."""
        return True

    def read(self) -> int:
        """Return the next byte."""
        return NOTHING

    def end(self) -> None:
        """A stop condition has come: what was written takes effect."""

    def beyond(self) -> Sequence[I2cChip]:
        """Return the chips that are reached through this one."""
        return ()


class Switch(I2cChip):
    """PCA9548: eight channels, each bit of the control register connects one, from the stop condition on."""

    def __init__(self, address: int) -> None:
        super().__init__(address)
        self.channels: list[list[I2cChip]] = [[] for _ in range(8)]
        self.selected = 0
        self._control = 0

    def write(self, byte: int) -> bool:
        """Take the control register."""
        self._control = byte
        return True

    def read(self) -> int:
        """Return the control register."""
        return self._control

    def end(self) -> None:
        """Connect the channels of the control register."""
        self.selected = self._control

    def beyond(self) -> Sequence[I2cChip]:
        """Return the chips on the selected channels."""
        return [chip for i, chips in enumerate(self.channels) if self.selected >> i & 1 for chip in chips]


class Eeprom(I2cChip):
    """24AA02: 256 bytes, delivered as 0xff; a write stays within its page of eight bytes, a read goes on to the end.

    Written at the stop condition, and only then.
    """

    PAGE = 8

    def __init__(self, address: int) -> None:
        super().__init__(address)
        self.memory = bytearray([0xFF] * 256)
        self._pointer = 0
        self._first = True
        self._page: dict[int, int] = {}

    def begin(self, reading: bool) -> None:
        """Take the next byte written as the address within the memory; what no stop condition followed is lost."""
        self._first = not reading
        self._page.clear()

    def write(self, byte: int) -> bool:
        """Take the memory address, then data."""
        if self._first:
            self._pointer, self._first = byte, False
            return True
        self._page[self._pointer] = byte
        page = self._pointer & ~(self.PAGE - 1)
        self._pointer = page | (self._pointer + 1) & self.PAGE - 1
        return True

    def read(self) -> int:
        """Return the byte at the pointer, and move on."""
        byte = self.memory[self._pointer]
        self._pointer = (self._pointer + 1) & 0xFF
        return byte

    def end(self) -> None:
        """Write the page."""
        for address, byte in self._page.items():
            self.memory[address] = byte
        self._page.clear()


class Expander(I2cChip):
    """TCA6424A: 24 lines in three bytes; registers 0 input, 4 output, 8 polarity, 12 direction, bit 7 counts up."""

    def __init__(self, address: int) -> None:
        super().__init__(address)
        self.registers = bytearray([0] * 4 + [0xFF] * 4 + [0] * 4 + [0xFF] * 4)
        self._command = 0
        self._first = True

    def begin(self, reading: bool) -> None:
        """Take the next byte written as the command."""
        self._first = not reading

    def write(self, byte: int) -> bool:
        """Take the command, then registers."""
        if self._first:
            self._command, self._first = byte, False
            return True
        register = self._command & 0x0F
        if register >= 4 and register % 4 < 3:  # inputs cannot be written
            self.registers[register] = byte
        self._next()
        return True

    def read(self) -> int:
        """Return a register; the inputs are the driven outputs, and high where nothing drives."""
        register = self._command & 0x0F
        byte = self.registers[register]
        if register < 3:
            output, polarity, direction = (self.registers[base + register] for base in (4, 8, 12))
            byte = (output & ~direction | direction) & 0xFF ^ polarity
        self._next()
        return byte

    def _next(self) -> None:
        if self._command & 0x80:
            group, i = self._command & 0x8C, self._command & 3
            self._command = group | (i + 1) % 3


class Pins(I2cChip):
    """PCF8574A: one byte of lines that are driven low or weakly high."""

    def __init__(self, address: int) -> None:
        super().__init__(address)
        self.pins = 0xFF

    def write(self, byte: int) -> bool:
        """Take the lines' levels; they follow at once."""
        self.pins = byte
        return True

    def read(self) -> int:
        """Return the lines' levels; nothing outside pulls them."""
        return self.pins


class I2cBus:
    """One bus: chips at it, switches among them, and who listens in the running transaction."""

    def __init__(self) -> None:
        self.chips: list[I2cChip] = []
        self._listening: list[I2cChip] = []
        self._touched: list[I2cChip] = []
        self._started = False

    def start(self) -> None:
        """Start, or start again without a stop: the next byte written is an address."""
        self._started, self._listening = True, []

    def stop(self) -> None:
        """Stop: what was written takes effect."""
        for chip in self._touched:
            chip.end()
        self._started, self._listening, self._touched = False, [], []

    def write(self, byte: int) -> bool:
        """Put a byte on the bus; return whether a chip acknowledged it."""
        if not self._started:
            acks = [chip.write(byte) for chip in self._listening]
            return any(acks)
        self._started = False
        self._listening = [chip for chip in self._reached() if chip.address == byte & 0xFE]
        for chip in self._listening:
            chip.begin(bool(byte & 1))
            if chip not in self._touched:
                self._touched.append(chip)
        return bool(self._listening)

    def read(self) -> int:
        """Return a byte from the bus; several chips that talk at once pull it low together."""
        byte = NOTHING
        for chip in self._listening:
            byte &= chip.read()
        return byte

    def at(self, address: int, kind: type[I2cChip]) -> I2cChip:
        """Return the chip of a kind that hangs at the bus itself, added where there is none."""
        for chip in self.chips:
            if chip.address == address & 0xFE and isinstance(chip, kind):
                return chip
        chip = kind(address)
        self.chips.append(chip)
        return chip

    def _reached(self) -> list[I2cChip]:
        return [*self.chips, *(chip for switch in self.chips for chip in switch.beyond())]


def _bus(row: Row) -> I2cBus:
    busno = row.integer("busno", 0, 0xFFFFFF, 0)
    if busno & 0xFFFF:
        raise row.refusal("busno", "a DRTIO destination << 16: each destination has one I2C bus, number 0", busno)
    return row.lab.i2c.setdefault(busno, I2cBus())


def _at_bus(kind: type[I2cChip], default: int) -> Callable[[Row], I2cChip]:
    def build(row: Row) -> I2cChip:
        return _bus(row).at(row.integer("address", 0, 0xFF, default), kind)

    return build


def _eeprom(row: Row) -> Eeprom:
    """Put an EEPROM behind the two switches that its row names."""
    _bus(row)
    port = row.get("port", f"one of {', '.join(PORTS)}")
    if port not in PORTS:
        raise row.refusal("port", f"one of {', '.join(PORTS)}", port)
    number = PORTS[port]
    name = f"sw{number >> 3}_device"
    switch = row.named(name, row.get(name, "the key of an I2CSwitch", f"i2c_switch{number >> 3}"), Switch)
    chip = Eeprom(row.integer("address", 0, 0xFF, 0xA0))
    switch.channels[number & 7].append(chip)
    return chip


SERVES = {
    "artiq.coredevice.i2c.I2CSwitch": _at_bus(Switch, 0xE8),
    "artiq.coredevice.i2c.TCA6424A": _at_bus(Expander, 0x44),
    "artiq.coredevice.i2c.PCF8574A": _at_bus(Pins, 0x7C),
    "artiq.coredevice.kasli_i2c.KasliEEPROM": _eeprom,
}
