"""Twin of a HighFinesse wavemeter's TCP server: lines that end in CR LF, greeting `200`, frequencies in THz.

What a server answers to a command that it does not know is not published: the twin stays silent, and the client's
time-out says the rest. Source: QUARTIQ's highfinesse-net.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.instruments.transport import DirectTransport
from sim.world.elements.wavemeter import CHANNELS

from . import twin

_REQUEST = re.compile(r"^([A-Za-z]+)(?: ([0-9]{1,3})(?:,([0-9]{1,3}))?)?$")
SPEED_NM_THZ = 299792.458


class Twin(twin.Twin):
    """One wavemeter; it only measures."""

    ENDING = REQUEST_ENDING = "\r\n"
    GREETING = "200\r\n"
    VERSION = "8,4711,1,6"

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self._replies: dict[str, Callable[[int], str]] = {
            "getVersion": lambda _: self.VERSION,
            "isStarted": lambda _: "0",
            "startDevice": lambda _: "0",
            "getTemperature": lambda _: "23.500",  # the simulated lab has no weather
            "getPressure": lambda _: "980.00",
            "getChannelCount": lambda _: str(CHANNELS),
            "getFrequencyNum": self._frequency,
            "getWavelengthNum": self._wavelength,
            "getExposureNum": lambda _: "2",
        }

    def handle(self, request: str) -> str | None:
        """Return the reply to one line, None where the twin stays silent."""
        match = _REQUEST.match(request.strip())
        reply = self._replies.get(match[1]) if match is not None else None
        if match is None or reply is None:
            return None
        return reply(int(match[2]) if match[2] else 0)

    def in_process(self, handle: twin.Handle) -> Any:
        """Return a transport of lines."""
        return DirectTransport(handle)

    def _frequency(self, channel: int) -> str:
        value = self.element.frequency_hz(channel)
        return f"{value * 1e-12:.7f}" if value > 0 else f"{value:.0f}"

    def _wavelength(self, channel: int) -> str:
        value = self.element.frequency_hz(channel)
        return f"{SPEED_NM_THZ / (value * 1e-12):.7f}" if value > 0 else f"{value:.0f}"
