"""Lead the light of links through the fibre switches of the lab: set, read back, settled.

    routes = FibreRoutes(self, [link])       in `build`; UsageError for links that cannot have their ways at once
    routes.set()                             rpc: connect what is not yet connected; True if a mirror moved
"""

from collections.abc import Mapping, Sequence
from typing import Any

from artiq.language.core import rpc
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool
from artiq.language.units import ms

from atomlink import routes
from atomlink.topology import LinkSpec
from drivers.network import topology

SETTLE_S = 50 * ms  # the switch takes 25 ms


class FibreRoutes(HasEnvironment):
    """The connections that some links need; `needed`: whether the lab has a switch at all that may have to move."""

    kernel_invariants = {"needed"}

    def build(self, links: Sequence[LinkSpec]) -> None:
        self.need(links)
        self.needed = bool(links) and bool(topology(self).switches)

    def need(self, links: Sequence[LinkSpec]) -> None:
        """Ask for the ways of other links from the next `set` on; UsageError where they cannot have them at once."""
        self.connections = routes.connections(topology(self), links)

    @rpc
    def set(self) -> TBool:
        """Connect what is not yet connected; DeviceError where a switch does not do it. Return whether any moved."""
        moved = False
        for name in dict.fromkeys(each.switch for each in self.connections):
            moved |= connect(self.get_device(name), {each.source: each.sink for each in self.connections
                                                     if each.switch == name})  # fmt: skip
        return moved


def connect(switch: Any, wanted: Mapping[int, int]) -> bool:
    """Connect inputs to outputs of a switch, where they are not yet; return whether any moved.

    What is in the way is let go first. DeviceError where a connection does not read back.
    """
    present = switch.connections()
    moving = {source: sink for source, sink in wanted.items() if present.get(source) != sink}
    for source, sink in present.items():
        if source in moving or sink in moving.values():
            switch.release(source)
    for source, sink in moving.items():
        switch.route(source, sink)
    return bool(moving)
