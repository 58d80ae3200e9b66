"""Instruments without a wire in a lab that `atomlink lab` keeps: their requests travel through the lab's own port.

A block of the AWG is thousands of registers, which the card takes without a word: they wait here for the command that
sends them off, or for a question. What the card has to say against one of them comes then.
"""

from __future__ import annotations

import re
import weakref
from typing import Any

import numpy as np

from atomlink.errors import DeviceError
from drivers.instruments import Instrument, driver_class
from drivers.instruments.replies import LinkLostError, parsed_json
from drivers.instruments.transport import LineTransport, tcp_address
from sim.daemon import messages
from sim.daemon.remote import Connection
from sim.instruments.catalog import twin_class
from sim.instruments.dds_card import COMMAND, M2CMD
from sim.instruments.in_process import logged, run_number

PREFIX = "lab:"
_LONGEST = 2000  # requests that wait
_SENDS_OFF = 0x01 | 0x08  # commands: reset, write to card
_ADDRESS = re.compile(r"^lab:([^/]+)/([^/]+)$")


def open_in_lab(dmgr: Any, name: str, driver: str, lab: str) -> Instrument:
    """Return the driver of a row over the wire of the lab that `atomlink lab` keeps at HOST:PORT, opened."""
    opened = open_at_lab(lab, name, driver)
    opened.rid = run_number(dmgr)
    return logged(opened)


def open_at_lab(lab: str, name: str, kind: str) -> Instrument:
    """Return the driver of a row, opened over the wire of the lab at HOST:PORT."""
    addresses = lab_addresses(lab)
    if name not in addresses:
        listed = ", ".join(sorted(addresses)) or "none"
        raise DeviceError(f"The lab at {lab} serves no `{name}`, its instruments are: {listed}.")
    cls, address = driver_class(kind), addresses[name]
    if address.startswith(PREFIX):  # an instrument without a wire of its own
        wire = transport(address, kind)
    else:
        wire = cls.connect(address)
    driver = cls(name, wire)
    driver.simulated = True
    return driver.open()


def lab_addresses(lab: str) -> dict[str, str]:
    """Return where the instruments of the lab at HOST:PORT listen, by name, as their drivers take it."""
    tcp_address(lab)
    asked = LineTransport(lab)
    try:
        text = asked.query('{"op": "addresses"}')
    finally:
        asked.close()
    try:
        addresses = parsed_json(text)["addresses"]
        return {str(name): str(address) for name, address in addresses.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{lab} answered {text[:60]!r}: it must be the address of `atomlink lab`.") from error


def transport(address: str, kind: str) -> Any:
    """Return the driver's transport to `lab:HOST:PORT/NAME`: what it gets in process, in front of the wire."""
    match = _ADDRESS.match(address)
    if match is None:
        raise DeviceError(f"The address is {address!r} but must be lab:HOST:PORT/NAME, as a lab gives it.")
    wire = Wire(match[1], match[2])
    handle = wire.handle_register if kind == "spectrum_awg" else wire.handle
    made = twin_class(kind)(None, np.random.default_rng(0)).in_process(handle)
    weakref.finalize(made, wire.close)
    return made


class Wire:
    """Requests to one instrument, over a connection that opens at the first."""

    def __init__(self, lab: str, name: str) -> None:
        self._lab, self._name = lab, name
        self._connection: Any = None
        self._waiting: list[Any] = []

    def handle_register(self, request: tuple[str, str, int, float]) -> Any:
        """Return the reply to a request of the AWG's; None at once for a register that may wait."""
        _, what, register, value = request
        sends_off = register == M2CMD or (register == COMMAND and int(value) & _SENDS_OFF)
        if what == "set" and not sends_off and len(self._waiting) < _LONGEST:
            self._waiting.append(request)
            return None
        return self.handle(request)

    def handle(self, request: Any) -> Any:
        """Return the reply of the twin in the lab; what waits goes first."""
        requests, self._waiting = [*self._waiting, request], []
        try:
            self._connection = self._connection or Connection(self._lab)
            reply = self._connection.ask(op="instrument", name=self._name, requests=messages.packed(requests))
        except DeviceError as error:
            if self._connection is not None and not self._connection.lost:
                raise
            self.close()
            raise LinkLostError(str(error)) from error
        return messages.unpacked(reply["reply"])

    def close(self) -> None:
        """Close the connection, and drop what waits; the next request opens another."""
        self._waiting.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
