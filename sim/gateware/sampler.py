"""Sampler: the gains' shift register reads back; the ADC's inputs are not fed by this world and read 0 V.

Source: Sinara Sampler schematics (LTC2320-16, PGIA gains in a 16-bit shift register).
"""

from __future__ import annotations

from sim.gateware.row import Row
from sim.gateware.spi import ShiftRegister, SpiBus
from sim.gateware.ttl import Ttl

SELECT_ADC, SELECT_GAINS = 0, 1


class Ltc2320:
    """The ADC: eight channels at 0 V."""

    def transfer(self, bits: int, length: int) -> int:
        """Return the codes of a channel pair."""
        return 0

    def release(self, t_mu: int) -> None:
        """End the read-out."""


def _sampler(row: Row) -> Ltc2320:
    adc = Ltc2320()
    row.device("spi_adc_device", SpiBus).attach(SELECT_ADC, adc)
    row.device("spi_pgia_device", SpiBus).attach(SELECT_GAINS, ShiftRegister(16))
    row.device("cnv_device", Ttl)
    return adc


SERVES = {"artiq.coredevice.sampler.Sampler": _sampler}
