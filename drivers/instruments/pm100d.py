"""Power meter: Thorlabs PM100D with a silicon head, SCPI over USB (VISA).

Source: Thorlabs, PM100D operation manual, SCPI commands. Its error queue starts with `+0` when it is empty.
"""

from __future__ import annotations

import time

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import ON_OFF, Instrument

ZEROING_S = 30.0  # a zero that takes longer has failed


class Driver(Instrument):
    """A power meter. Powers in W, wavelengths in nm."""

    KIND = "Thorlabs PM100D power meter"
    IDENTITY = r"Thorlabs,\s*PM100D"
    WAVELENGTH = Limits(400.0, 1100.0, "nm")  # silicon head S130C
    RANGE = Limits(0.0, 50e-3, "W")
    READING = Limits(-5e-3, 0.1, "W")  # below 0 where darkness was zeroed with light on; the head takes 50 mW
    AVERAGES = Limits(1, 3000, "samples")

    def power_w(self) -> float:
        """Return the power on the head now in W, at the wavelength set."""
        return self._number(self._ask("MEAS:POW?"), self.READING)

    def wavelength_nm(self) -> float:
        """Return the wavelength that the reading is corrected for in nm."""
        return self._number(self._ask("SENS:CORR:WAV?"), self.WAVELENGTH)

    def set_wavelength(self, wavelength_nm: float) -> float:
        """Set the wavelength of the light in nm; return what reads back."""
        return self._set("wavelength", wavelength_nm, self.WAVELENGTH, lambda w: self._tell(f"SENS:CORR:WAV {w:.3f}"),
                         self.wavelength_nm, 0.01)  # fmt: skip

    def range_w(self) -> float:
        """Return the upper end of the measuring range in W."""
        return self._number(self._ask("SENS:POW:RANG?"), self.RANGE, slack=0.1 * self.RANGE.highest)

    def set_range(self, range_w: float) -> float:
        """Fix the range to the smallest that holds this power in W; return its upper end."""
        least = self.RANGE.check(f"{self.name} range", range_w)
        self._tell(f"SENS:POW:RANG {least:.6E}")
        found = self.range_w()
        self._log("range", "W", range_w, least, found)
        return found

    def set_auto_range(self, on: bool) -> None:
        """Let the meter choose its range, or hold the present one."""
        word = self._choice("auto range", on, {True: "1", False: "0"})
        self._set_choice("auto range", word, lambda: self._tell(f"SENS:POW:RANG:AUTO {word}"),
                         lambda: str(int(self._word(self._ask("SENS:POW:RANG:AUTO?"), ON_OFF))))  # fmt: skip

    def averages(self) -> int:
        """Return how many samples of 0.3 ms make one reading."""
        return self._whole(self._ask("SENS:AVER:COUN?"), self.AVERAGES)

    def set_averages(self, count: int) -> int:
        """Set how many samples of 0.3 ms make one reading."""
        return round(self._set("averages", count, self.AVERAGES, lambda n: self._tell(f"SENS:AVER:COUN {n:.0f}"),
                               self.averages, 0.5))  # fmt: skip

    def zero(self) -> float:
        """Take what is on the head now for darkness; return the offset in W. Close the shutter first."""
        self._tell("SENS:CORR:COLL:ZERO:INIT")
        deadline = time.monotonic() + ZEROING_S
        while self._word(self._ask("SENS:CORR:COLL:ZERO:STAT?"), ON_OFF):
            if time.monotonic() > deadline:
                raise DeviceError(f"{self.name} is still zeroing after {ZEROING_S:g} s: is the head dark?")
            time.sleep(0.1)
        offset = self._number(self._ask("SENS:CORR:COLL:ZERO:MAGN?"), self.READING)
        self._log("zero", "W", "now", "now", offset)
        return offset
