"""Twin of a HighFinesse wavemeter's TCP server: lines that end in CR LF, greeting `200`, frequencies in THz.

What a server answers to a command that it does not know is not published: the twin stays silent, and the client's
time-out says the rest. Source: QUARTIQ's highfinesse-net.
"""

from __future__ import annotations

import re
from typing import Any

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

    def handle(self, request: str) -> str | None:
        """Return the reply to one line, None where the twin stays silent."""
        match = _REQUEST.match(request.strip())
        if match is None:
            return None
        channel = int(match[2]) if match[2] else 0
        replies = {
            "getVersion": lambda: self.VERSION,
            "isStarted": lambda: "0",
            "startDevice": lambda: "0",
            "getTemperature": lambda: f"{23.5 + 0.01 * self.rng.standard_normal():.3f}",
            "getPressure": lambda: f"{980.0 + 0.1 * self.rng.standard_normal():.2f}",
            "getChannelCount": lambda: str(CHANNELS),
            "getFrequencyNum": lambda: self._frequency(channel),
            "getWavelengthNum": lambda: self._wavelength(channel),
            "getExposureNum": lambda: "2",
        }
        reply = replies.get(match[1])
        return None if reply is None else reply()

    def in_process(self, handle: twin.Handle) -> Any:
        """Return a transport of lines."""
        return DirectTransport(handle)

    def _frequency(self, channel: int) -> str:
        value = self.element.frequency_hz(channel)
        return f"{value * 1e-12:.7f}" if value > 0 else f"{value:.0f}"

    def _wavelength(self, channel: int) -> str:
        value = self.element.frequency_hz(channel)
        return f"{SPEED_NM_THZ / (value * 1e-12):.7f}" if value > 0 else f"{value:.0f}"
