"""The grabber: regions, gate, and the words that its driver reads after a frame."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from artiq.language.core import kernel
from gateware_lab import row

from atomlink.errors import DeviceError
from sim.gateware import Gateware
from sim.rtio.core import Core

ROWS = {
    "grabber": row("grabber.Grabber", channel_base=1),
    "coarse_grabber": row("grabber.Grabber", channel_base=5, count_shift=4),
}
IMAGE = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16)
REGIONS = ((0, 0, 3, 2), (4, 5, 10, 9), (2, 3, 2, 8))


class Reader:
    """Reads a grabber in a kernel: lists come back from there by a call to the host alone."""

    def __init__(self, core: Core, grabber: Any) -> None:
        self.core, self.grabber, self.found = core, grabber, [0]

    def keep(self, found) -> None:  # type: ignore[no-untyped-def]
        self.found = found

    def read(self, n: int, timeout_mu: int = -1) -> list[int]:
        self.read_in_kernel([0] * n, timeout_mu)
        return self.found

    @kernel
    def read_in_kernel(self, found, timeout_mu):  # type: ignore[no-untyped-def]
        self.grabber.input_mu(found, timeout_mu)
        self.keep(found)


class Lab:
    """A core on two grabbers, and frames that are read out at given times."""

    def __init__(self) -> None:
        self.frames_mu: list[int] = []
        self.core = Core(self, costs="ideal", gateware=Gateware(ROWS, self))
        self._made: dict[str, Any] = {"core": self.core}
        self.core.break_realtime()

    def frames(self, port: str) -> Any:
        return lambda t0_mu, t1_mu: [(t_mu, IMAGE) for t_mu in self.frames_mu if t0_mu < t_mu <= t1_mu]

    def advance(self, t_mu: int) -> None:
        pass

    def get(self, name: str) -> Any:
        if name not in self._made:
            cls = getattr(importlib.import_module(ROWS[name]["module"]), ROWS[name]["class"])
            self._made[name] = cls(self, **ROWS[name]["arguments"])
        return self._made[name]

    def gated(self, name: str, mask: int) -> Reader:
        """Write the regions and open the gate."""
        grabber = self.get(name)
        for n, region in enumerate(REGIONS):
            grabber.setup_roi(n, *region)
        grabber.gate_roi(mask)
        return Reader(self.core, grabber)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def total(region: tuple[int, int, int, int]) -> int:
    x0, y0, x1, y1 = region
    return sum(int(IMAGE[y, x]) for y in range(y0, y1) for x in range(x0, x1))


def test_the_sums_of_the_gated_regions_come_after_the_frame(lab: Lab) -> None:
    grabber = lab.gated("grabber", 0b011)
    lab.frames_mu = [lab.core.bus.now + 3_000_000]
    found = grabber.read(2)
    assert found == [total(REGIONS[0]), total(REGIONS[1])]
    assert lab.core.bus.counter >= lab.frames_mu[0]


def test_an_empty_region_sums_to_nothing_and_a_shift_leaves_the_low_bits_out(lab: Lab) -> None:
    grabber = lab.gated("coarse_grabber", 0b110)
    lab.frames_mu = [lab.core.bus.now + 3_000_000]
    found = grabber.read(2)
    x0, y0, x1, y1 = REGIONS[1]
    assert found == [int((IMAGE[y0:y1, x0:x1] >> 4).sum()), 0]


def test_a_frame_that_does_not_come_times_out(lab: Lab) -> None:
    from artiq.coredevice.grabber import GrabberTimeoutException

    grabber = lab.gated("grabber", 0b001)
    with pytest.raises(GrabberTimeoutException):
        grabber.read(1, lab.core.bus.now + 5_000_000)


def test_a_shut_gate_passes_nothing(lab: Lab) -> None:
    from artiq.coredevice.grabber import GrabberTimeoutException

    grabber = lab.gated("grabber", 0)
    lab.frames_mu = [lab.core.bus.now + 1_000_000]
    with pytest.raises(GrabberTimeoutException):
        grabber.read(1, lab.core.bus.now + 5_000_000)


def test_a_list_of_the_wrong_length_is_out_of_sync_at_the_next_read(lab: Lab) -> None:
    from artiq.coredevice.grabber import OutOfSyncException

    grabber = lab.gated("grabber", 0b011)
    lab.frames_mu = [lab.core.bus.now + 1_000_000]
    grabber.read(1)
    with pytest.raises(OutOfSyncException):
        grabber.read(1)


def test_the_mask_of_the_moment_counts_when_two_frames_come(lab: Lab) -> None:
    grabber = lab.gated("grabber", 0b001)
    start = lab.core.bus.now
    lab.frames_mu = [start + 1_000_000, start + 3_000_000]
    lab.core.bus.now = start + 2_000_000
    grabber.grabber.gate_roi(0b010)
    assert (grabber.read(1), grabber.read(1)) == ([total(REGIONS[0])], [total(REGIONS[1])])


def test_a_region_beyond_the_sixteenth_is_refused(lab: Lab) -> None:
    lab.get("grabber").setup_roi(16, 0, 0, 1, 1)
    with pytest.raises(DeviceError, match="region 16"):
        lab.core.wait_until_mu(lab.core.bus.now)


def test_a_read_with_a_long_time_out_does_not_run_ahead_of_the_frame_that_it_gets(lab: Lab) -> None:
    """What a kernel does next, 125 us later, must still find the world before it."""
    asked: list[int] = []
    frames = lab.frames
    lab.frames = lambda port: lambda t0_mu, t1_mu: (asked.append(t1_mu), frames(port)(t0_mu, t1_mu))[1]  # type: ignore[method-assign]
    grabber = lab.gated("grabber", 0b001)
    start = lab.core.bus.now
    lab.frames_mu = [start + 700_000]
    grabber.read(1, start + 50_000_000)
    assert max(asked) <= start + 700_000 + 100_000 and lab.core.bus.counter < start + 1_000_000
