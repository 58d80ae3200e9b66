"""The EEPROM of an EEM card (24AA02), behind the I2C switches of a Kasli.  Source: Kasli schematics; ARTIQ 8 manual."""

from artiq.coredevice.i2c import i2c_poll, i2c_read_many, i2c_write_many
from artiq.language.core import kernel
from numpy import int32

# Channels of the two switches by port: 0 to 7 of the first, 8 to 15 of the second.
port_mapping = {
    "EEM0": 7, "EEM1": 5, "EEM2": 4, "EEM3": 3, "EEM4": 2, "EEM5": 1, "EEM6": 0, "EEM7": 6,
    "SFP0": 8, "SFP1": 9, "SFP2": 10, "LOC0": 11, "EEM8": 12, "EEM9": 13, "EEM11": 14, "EEM10": 15,
}  # fmt: skip


class KasliEEPROM:
    """Read and write 32-bit integers in the EEPROM at a port; its chip has 256 bytes in pages of eight."""

    def __init__(
        self, dmgr, port, address=0xA0, busno=0, core_device="core", sw0_device="i2c_switch0", sw1_device="i2c_switch1"
    ):
        self.core = dmgr.get(core_device)
        self.sw0 = dmgr.get(sw0_device)
        self.sw1 = dmgr.get(sw1_device)
        self.busno = busno
        self.port = port_mapping[port]
        self.address = address

    @kernel
    def select(self):
        """Connect this port and no other."""
        if self.port < 8:
            self.sw0.set(self.port)
            self.sw1.unset()
        else:
            self.sw0.unset()
            self.sw1.set(self.port - 8)

    @kernel
    def deselect(self):
        """Connect no port."""
        self.sw0.unset()
        self.sw1.unset()

    @kernel
    def write_i32(self, addr, value):
        """Write an integer, highest byte first. Raises I2CError."""
        self.select()
        try:
            data = [0] * 4
            for i in range(4):
                data[i] = (value >> 24) & 0xFF
                value <<= 8
            i2c_write_many(self.busno, self.address, addr, data)
            i2c_poll(self.busno, self.address)
        finally:
            self.deselect()

    @kernel
    def read_i32(self, addr):
        """Read an integer, highest byte first. Raises I2CError."""
        value = int32(0)
        self.select()
        try:
            data = [0] * 4
            i2c_read_many(self.busno, self.address, addr, data)
            for i in range(4):
                value = (value << 8) | data[i]
        finally:
            self.deselect()
        return value
