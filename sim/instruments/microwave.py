"""Twin of the microwave source (R&S SMB100A)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .scpi import Handler, ScpiError, ScpiTwin, boolean, number

HZ = {"HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}
DBM = {"DBM": 1.0}
LOWEST_HZ, HIGHEST_HZ = 9e3, 12.75e9
LOWEST_DBM, HIGHEST_DBM = -145.0, 30.0


class Twin(ScpiTwin):
    """A synthesizer in front of the element `microwave`."""

    identity = "Rohde&Schwarz,SMB100A,1406.6000k02/181234,3.1.19.15-3.20.390.24"

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        self._limit_dbm = HIGHEST_DBM
        super().__init__(element, rng)

    def commands(self) -> Mapping[str, Handler]:
        """Return frequency, power, output and their queries."""
        source = self.element
        frequency = ("[SOURce]:FREQuency[:CW]", "[SOURce]:FREQuency:FIXed")
        power = ("[SOURce]:POWer[:LEVel][:IMMediate][:AMPLitude]", "[SOURce]:POWer:POWer")
        return {
            **dict.fromkeys(frequency, self._set_frequency),
            **dict.fromkeys([f"{name}?" for name in frequency], lambda: f"{source.frequency_hz:.13g}"),
            **dict.fromkeys(power, self._set_power),
            **dict.fromkeys([f"{name}?" for name in power], lambda: f"{source.power_dbm:.10g}"),
            "[SOURce]:POWer:LIMit[:AMPLitude]": self._set_limit,
            "[SOURce]:POWer:LIMit[:AMPLitude]?": lambda: f"{self._limit_dbm:.10g}",
            "OUTPut[:STATe]": lambda text: source.set_output(boolean(text)),
            "OUTPut[:STATe]?": lambda: str(int(source.on)),
            "STATus:OPERation:CONDition?": lambda: str(2 * source.settling),
        }

    def reset(self) -> None:
        """Go to the preset: output off."""
        self.element.set_output(False)

    def _set_frequency(self, text: str) -> None:
        self.element.set_frequency(round(number(text, HZ, LOWEST_HZ, HIGHEST_HZ), 3))

    def _set_power(self, text: str) -> None:
        power = round(number(text, DBM, LOWEST_DBM, HIGHEST_DBM), 2)
        if power > self._limit_dbm:
            raise ScpiError(-222, "power limit exceeded")
        self.element.set_power(power)

    def _set_limit(self, text: str) -> None:
        self._limit_dbm = number(text, DBM, LOWEST_DBM, HIGHEST_DBM)
