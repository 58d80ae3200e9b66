"""Twin of the optical switch (Polatis series 6000)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sim.world.elements.fibre_switch import PORTS

from .scpi import Handler, ScpiError, ScpiTwin

_PORTS = re.compile(r"^\(@\s*([0-9]{1,3}(?:\s*,\s*[0-9]{1,3})*)\s*\)$")


class Twin(ScpiTwin):
    """A cross-connect in front of the element `fibre_switch`."""

    identity = "Polatis,OST-16x16-LA1-DMHNS,050001,6.8.2.8"

    def commands(self) -> Mapping[str, Handler]:
        """Return connecting, disconnecting and the state."""
        return {
            ":OXC:SWITch:CONNect:ADD": self._add,
            ":OXC:SWITch:CONNect:ONLY": self._only,
            ":OXC:SWITch:CONNect:SUB": self._remove,
            ":OXC:SWITch:CONNect:STATe?": self._state,
            ":OXC:SWITch:CONNect:PORT?": self._partner,
            ":OXC:SWITch:DISConnect:ALL": self._disconnect_all,
            ":OXC:SWITch:SIZE?": lambda: f"{PORTS},{PORTS}",
        }

    def _add(self, inputs: str, outputs: str) -> None:
        for pair in self._pairs(inputs, outputs):
            self.element.connect(*pair)

    def _only(self, inputs: str, outputs: str) -> None:
        pairs = self._pairs(inputs, outputs)
        self._disconnect_all()
        for pair in pairs:
            self.element.connect(*pair)

    def _remove(self, inputs: str, outputs: str) -> None:
        for source, sink in self._pairs(inputs, outputs):
            if self.element.connections.get(source) != sink:
                raise ScpiError(-221, f"port {source} is not connected to {sink}")
            self.element.disconnect(source)

    def _disconnect_all(self) -> None:
        for source in list(self.element.connections):
            self.element.disconnect(source)

    def _state(self) -> str:
        found = sorted(self.element.connections.items())
        return "(@" + ",".join(str(a) for a, _ in found) + "),(@" + ",".join(str(b) for _, b in found) + ")"

    def _partner(self, text: str) -> str:
        port = _ports(f"(@{text})", 1, 2 * PORTS)[0]
        both = {**self.element.connections, **{b: a for a, b in self.element.connections.items()}}
        return str(both.get(port, ""))

    def _pairs(self, inputs: str, outputs: str) -> list[tuple[int, int]]:
        sources, sinks = _ports(inputs, 1, PORTS), _ports(outputs, PORTS + 1, 2 * PORTS)
        if len(sources) != len(sinks) or len(set(sources)) < len(sources) or len(set(sinks)) < len(sinks):
            raise ScpiError(-224, "as many different inputs as outputs")
        return list(zip(sources, sinks, strict=True))


def _ports(text: str, lowest: int, highest: int) -> list[int]:
    match = _PORTS.match(text)
    if match is None:
        raise ScpiError(-104, text[:40])
    ports = [int(port) for port in match[1].split(",")]
    if not all(lowest <= port <= highest for port in ports):
        raise ScpiError(-222, text[:40])
    return ports
