"""SPI bus masters on RTIO (the MiSoC SPI core, version 2).

Address 0 is the data register (writing starts a transfer), address 1 the configuration: flags in bits 0-7, length -
1 in 8-12, clock divider - 2 in 16-23, chip select in 24-31. A transfer takes (length + 1) * divider + 1 coarse
clocks. Source: ARTIQ 8 manual, spi2.
"""

from artiq.coredevice.rtio import rtio_input_data, rtio_output
from artiq.language.core import delay_mu, kernel, portable, syscall
from artiq.language.types import TInt32, TNone

__all__ = [
    "SPI_DATA_ADDR",
    "SPI_CONFIG_ADDR",
    "SPI_OFFLINE",
    "SPI_END",
    "SPI_INPUT",
    "SPI_CS_POLARITY",
    "SPI_CLK_POLARITY",
    "SPI_CLK_PHASE",
    "SPI_LSB_FIRST",
    "SPI_HALF_DUPLEX",
    "SPIMaster",
    "NRTSPIMaster",
]

SPI_DATA_ADDR = 0
SPI_CONFIG_ADDR = 1

SPI_OFFLINE = 0x01  # all pins high impedance
SPI_END = 0x02  # release chip select after the transfer
SPI_INPUT = 0x04  # send the word read back as an input event
SPI_CS_POLARITY = 0x08  # chip select is active high
SPI_CLK_POLARITY = 0x10  # clock idles high
SPI_CLK_PHASE = 0x20  # sample on the second clock edge
SPI_LSB_FIRST = 0x40
SPI_HALF_DUPLEX = 0x80  # three wires


class SPIMaster:
    """Own one SPI bus; a second user of the bus must configure it again."""

    kernel_invariants = {"core", "ref_period_mu", "channel"}

    def __init__(self, dmgr, channel, div=0, length=0, core_device="core"):
        self.core = dmgr.get(core_device)
        self.ref_period_mu = self.core.seconds_to_mu(self.core.coarse_ref_period)
        if self.ref_period_mu != self.core.ref_multiplier:
            raise ValueError(
                f"SPIMaster on channel {channel}: the coarse clock of `{core_device}` is {self.ref_period_mu} mu,"
                f" but its ref_multiplier is {self.core.ref_multiplier}; they must agree"
            )
        self.channel = channel
        self.update_xfer_duration_mu(div, length)

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @portable
    def frequency_to_div(self, f):
        """Return the clock divider nearest to the SPI clock `f` (Hz)."""
        return int(round(1 / (f * self.core.mu_to_seconds(self.ref_period_mu))))

    @kernel
    def set_config(self, flags, length, freq, cs):
        """Configure the next transfers: SPI_* flags, length in bits, clock (Hz), chip select.

        Takes one coarse clock.
        """
        self.set_config_mu(flags, length, self.frequency_to_div(freq), cs)

    @kernel
    def set_config_mu(self, flags, length, div, cs):
        """Configure the next transfers: SPI_* flags, length in bits, clock divider, chip select.

        Takes one coarse clock.
        """
        if length > 32 or length < 1:
            raise ValueError("Invalid SPI transfer length")
        if div > 257 or div < 2:
            raise ValueError("Invalid SPI clock divider")
        rtio_output((self.channel << 8) | 1, flags | ((length - 1) << 8) | ((div - 2) << 16) | (cs << 24))
        self.xfer_duration_mu = ((length + 1) * div + 1) * self.ref_period_mu
        delay_mu(self.ref_period_mu)

    @portable
    def update_xfer_duration_mu(self, div, length):
        """Tell the driver the divider and length that an earlier configuration has set."""
        self.xfer_duration_mu = ((length + 1) * div + 1) * self.ref_period_mu

    @kernel
    def write(self, data):
        """Start a transfer of the word `data` (first bit = bit 31); the cursor advances by the transfer."""
        rtio_output(self.channel << 8, data)
        delay_mu(self.xfer_duration_mu)

    @kernel
    def read(self):
        """Return the word of the oldest transfer made with SPI_INPUT."""
        return rtio_input_data(self.channel)


@syscall(flags={"nounwind", "nowrite"})
def spi_set_config(busno: TInt32, flags: TInt32, length: TInt32, div: TInt32, cs: TInt32) -> TNone:
    """Configure a bus of the CPU (firmware call)."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def spi_write(busno: TInt32, data: TInt32) -> TNone:
    """Write to a bus of the CPU (firmware call)."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def spi_read(busno: TInt32) -> TInt32:
    """Read from a bus of the CPU (firmware call)."""
    raise NotImplementedError("syscall not simulated")


class NRTSPIMaster:
    """Own an SPI bus that the CPU drives without RTIO."""

    def __init__(self, dmgr, busno=0, core_device="core"):
        self.core = dmgr.get(core_device)
        self.busno = busno

    @kernel
    def set_config_mu(self, flags=0, length=8, div=6, cs=1):
        """Configure the next transfers."""
        spi_set_config(self.busno, flags, length, div, cs)

    @kernel
    def write(self, data=0):
        """Write a word."""
        spi_write(self.busno, data)

    @kernel
    def read(self):
        """Read a word."""
        return spi_read(self.busno)
