"""The base of every instrument twin: a protocol in front of an element of the simulated lab.

A twin translates: set points go to the element, read-backs come from it. It holds what belongs to the instrument's
front panel alone (ranges, an error queue) and no physics. It has no socket, no clock and no thread: whoever serves a
request first lets lab time reach the RTIO counter, then calls `handle`. Nothing that comes over a wire may make
`handle` raise: what the instrument cannot read it answers as the instrument does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Handle = Callable[[Any], Any]


class Twin:
    """One instrument of the simulated lab. `element` is its part of the world, `rng` its own read-out noise.

    `ENDING` is what ends a reply, `REQUEST_ENDING` what ends a request, where the protocol is text in lines.
    """

    ENDING = "\n"
    REQUEST_ENDING = "\n"

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        self.element, self.rng = element, rng

    @classmethod
    def element_of(cls, world: Any, name: str) -> Any:
        """Return what of the lab the row `name` is about: the element of this name, unless overridden."""
        return world.element(name)

    def handle(self, request: Any) -> Any:
        """Return the reply to one request (text without its ending), or None where the instrument stays silent."""
        raise NotImplementedError(f"{type(self).__module__} has no handle()")

    def in_process(self, handle: Handle) -> Any:
        """Return the driver's transport when driver and twin are one process; None: a VISA resource (PyVISA's own).

        `handle` is this twin's, with lab time brought up to date before each request. Twins of protocols that are not
        VISA override this: `drivers.instruments.transport.DirectTransport(handle)` serves drivers that send text.
        """
        return None
