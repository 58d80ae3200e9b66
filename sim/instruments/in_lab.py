"""Instruments without a wire in a lab that `atomlink lab` keeps: their requests travel through the lab's own port."""

from __future__ import annotations

import re
import weakref
from typing import Any

import numpy as np

from atomlink.errors import DeviceError

from .in_process import twin_class

PREFIX = "lab:"
_ADDRESS = re.compile(r"^lab:([^/]+)/([^/]+)$")


def transport(address: str, kind: str) -> Any:
    """Return the driver's transport to `lab:HOST:PORT/NAME`: what it gets in process, in front of the wire."""
    match = _ADDRESS.match(address)
    if match is None:
        raise DeviceError(f"The address is {address!r} but must be lab:HOST:PORT/NAME, as a lab gives it.")
    wire = Wire(match[1], match[2])
    made = twin_class(kind)(None, np.random.default_rng(0)).in_process(wire.handle)
    weakref.finalize(made, wire.close)
    return made


class Wire:
    """Requests to one instrument, over a connection that opens at the first."""

    def __init__(self, lab: str, name: str) -> None:
        self._lab, self._name = lab, name
        self._connection: Any = None

    def handle(self, request: Any) -> Any:
        """Return the reply of the twin in the lab."""
        from sim.daemon import messages
        from sim.daemon.remote import Connection

        if self._connection is None:
            self._connection = Connection(self._lab)
        reply = self._connection.ask(op="instrument", name=self._name, request=messages.packed(request))
        return messages.unpacked(reply["reply"])

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
