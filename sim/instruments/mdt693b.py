"""Twin of the piezo controller (Thorlabs MDT693B)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .twin import Twin as Base

_REQUEST = re.compile(r"^\s*(id|echo|[xyz]voltage|[xyz]max)(\?|=\s*([-+]?[0-9]{1,9}(?:\.[0-9]{0,9})?))\s*$", re.I)
UNKNOWN, INVALID = "CMD_NOT_DEFINED", "CMD_ARG_INVALID"
NOISE_V = 0.01  # of the output's own voltmeter


class Twin(Base):
    """Three high-voltage outputs in front of the element `piezo`; each reply ends in the prompt."""

    ENDING, REQUEST_ENDING = ">", "\r"

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self.identity, self._echo, self._highest = "[MDT693B Firmware Version: 1.09]", True, dict.fromkeys("xyz", 150.0)

    def handle(self, request: str) -> str:
        """Return what comes before the prompt."""
        echo = f"{request}\r" if self._echo else ""
        match = _REQUEST.match(request)
        return echo + (UNKNOWN if match is None else self._answer(match[1].lower(), match[3]))

    def _answer(self, name: str, value: str | None) -> str:
        axis = name[0]
        if value is None:
            plain = {"id": self.identity, "echo": f"[{int(self._echo)}]"}
            return plain.get(name) or f"[{self._read(axis, name):7.2f}]\r"
        number = float(value)
        if name == "echo" and number in (0, 1):
            self._echo = number == 1
        elif name.endswith("max") and 0 <= number <= 150:
            self._highest[axis] = number
        elif name.endswith("voltage") and 0 <= number <= self._highest[axis]:
            self.element.set_voltage(axis, number)
        else:
            return INVALID
        return ""

    def _read(self, axis: str, name: str) -> float:
        if name.endswith("max"):
            return self._highest[axis]
        return max(0.0, float(self.element.volts[axis] + NOISE_V * self.rng.standard_normal()))
