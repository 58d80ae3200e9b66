"""Edge counters.

Configuration: bits 0, 1 count rising, falling edges; bit 2 sends the count; bit 3 clears it. Source: ARTIQ 8
gateware.
"""

from __future__ import annotations

from atomlink.errors import DeviceError
from sim.gateware.peripheral import ClicksPort, Peripheral
from sim.gateware.row import Row

RISING, FALLING, SEND, RESET = 1, 2, 4, 8
_SUFFIX = "_counter"


class EdgeCounter(Peripheral):
    """Count the clicks of a port while told to; saturates at the largest count of its register."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._world = row.world
        self._port = row.key.removesuffix(_SUFFIX)
        self._max = (1 << (row.integer("gateware_width", 2, 31, 31) - 1)) - 1
        self._clicks: ClicksPort | None = None
        self._counting = 0
        self._count = 0
        self._seen_mu = 0

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write the configuration: what was counted so far comes first."""
        if self._counting:
            self._take(t_mu)
        self._seen_mu = max(t_mu, self._seen_mu)
        self._counting = data & (RISING | FALLING)
        if data & SEND:
            self.fifo.append((t_mu, self._count))
        if data & RESET:
            self._count = 0

    def _take(self, t_mu: int) -> None:
        if t_mu <= self._seen_mu:
            return
        if self._clicks is None:
            self._clicks = self._world.clicks(self._port)
        clicks = self._clicks(self._seen_mu, t_mu)
        if clicks and self._counting & FALLING:
            raise DeviceError(
                f"edge counter of `{self._port}`: it counts falling edges, and the twin knows clicks by their rising"
                " edges only; count rising edges"
            )
        self._count = min(self._count + len(clicks), self._max)


def _edge_counter(row: Row) -> EdgeCounter:
    counter = EdgeCounter(row)
    row.claim(counter)
    return counter


SERVES = {"artiq.coredevice.edge_counter.EdgeCounter": _edge_counter}
