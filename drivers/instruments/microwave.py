"""Microwave source: Rohde & Schwarz SMB100A, SCPI over VISA.

    set_frequency(f) --[ 0.1 to 12.75 GHz ]--[ SOUR:FREQ ]--[ error queue ]--[ SOUR:FREQ? ]-- settled() within 3 ms

Source: R&S SMB100A operating manual, remote control commands. Another SCPI source is a subclass with its own IDENTITY
and limits.
"""

from __future__ import annotations

from drivers.limits import Limits

from .instrument import ON_OFF, Instrument

_CONDITION = Limits(0, 65535, "(register)")
_SETTLING = 2  # bit of STATus:OPERation:CONDition (SCPI-1999, volume 1, 20.2)


class Driver(Instrument):
    """A microwave source. Frequencies in Hz, powers in dBm at its output."""

    KIND = "R&S SMB100A microwave source"
    IDENTITY = r"Rohde\s*&\s*Schwarz,\s*SMB100A"
    FREQUENCY = Limits(100e6, 12.75e9, "Hz")
    POWER = Limits(-120.0, 10.0, "dBm")  # more would overdrive the amplifier behind it

    def frequency_hz(self) -> float:
        """Return the set frequency in Hz."""
        return self._number(self._ask("SOUR:FREQ?"), self.FREQUENCY)

    def set_frequency(self, frequency_hz: float) -> float:
        """Set the frequency in Hz; return what reads back."""
        return self._set("frequency", frequency_hz, self.FREQUENCY, lambda f: self._tell(f"SOUR:FREQ {f:.3f}"),
                         self.frequency_hz, 1e-2)  # fmt: skip

    def power_dbm(self) -> float:
        """Return the set output power in dBm."""
        return self._number(self._ask("SOUR:POW?"), self.POWER)

    def set_power(self, power_dbm: float) -> float:
        """Set the output power in dBm; return what reads back."""
        return self._set("power", power_dbm, self.POWER, lambda p: self._tell(f"SOUR:POW {p:.2f}"), self.power_dbm,
                         0.01)  # fmt: skip

    def output(self) -> bool:
        """Return whether the output is on."""
        return self._word(self._ask("OUTP:STAT?"), ON_OFF)

    def set_output(self, on: bool) -> None:
        """Switch the output on or off."""
        word = self._choice("output", on, {True: "ON", False: "OFF"})
        self._set_choice("output", word, lambda: self._tell(f"OUTP:STAT {word}"),
                         lambda: "ON" if self.output() else "OFF")  # fmt: skip

    def settled(self) -> bool:
        """Return whether frequency and power have settled after the last change."""
        return not self._whole(self._ask("STAT:OPER:COND?"), _CONDITION) & _SETTLING

    def _protect(self) -> None:
        """Let the source itself refuse more power than the amplifier takes."""
        self._set("power limit", self.POWER.highest, self.POWER, lambda p: self._tell(f"SOUR:POW:LIM {p:.2f}"),
                  lambda: self._number(self._ask("SOUR:POW:LIM?"), self.POWER), 0.01)  # fmt: skip
