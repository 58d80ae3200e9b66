"""Zotino: 32 DAC channels (AD5372) and eight LEDs on one SPI bus. Source: Sinara Zotino schematics; ARTIQ 8 manual."""

from artiq.coredevice import spi2 as spi
from artiq.coredevice.ad53xx import SPI_AD53XX_CONFIG, AD53xx
from artiq.language.core import kernel

_SPI_SR_CONFIG = spi.SPI_END

_SPI_CS_DAC = 1
_SPI_CS_SR = 2


class Zotino(AD53xx):
    """Control a Zotino card; +-10 V per channel."""

    def __init__(
        self, dmgr, spi_device, ldac_device=None, clr_device=None, div_write=4, div_read=16, vref=5.0, core="core"
    ):
        super().__init__(
            dmgr,
            spi_device,
            ldac_device=ldac_device,
            clr_device=clr_device,
            chip_select=_SPI_CS_DAC,
            div_write=div_write,
            div_read=div_read,
            vref=vref,
            core=core,
        )

    @kernel
    def set_leds(self, leds):
        """Set the LEDs, one bit each."""
        self.bus.set_config_mu(_SPI_SR_CONFIG, 8, self.div_write, _SPI_CS_SR)
        self.bus.write(leds << 24)
        self.bus.set_config_mu(SPI_AD53XX_CONFIG, 24, self.div_write, self.chip_select)
