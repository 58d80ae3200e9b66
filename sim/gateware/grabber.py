"""Grabber: sums of rectangular regions of a camera's frames, in real time.

Channel base: address 4 n + 0…3 holds x0, y0, x1, y1 of region n. Channel base + 1: the gate, a mask of regions; after
the end of a frame it gives a sentinel, 2^w, then the sums of the gated regions by number, one per coarse clock. A sum
has w = min(31, 2 res_width + 16 - count_shift) bits and wraps. Source: ARTIQ 8 manual and gateware, grabber.
"""

from __future__ import annotations

from typing import Any

from atomlink.errors import DeviceError
from sim.gateware.peripheral import FramesPort, Peripheral
from sim.gateware.row import Row

# A read looks for frames this far at a time: less than a kernel needs to go on after it.
SLICE_MU = 100_000
_COARSE_MU = 8
_ENGINES = 16


class GrabberRois(Peripheral):
    """The coordinates of the regions: `registers` by address."""

    may_run = False

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.registers: dict[int, int] = {}
        self._row, self._limit = row, (1 << row.integer("res_width", 1, 16, 12)) - 1

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write one coordinate."""
        if address >= 4 * _ENGINES:
            raise DeviceError(
                f"grabber `{self._row.key}`: region {address // 4} does not exist; it must be 0 to {_ENGINES - 1}"
            )
        self.registers[address] = data & self._limit

    def sum(self, n: int, image: Any) -> int:
        """Return the sum of region n of a frame."""
        x0, y0, x1, y1 = (self.registers.get(4 * n + k, 0) for k in range(4))
        return int(image[y0:y1, x0:x1].sum()) if x0 < x1 and y0 < y1 else 0


class GrabberGate(Peripheral):
    """The gate, and the sums of the frames that end while it is open."""

    may_run = False
    fifo_depth = 64
    # A plain attribute, as in ttl.py: the end of the next slice to look at while the gate is open.
    due_mu: int | None = None

    def __init__(self, row: Row, rois: GrabberRois) -> None:
        super().__init__()
        self._row, self._rois = row, rois
        self._shift = row.integer("count_shift", 0, 31, 0)
        self._width = min(31, 2 * row.integer("res_width", 1, 16, 12) + 16 - self._shift)
        self._frames: FramesPort | None = None
        self.mask = 0
        self._seen_mu = 0

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Set the mask; frames that have ended by now were gated by the old one."""
        if t_mu > self._seen_mu:
            self.poll(t_mu)
            self._seen_mu = t_mu
        self.mask = data & ((1 << _ENGINES) - 1)
        self.due_mu = t_mu + SLICE_MU if self.mask else None

    def poll(self, t_mu: int) -> None:
        """Take the frames that were read out up to `t_mu`."""
        if not self.mask or t_mu <= self._seen_mu:
            return
        if self._frames is None:
            frames = getattr(self._row.world, "frames", None)
            if frames is None:
                raise DeviceError(f"grabber `{self._row.key}`: this lab passes no camera frames on; keep its gate shut")
            self._frames = frames(self._row.key)
        for end_mu, image in self._frames(self._seen_mu, t_mu):
            gated = [n for n in range(_ENGINES) if self.mask >> n & 1]
            sums = [self._rois.sum(n, image >> self._shift) & ((1 << self._width) - 1) for n in gated]
            words = [_signed(1 << self._width), *sums]
            self.fifo.extend((end_mu + _COARSE_MU * k, word) for k, word in enumerate(words))
        self._seen_mu = t_mu
        self.due_mu = t_mu + SLICE_MU


def _signed(word: int) -> int:
    """Return a word as RTIO's int32."""
    return word - (1 << 32) if word >> 31 else word


def _grabber(row: Row) -> tuple[GrabberRois, GrabberGate]:
    rois = GrabberRois(row)
    gate = GrabberGate(row, rois)
    row.claim(rois, "channel_base")
    row.claim(gate, "channel_base", 1)
    return rois, gate


SERVES = {"artiq.coredevice.grabber.Grabber": _grabber}
