"""The camera: driver and twin, and the driver against a source that fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atomlink.errors import DeviceError
from drivers.instruments.camera import Driver
from sim.instruments.camera import Refusal, Source, Twin
from sim.world import World, load_scenario


class Scripted:
    """A camera that answers as told."""

    def __init__(self, identity: str = "C15550", frame: Any = None) -> None:
        self._identity, self._frame, self.exposure, self.asked = identity, frame, 0.02, 0

    def identity(self) -> str:
        return self._identity

    def exposure_s(self) -> float:
        return self.exposure

    def set_exposure(self, exposure_s: float) -> None:
        self.asked += 1

    def arm(self, frames: int) -> None:
        self.asked += 1

    def frame(self, timeout_s: float) -> Any:
        return self._frame

    def close(self) -> None:
        pass


def opened(scenario: str = "array") -> tuple[World, Driver]:
    world = World(load_scenario(scenario), 1)
    twin = Twin(Twin.element_of(world, "alice_camera"), world.rng("test"))
    return world, Driver("alice_camera", Source(twin.handle)).open()


def test_the_exposure_is_set_and_read_back() -> None:
    world, camera = opened()
    camera.exposure_s = 5e-3
    assert camera.exposure_s == 5e-3 == world.nodes["alice"].tweezers.camera.exposure_s
    with pytest.raises(DeviceError, match="must be 1e-05 to 10 s"):
        camera.exposure_s = 20.0
    assert camera.exposure_s == 5e-3


def test_frames_come_in_order_and_only_those_that_were_asked_for() -> None:
    world, camera = opened()
    trigger = world.output("alice_camera_trigger", "level")
    for k in range(4):
        trigger(k * 30_000_000 + 10, 1)
        trigger(k * 30_000_000 + 100, 0)
        if k == 0:
            world.advance(30_000_000)
            camera.arm(2)
    world.advance(150_000_000)
    times = [camera.read()[0] for _ in range(2)]
    assert times == [30_000_010, 60_000_010]
    with pytest.raises(DeviceError, match="no frame came"):
        camera.read(0.1)


def test_counts_become_electrons_by_the_data_sheet() -> None:
    frame = (7, np.array([[200, 300]], dtype=np.uint16))
    t_mu, electrons = Driver("camera", Scripted(frame=frame)).open().read()
    assert t_mu == 7 and electrons == pytest.approx(np.array([[0.0, 10.7]]))


def test_another_instrument_at_the_address_is_refused() -> None:
    with pytest.raises(DeviceError, match="identifies as"):
        Driver("camera", Scripted(identity="a webcam")).open()


def test_an_exposure_that_does_not_take_is_an_error() -> None:
    with pytest.raises(DeviceError, match="reads back"):
        Driver("camera", Scripted()).open().exposure_s = 0.5


def test_out_of_range_is_refused_before_anything_is_sent() -> None:
    source = Scripted()
    camera = Driver("camera", source).open()
    for n in (0, 1001, "one"):
        with pytest.raises(DeviceError):
            camera.arm(n)  # type: ignore[arg-type]
    assert source.asked == 0


def test_a_node_without_an_array_says_so() -> None:
    _, camera = opened("default")
    with pytest.raises(DeviceError, match="scenario `array`"):
        camera.arm(1)


@pytest.mark.parametrize("request_", [None, "arm", ("arm", -1), ("set_exposure", "long"), ("dance", 1), ("arm", 1, 2)])
def test_the_twin_refuses_what_a_camera_does_not_take(request_: Any) -> None:
    world = World(load_scenario("array"), 1)
    assert isinstance(Twin(Twin.element_of(world, "alice_camera"), world.rng("test")).handle(request_), Refusal)


def test_real_hardware_needs_the_vendors_package() -> None:
    with pytest.raises(DeviceError, match="vendor's package"):
        Driver.connect("dcam:0")
