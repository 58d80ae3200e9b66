"""HighFinesse wavemeter through its TCP server: vacuum frequency of up to eight channels.

Lines on port 1234 that end in CR LF; the server greets with `200`; `getFrequencyNum 1` answers THz. A value <= 0 is no
frequency but a status. Sources: QUARTIQ's highfinesse-net (the protocol), HighFinesse's wlmData interface (the codes).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument
from .transport import LineTransport

PORT = 1234
GREETING = "200"
CHANNELS = 8
# wlmData's codes in place of a frequency.
STATUS = {
    0: "no value yet",
    -1: "no signal: no light, or the switch is on another channel",
    -2: "bad signal: more than one mode, or the light changes within the exposure",
    -3: "low signal: underexposed; raise power or exposure time",
    -4: "big signal: overexposed; lower power or exposure time",
    -5: "the wavemeter program is not running",
    -6: "not available in this instrument",
    -10: "this channel is not available",
    -14: "out of the instrument's range",
}
# Silicon interferometers of this family work from 192 nm to 2.25 um.
LOWEST_HZ, HIGHEST_HZ = 133e12, 1562e12
_CODE = Limits(-1000, 0, "(status)")
_COUNT = Limits(1, 64, "channels")
_TEMPERATURE, _PRESSURE = Limits(-20.0, 100.0, "degrees Celsius"), Limits(100.0, 2000.0, "mbar")


class Reading(NamedTuple):
    """One measurement: frequency in Hz (NaN where there is none) and `status`, "ok" or the meaning of the code."""

    frequency_hz: float
    status: str


class Driver(Instrument):
    """A wavemeter; it only measures."""

    KIND = "HighFinesse wavemeter"
    IDENTITY = r"^[^,]*\d[^,]*(,[^,]*\d[^,]*){3}$"  # type, version, revision and software number
    ENDING = "\r\n"

    @classmethod
    def connect(cls, device: str, library: str = "") -> Any:
        """Return the transport to HOST[:PORT] (port 1234), not yet open; there is no choice of library."""
        return LineTransport(device, cls.ENDING, cls.TIMEOUT_S, greeting=1, default_port=PORT)

    def frequency_hz(self, channel: int) -> float:
        """Return the vacuum frequency of a channel (1 to 8) in Hz; DeviceError says why there is none."""
        value, status = self.reading(channel)
        if status != "ok":
            raise DeviceError(f"{self.name} channel {channel}: {status}.")
        return value

    def reading(self, channel: int) -> Reading:
        """Return frequency and status of a channel (1 to 8); a status is no error here."""
        reply = self._ask(f"getFrequencyNum {self._channel(channel)}")
        number = self._number(reply)
        if number <= 0:
            code = self._whole(reply, _CODE)
            return Reading(math.nan, STATUS.get(code, f"code {code}, which wlmData's interface does not list"))
        value = 1e12 * number
        if not LOWEST_HZ <= value <= HIGHEST_HZ:
            self._stale = True
            raise DeviceError(
                f"{self.name} channel {channel} reads {number:g} THz, but must be {LOWEST_HZ / 1e12:g} to "
                f"{HIGHEST_HZ / 1e12:g}: a torn reply? Ask again."
            )
        return Reading(value, "ok")

    def channel_count(self) -> int:
        """Return how many channels the instrument's switch has."""
        return self._whole(self._ask("getChannelCount"), _COUNT)

    def temperature_c(self) -> float:
        """Return the temperature inside the instrument in degrees Celsius."""
        return self._number(self._ask("getTemperature"), _TEMPERATURE)

    def pressure_mbar(self) -> float:
        """Return the pressure inside the instrument in mbar."""
        return self._number(self._ask("getPressure"), _PRESSURE)

    def _channel(self, channel: int) -> int:
        if isinstance(channel, bool) or not isinstance(channel, int) or not 1 <= channel <= CHANNELS:
            raise DeviceError(f"{self.name} channel is {channel!r} but must be 1 to {CHANNELS}: nothing was sent.")
        return channel

    def _read_identity(self) -> str:
        """Return type, version, revision and software number; the server must have greeted as it does."""
        text = str(self.transport.query("getVersion"))
        greeted = getattr(self.transport, "greeted", [GREETING])  # no wire, no greeting
        if greeted != [GREETING]:
            raise DeviceError(f"{self.name} greeted with {greeted!r} but must with {GREETING!r}: check the address.")
        return text

    def _read_error(self) -> tuple[int, str]:
        return 0, ""  # errors are codes in the replies: there is no queue
