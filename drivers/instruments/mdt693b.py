"""Piezo controller: Thorlabs MDT693B, three channels x, y, z of 0 to 150 V, text over a serial line (VISA).

Each request is answered, and the answer ends in a prompt: `xvoltage?` -> `[ 12.30]` CR `>`, `xvoltage=12.3` -> `>`,
what it does not understand -> `CMD_NOT_DEFINED>`. Requests may be echoed. Source: Thorlabs, MDT69xB user guide.
"""

from __future__ import annotations

import math
import re
import time

from drivers.limits import Limits

from .instrument import Instrument

AXES = ("x", "y", "z")
_VALUE = re.compile(r"\s*\[\s*([-+]?[0-9.]+)\s*\]\s*")
_REFUSAL = re.compile(r"[A-Z_ !]+")
_READ_SLACK_V = 1.0  # of the outputs' own voltmeters
_STEP_V = 1.0  # of a ramp


class Driver(Instrument):
    """Three piezo voltages in V; axes are "x", "y", "z"."""

    KIND = "Thorlabs MDT693B piezo controller"
    IDENTITY = "MDT693B"
    ENDING = ">"
    VISA = {"write_ending": "\r", "baud_rate": 115200}
    VOLTAGE = Limits(0.0, 150.0, "V", max_step=10.0, max_slew=50.0)

    def voltage(self, axis: str) -> float:
        """Return the voltage of an axis in V, as measured at its output."""
        return self._value(f"{self._axis(axis)}voltage?")

    def set_voltage(self, axis: str, volts: float) -> float:
        """Step an axis to a voltage in V, at most 10 V away; return what reads back."""
        name = self._axis(axis)
        return self._set(f"{name} voltage", volts, self.VOLTAGE, lambda v: self._tell(f"{name}voltage={v:.2f}"),
                         lambda: self.voltage(name), 0.1)  # fmt: skip

    def ramp_voltage(self, axis: str, volts: float, volts_per_s: float) -> float:
        """Go to a voltage in V at a rate in V/s, up to 50 V/s; return what reads back. A simulation does not wait."""
        name, what = self._axis(axis), f"{self.name} {axis} voltage"
        target, rate = self.VOLTAGE.check_range(what, volts), abs(self.VOLTAGE.check_slew(what, volts_per_s))
        start = self.voltage(name)
        steps = math.ceil(abs(target - start) / _STEP_V)
        for i in range(1, steps):
            self._tell(f"{name}voltage={start + (target - start) * i / steps:.2f}")
            if not self.simulated:
                time.sleep(abs(target - start) / steps / rate)
        return self.set_voltage(name, target)

    def _axis(self, axis: object) -> str:
        return self._choice("axis", axis, {name: name for name in AXES})

    def _value(self, request: str) -> float:
        reply = self._ask(request)
        match = _VALUE.fullmatch(reply.replace(request, "", 1))  # it may have been echoed
        if match is None:
            raise self._misread(reply, "no value in brackets")
        return self._number(match[1], self.VOLTAGE, _READ_SLACK_V)

    def _command(self, text: str) -> None:
        """Send a command; only its echo and the prompt may come back."""
        reply = self.transport.query(text).replace(text, "", 1).strip()
        if reply and _REFUSAL.fullmatch(reply) is None:
            raise self._misread(reply, f"no answer to `{text}`")
        if reply:
            raise self._refusal(text, [reply])

    def _protect(self) -> None:
        """Be answered without echo, and let the controller itself refuse higher voltages."""
        self._tell("echo=0")
        for axis in AXES:
            self._limit(axis)

    def _limit(self, axis: str) -> None:
        self._set(f"{axis} limit", self.VOLTAGE.highest, Limits(0.0, 150.0, "V"),
                  lambda v: self._tell(f"{axis}max={v:.2f}"), lambda: self._value(f"{axis}max?"), 0.1)  # fmt: skip

    def _read_identity(self) -> str:
        return str(self.transport.query("id?"))

    def _read_error(self) -> tuple[int, str]:
        return 0, "no error queue: each command is answered"
