"""

rabber: regions of interest and their gate are stored; no camera of this world is cabled to one, so no frame ever
answers.

Source: ARTIQ 8 manual, grabber.
"""

from __future__ import annotations

from sim.gateware.peripheral import Peripheral
from sim.gateware.row import Row


class GrabberRois(Peripheral):
    """The coordinates: address 4 n + 0..3 holds x0, y0, x1, y1 of region n."""

    def __init__(self) -> None:
        super().__init__()
        self.registers: dict[int, int] = {}

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write one coordinate."""
        self.registers[address] = data


class GrabberGate(Peripheral):
    """The gate: the mask of regions to report."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = 0

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Set the mask."""
        self.mask = data & 0xFFFFFFFF


def _grabber(row: Row) -> tuple[GrabberRois, GrabberGate]:
    rois, gate = GrabberRois(), GrabberGate()
    row.claim(rois, "channel_base")
    row.claim(gate, "channel_base", 1)
    return rois, gate


SERVES = {"artiq.coredevice.grabber.Grabber": _grabber}
