"""I2C chips at the core device's CPU: a bus switch and two port expanders; nothing of it is timed by RTIO.

A bus number is DRTIO destination << 16 | number of the bus, a chip's address has eight bits with the lowest 0.
Source: ARTIQ 8 manual; data sheets of PCA9548, TCA6424A, PCF8574A.
"""

from artiq.coredevice.exceptions import I2CError
from artiq.language.core import kernel, syscall
from artiq.language.types import TBool, TInt32, TNone


@syscall(flags={"nounwind", "nowrite"})
def i2c_start(busno: TInt32) -> TNone:
    """Send a start condition."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def i2c_restart(busno: TInt32) -> TNone:
    """Send a start condition without a stop before it."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def i2c_stop(busno: TInt32) -> TNone:
    """Send a stop condition."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def i2c_write(busno: TInt32, b: TInt32) -> TBool:
    """Send a byte; return whether it was acknowledged."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def i2c_read(busno: TInt32, ack: TBool) -> TInt32:
    """Read a byte; acknowledge it unless it is the last one."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def i2c_switch_select(busno: TInt32, address: TInt32, mask: TInt32) -> TNone:
    """Connect the channels of `mask` of the switch at a 7-bit address."""
    raise NotImplementedError("syscall not simulated")


@kernel
def i2c_poll(busno, busaddr):
    """Return whether a chip acknowledges its address."""
    i2c_start(busno)
    answered = i2c_write(busno, busaddr)
    i2c_stop(busno)
    return answered


@kernel
def i2c_write_byte(busno, busaddr, data, ack=True):
    """Write one byte; `ack` says whether the chip must acknowledge it. Raises I2CError."""
    i2c_start(busno)
    try:
        if not i2c_write(busno, busaddr):
            raise I2CError("failed to ack bus address")
        if not i2c_write(busno, data) and ack:
            raise I2CError("failed to ack write data")
    finally:
        i2c_stop(busno)


@kernel
def i2c_read_byte(busno, busaddr):
    """Read one byte. Raises I2CError."""
    byte = 0
    i2c_start(busno)
    try:
        if not i2c_write(busno, busaddr | 1):
            raise I2CError("failed to ack bus read address")
        byte = i2c_read(busno, False)
    finally:
        i2c_stop(busno)
    return byte


@kernel
def i2c_write_many(busno, busaddr, addr, data, ack_last=True):
    """Write bytes from the chip's register or memory address `addr` on; `ack_last`: the last must be acknowledged.

    Raises I2CError.
    """
    last = len(data) - 1
    i2c_start(busno)
    try:
        if not i2c_write(busno, busaddr):
            raise I2CError("failed to ack bus address")
        if not i2c_write(busno, addr):
            raise I2CError("failed to ack data address")
        for i in range(len(data)):
            if not i2c_write(busno, data[i]) and (i < last or ack_last):
                raise I2CError("failed to ack write data")
    finally:
        i2c_stop(busno)


@kernel
def i2c_read_many(busno, busaddr, addr, data):
    """Fill the list `data` with bytes from the chip's register or memory address `addr` on. Raises I2CError."""
    last = len(data) - 1
    i2c_start(busno)
    try:
        if not i2c_write(busno, busaddr):
            raise I2CError("failed to ack bus address")
        if not i2c_write(busno, addr):
            raise I2CError("failed to ack data address")
        i2c_restart(busno)
        if not i2c_write(busno, busaddr | 1):
            raise I2CError("failed to ack bus read address")
        for i in range(len(data)):
            data[i] = i2c_read(busno, i < last)
    finally:
        i2c_stop(busno)


class I2CSwitch:
    """PCA9548 (Kasli: 0xe0 and 0xe2; KC705: 0xe8, channel 1 the HPC, 2 the LPC connector)."""

    def __init__(self, dmgr, busno=0, address=0xE8, core_device="core"):
        self.core = dmgr.get(core_device)
        self.busno = busno
        self.address = address

    @kernel
    def set(self, channel):
        """Connect one channel, 0 to 7, and no other."""
        i2c_switch_select(self.busno, self.address >> 1, 1 << channel)

    @kernel
    def unset(self):
        """Connect no channel."""
        i2c_switch_select(self.busno, self.address >> 1, 0)


class TCA6424A:
    """24 lines; on NIST QC2 hardware they are the directions of the TTL buffers."""

    def __init__(self, dmgr, busno=0, address=0x44, core_device="core"):
        self.core = dmgr.get(core_device)
        self.busno = busno
        self.address = address

    @kernel
    def _write24(self, addr, value):
        i2c_write_many(self.busno, self.address, addr, [value >> 16, value >> 8, value])

    @kernel
    def set(self, outputs):
        """Drive all lines to the levels of a 24-bit word; on QC2 bit n makes TTL n of the card an output."""
        low_first = ((outputs >> 16) & 0xFF) | (outputs & 0x00FF00) | ((outputs & 0xFF) << 16)
        self._write24(0x8C, 0)  # directions: all are outputs
        self._write24(0x84, low_first)


class PCF8574A:
    """Eight lines, each driven low or pulled high."""

    def __init__(self, dmgr, busno=0, address=0x7C, core_device="core"):
        self.core = dmgr.get(core_device)
        self.busno = busno
        self.address = address

    @kernel
    def set(self, data):
        """Set the lines; a high one may be pulled low from outside. Raises I2CError."""
        i2c_start(self.busno)
        try:
            if not i2c_write(self.busno, self.address):
                raise I2CError("PCF8574A failed to ack address")
            if not i2c_write(self.busno, data):
                raise I2CError("PCF8574A failed to ack data")
        finally:
            i2c_stop(self.busno)

    @kernel
    def get(self):
        """Read the lines. Raises I2CError."""
        lines = 0
        i2c_start(self.busno)
        try:
            if not i2c_write(self.busno, self.address | 1):
                raise I2CError("PCF8574A failed to ack address")
            lines = i2c_read(self.busno, False)
        finally:
            i2c_stop(self.busno)
        return lines
