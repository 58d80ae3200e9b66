"""Optical switch: Polatis series 6000, 16 inputs (ports 1 to 16) and 16 outputs (17 to 32), SCPI over TCP (VISA).

Source: Polatis SCPI command set as working clients use it: lists of ports in brackets, `(@1,2),(@17,18)`.
"""

from __future__ import annotations

import re

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument

_PORTS = r"\(@((?:[0-9]{1,3}(?:,[0-9]{1,3})*)?)\)"
_STATE = re.compile(f"{_PORTS},{_PORTS}")


class Driver(Instrument):
    """A fibre cross-connect; ports are numbered as on its front panel."""

    KIND = "Polatis optical switch"
    IDENTITY = r"Polatis"
    INPUT = Limits(1, 16, "(input port)")
    OUTPUT = Limits(17, 32, "(output port)")

    def connections(self) -> dict[int, int]:
        """Return which output each connected input leads to."""
        text = self._ask(":oxc:swit:conn:stat?").replace(" ", "")
        match = _STATE.fullmatch(text)
        if match is None:
            raise self._misread(text, "no list of connections")
        inputs, outputs = ([int(port) for port in group.split(",") if port] for group in match.groups())
        if len(inputs) != len(outputs):
            raise self._misread(text, "no list of as many inputs as outputs")
        for ports, limits in ((inputs, self.INPUT), (outputs, self.OUTPUT)):
            if len(set(ports)) < len(ports) or not all(limits.lowest <= port <= limits.highest for port in ports):
                raise self._misread(text, f"no list of different ports {limits.lowest:g} to {limits.highest:g}")
        return dict(zip(inputs, outputs, strict=True))

    def route(self, source: int, sink: int) -> None:
        """Lead input port `source` to output port `sink`; DeviceError if it does not read back."""
        a, b = self._port("input", source, self.INPUT), self._port("output", sink, self.OUTPUT)
        self._set_choice(f"port {a}", str(b), lambda: self._tell(f":oxc:swit:conn:add (@{a}),(@{b})"),
                         lambda: str(self.connections().get(a, "nothing")))  # fmt: skip

    def release(self, source: int) -> None:
        """Let input port `source` end nowhere."""
        a = self._port("input", source, self.INPUT)
        present = self.connections().get(a)
        if present is not None:
            self._set_choice(f"port {a}", "nothing", lambda: self._tell(f":oxc:swit:conn:sub (@{a}),(@{present})"),
                             lambda: str(self.connections().get(a, "nothing")))  # fmt: skip

    def release_all(self) -> None:
        """Let go of every connection."""
        self._set_choice("all ports", "nothing", lambda: self._tell(":oxc:swit:disc:all"),
                         lambda: str(self.connections() or "nothing"))  # fmt: skip

    def _port(self, what: str, port: object, limits: Limits) -> int:
        number = limits.check(f"{self.name} {what}", port)
        if number != int(number):
            raise DeviceError(f"{self.name} {what} is {number:g} but must be a whole number: nothing was sent.")
        return int(number)
