"""Twin of the power meter (Thorlabs PM100D with the silicon head S130C).

The reading is the light on the head as a silicon photodiode sees it, whose responsivity goes as the wavelength: a meter
set to another wavelength than the light's reads wrong in that proportion. Noise and offsets are the head's: 100 pW of
resolution in the lowest range, 0.1 % of the reading, some nW in the dark. Source: Thorlabs, S130C data sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .scpi import Handler, ScpiTwin, boolean, nr3, number

RANGES_W = tuple(5e-7 * 10**k for k in range(6))  # 500 nW to 50 mW
OVER_RANGE = 9.9e37  # what SCPI instruments answer for infinity
NOISE_OF_RANGE = 2e-4  # 100 pW in 500 nW
NOISE_OF_READING = 1e-3
DARK_W = 1.5e-9  # design: dark current of an unzeroed head
NM = {"NM": 1.0}
WATTS = {"W": 1.0, "MW": 1e-3, "UW": 1e-6, "NW": 1e-9}


class Twin(ScpiTwin):
    """A power meter in front of the element `pickup`."""

    identity = "Thorlabs,PM100D,P0012345,2.4.0"
    NO_ERROR = '+0,"No error"'

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self.reset()

    @classmethod
    def element_of(cls, world: Any, name: str) -> Any:
        """Return the light on the head: `alice_power_meter` looks at `alice_pickup`."""
        return world.element(f"{name.removesuffix('_power_meter')}_pickup")

    def reset(self) -> None:
        """Go to the state after *RST."""
        self._wavelength_nm, self._averages, self._zero_w = 635.0, 1, 0.0
        self._range_w, self._auto = RANGES_W[-1], True

    def commands(self) -> Mapping[str, Handler]:
        """Return what the drivers of this meter use."""
        measure = ("MEASure[:SCALar][:POWer]?", "READ?", "FETCh?")
        return {
            **dict.fromkeys(measure, lambda: nr3(self._reading_w())),
            "[SENSe]:CORRection:WAVelength": self._set_wavelength,
            "[SENSe]:CORRection:WAVelength?": lambda: nr3(self._wavelength_nm),
            "[SENSe]:AVERage[:COUNt]": self._set_averages,
            "[SENSe]:AVERage[:COUNt]?": lambda: str(self._averages),
            "[SENSe]:POWer[:DC]:RANGe[:UPPer]": self._set_range,
            "[SENSe]:POWer[:DC]:RANGe[:UPPer]?": lambda: nr3(self._upper_w()),
            "[SENSe]:POWer[:DC]:RANGe:AUTO": self._set_auto,
            "[SENSe]:POWer[:DC]:RANGe:AUTO?": lambda: str(int(self._auto)),
            "[SENSe]:CORRection:COLLect:ZERO[:INITiate]": self._set_zero,
            "[SENSe]:CORRection:COLLect:ZERO:STATe?": lambda: "0",
            "[SENSe]:CORRection:COLLect:ZERO:MAGNitude?": lambda: nr3(self._zero_w),
            "SYSTem:SENSor:IDN?": lambda: '"S130C","12345678","01-Mar-2026",1,18,289',
        }

    def _seen_w(self) -> float:
        """Return what the head makes of its light at the wavelength set, before zero and noise."""
        light = self.element.light_w() + self.element.stray_w()
        return float(light * self.element.wavelength_m * 1e9 / self._wavelength_nm + DARK_W)

    def _upper_w(self) -> float:
        if not self._auto:
            return self._range_w
        seen = self._seen_w()
        return next((upper for upper in RANGES_W if seen <= upper), RANGES_W[-1])

    def _reading_w(self) -> float:
        seen, upper = self._seen_w(), self._upper_w()
        if seen > upper:
            return OVER_RANGE
        spread = math.hypot(NOISE_OF_RANGE * upper, NOISE_OF_READING * seen) / math.sqrt(self._averages)
        return seen - self._zero_w + spread * float(self.rng.standard_normal())

    def _set_wavelength(self, text: str) -> None:
        self._wavelength_nm = number(text, NM, 400.0, 1100.0, 635.0)

    def _set_averages(self, text: str) -> None:
        self._averages = round(number(text, None, 1, 3000, 1))

    def _set_range(self, text: str) -> None:
        least = number(text, WATTS, 0.0, RANGES_W[-1])
        self._range_w, self._auto = next(upper for upper in RANGES_W if least <= upper), False

    def _set_auto(self, text: str) -> None:
        self._range_w, self._auto = self._upper_w(), boolean(text)

    def _set_zero(self) -> None:
        self._zero_w = self._seen_w()
