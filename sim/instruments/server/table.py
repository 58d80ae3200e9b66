"""Which server a kind of instrument gets: lines of text, unless its protocol has a file of its own here.

Camera and AWG have no wire: they get None, and the lab's own port takes their requests.
"""

from __future__ import annotations

import importlib
from typing import Any

from sim.instruments.twin import Handle

from .lines import LineServer
from .tcp import Server

NO_WIRE = ("camera", "spectrum_awg")
OWN = {"dlc_pro": "DlcProServer", "id900": "Id900Server", "stabilizer": "StabilizerServer", "websq": "WebSqServer"}


def make_server(name: str, kind: str, twin: Any, handle: Handle, shared: dict[str, Any]) -> Server | None:
    """Return the server of a twin, not yet started; None where the instrument has no wire. `handle` is the twin's with
    lab time brought up to date; `shared` keeps what servers of one lab share. ImportError where a package is missing.
    """
    if kind in NO_WIRE:
        return None
    if kind in OWN:
        cls = getattr(importlib.import_module(f"sim.instruments.server.{kind}"), OWN[kind])
        server: Server = cls(name, twin, handle, shared)
        return server
    is_visa = twin.in_process(handle) is None
    return LineServer(name, handle, twin.REQUEST_ENDING, twin.ENDING, getattr(twin, "GREETING", ""), is_visa)
