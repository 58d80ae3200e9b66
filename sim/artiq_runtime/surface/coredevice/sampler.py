"""Sampler: eight ADC channels (LTC2320-16) behind programmable gains.

Source: Sinara Sampler schematics; ARTIQ 8 manual.
"""

from artiq.coredevice import spi2 as spi
from artiq.language.core import delay, kernel, portable
from artiq.language.units import ns

SPI_CONFIG = 0
SPI_CS_ADC = 0  # the ADC has no chip select
SPI_CS_PGIA = 1  # the gains' shift registers


@portable
def adc_mu_to_volt(data, gain=0, corrected_fs=True):
    """Return the voltage of an ADC code at a gain of 10**`gain`; `corrected_fs` for cards from v2.2 on."""
    if gain == 0:
        span = 20.48 if corrected_fs else 20.0
    elif gain == 1:
        span = 2.048 if corrected_fs else 2.0
    elif gain == 2:
        span = 0.2048 if corrected_fs else 0.2
    elif gain == 3:
        span = 0.02048 if corrected_fs else 0.02
    else:
        raise ValueError("invalid gain")
    return data * (span / (1 << 16))


class Sampler:
    """Sample eight inputs at once; `gains` holds two bits per channel, 10**n."""

    kernel_invariants = {"bus_adc", "bus_pgia", "core", "cnv", "div", "corrected_fs"}

    def __init__(
        self, dmgr, spi_adc_device, spi_pgia_device, cnv_device, div=8, gains=0x0000, hw_rev="v2.2", core_device="core"
    ):
        self.bus_adc = dmgr.get(spi_adc_device)
        self.bus_adc.update_xfer_duration_mu(div, 32)
        self.bus_pgia = dmgr.get(spi_pgia_device)
        self.bus_pgia.update_xfer_duration_mu(div, 16)
        self.core = dmgr.get(core_device)
        self.cnv = dmgr.get(cnv_device)
        self.div = div
        self.gains = gains
        self.corrected_fs = self.use_corrected_fs(hw_rev)

    @staticmethod
    def use_corrected_fs(hw_rev):
        """Return whether the full scale is 10.24 V: all cards but v2.1."""
        return hw_rev != "v2.1"

    @kernel
    def init(self):
        """Configure both buses."""
        self.bus_adc.set_config_mu(SPI_CONFIG | spi.SPI_INPUT | spi.SPI_END, 32, self.div, SPI_CS_ADC)
        self.bus_pgia.set_config_mu(SPI_CONFIG | spi.SPI_END, 16, self.div, SPI_CS_PGIA)

    @kernel
    def set_gain_mu(self, channel, gain):
        """Set one channel's gain to 10**`gain`, 0 to 3."""
        gains = (self.gains & ~(0b11 << (channel * 2))) | (gain << (channel * 2))
        self.bus_pgia.write(gains << 16)
        self.gains = gains

    @kernel
    def get_gains_mu(self):
        """Read the gains of all channels (and write what the driver believes)."""
        self.bus_pgia.set_config_mu(SPI_CONFIG | spi.SPI_END | spi.SPI_INPUT, 16, self.div, SPI_CS_PGIA)
        self.bus_pgia.write(self.gains << 16)
        self.bus_pgia.set_config_mu(SPI_CONFIG | spi.SPI_END, 16, self.div, SPI_CS_PGIA)
        self.gains = self.bus_pgia.read() & 0xFFFF
        return self.gains

    @kernel
    def sample_mu(self, data):
        """Sample at the cursor into `data` (even length): codes of the last len(data) channels."""
        self.cnv.pulse(30 * ns)
        delay(450 * ns)  # conversion
        # The ADC sends channel pairs, the last first.
        for _ in range(len(data) // 2):
            self.bus_adc.write(0)
        sign = 1 << 15
        for i in range(len(data) - 1, -1, -2):
            pair = self.bus_adc.read()
            low = pair & 0xFFFF
            data[i] = pair >> 16
            data[i - 1] = (low & ~sign) - (low & sign)

    @kernel
    def sample(self, data):
        """Sample at the cursor into `data` (even length): volts of the last len(data) channels."""
        n = len(data)
        codes = [0] * n
        self.sample_mu(codes)
        for i in range(n):
            gain = (self.gains >> ((i + 8 - n) * 2)) & 0b11
            data[i] = adc_mu_to_volt(codes[i], gain, self.corrected_fs)
