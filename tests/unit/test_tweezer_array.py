"""The driver of the tweezer array: what it refuses before anything is sent, and grabber and camera on one frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_lab import ArrayLab
from artiq.language.core import delay_mu, kernel, now_mu
from artiq.language.environment import EnvExperiment, ProcessArgumentManager

from atomlink.errors import DataError, DeviceError, UsageError
from drivers.rtio.node import Node
from drivers.rtio.rearrangement import Target, plan
from drivers.rtio.tweezer_array import TweezerArray
from drivers.site_finder import SiteFinder, split_histogram

ROOT = Path(__file__).resolve().parents[2]


class Lab(EnvExperiment):
    """Alice's array, and kernels that use it."""

    def build(self) -> None:
        self.core = self.get_device("core")
        self.grabber = self.get_device("alice_grabber")
        self.tweezer = Node(self, "alice")
        self.array = TweezerArray(self, "alice", self.tweezer.imaging)
        self.array.set_size(32, 32)

    @kernel
    def begin(self):
        self.core.reset()
        self.tweezer.init()

    @kernel
    def load_and_look(self, x0, y0, x1, y1):
        """Load, gate one region, take a picture; the sum is left in `found`."""
        self.core.break_realtime()
        self.tweezer.imaging.load()
        self.grabber.setup_roi(0, x0, y0, x1, y1)
        self.grabber.gate_roi(1)
        delay_mu(1000)
        self.array.picture()
        found = [0]
        self.grabber.input_mu(found)
        self.core.wait_until_mu(now_mu())
        self.keep(found[0])

    def keep(self, total) -> None:
        self.total = total

    @kernel
    def play(self):
        self.array.play()


class Awg:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def write_segments(self, segments: Any) -> None:
        self.sent.append(segments)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    from artiq.master.databases import DatasetDB, DeviceDB
    from artiq.master.worker_db import DatasetManager, DeviceManager

    monkeypatch.setenv("ATOMLINK_SCENARIO", "array")
    monkeypatch.setenv("ATOMLINK_TARGET", "simulation")
    monkeypatch.chdir(tmp_path)
    devices = DeviceManager(DeviceDB(str(ROOT / "device_db.py")))
    datasets = DatasetManager(DatasetDB(str(tmp_path / "dataset_db.mdb")))
    made = Lab((devices, datasets, ProcessArgumentManager({}), {}))
    made.array.awg = Awg()
    return made


def test_nothing_queued_is_refused_before_the_trigger(lab: Lab) -> None:
    lab.call_child_method("prepare")
    with pytest.raises(DeviceError, match="no move is queued"):
        lab.play()
    assert lab.array.awg.sent == []


@pytest.mark.parametrize(("name", "value", "message"), [
    ("param.alice.f_row_site_hz", 2e6, "MHz, but the axis deflects"),
    ("param.alice.a_tone", 0.2, "sum must be at most"),
])  # fmt: skip
def test_a_plan_beyond_the_band_or_the_amplitude_is_refused_whole(
    lab: Lab, name: str, value: float, message: str
) -> None:
    lab.set_dataset(name, value)
    lab.call_child_method("prepare")
    occupied = np.random.default_rng(1).random((32, 32)) < 0.6
    with pytest.raises(DeviceError, match=message):
        lab.array.write(plan(occupied, Target.centred((32, 32), 20, 20)))
    assert not lab.array.more() and lab.array.awg.sent == []


def test_blocks_hold_as_many_moves_as_asked_and_no_more_tones_than_the_card_has(lab: Lab) -> None:
    lab.call_child_method("prepare")
    occupied = np.random.default_rng(1).random((32, 32)) < 0.6
    duration_s = lab.array.write(plan(occupied, Target.centred((32, 32), 22, 22)), 4)
    sizes = [len(block) for block in lab.array.blocks]
    assert set(sizes[:-1]) == {12} and 0 < sizes[-1] <= 12
    assert max(len(tones.start_hz) for block in lab.array.blocks for part in block for tones in part[1:]) <= 20
    total = sum(segment.duration_s for block in lab.array.blocks for segment in block)
    assert total == pytest.approx(duration_s)


def test_an_atom_is_carried_on_the_lanes_past_all_others(lab: Lab) -> None:
    """From five places of a full array to the port and back: nobody else is touched, 8 of 10 or more arrive."""
    lab.call_child_method("prepare")
    room = ArrayLab()
    arrived = 0
    everybody = [(row, column) for row in range(32) for column in range(32)]
    for site in ((9, 7), (31, 31), (0, 5), (31, 0), (1, 1)):
        room.only(*(place for place in everybody if place != (0, 0)))
        for start, stop in ((site, lab.array.port), (lab.array.port, site)):
            lab.array.carry(start, stop)
            room.play(lab.array.blocks.popleft())
            assert not room.array.occupied[start]
            arrived += bool(room.array.occupied[stop])
        others = [place for place in everybody if place not in ((0, 0), site)]
        assert all(room.array.occupied[place] for place in others)
    assert arrived >= 8  # one in 170 is lost at a hand-over


def test_an_atom_cannot_be_carried_outside_and_need_not_be_to_where_it_is(lab: Lab) -> None:
    lab.call_child_method("prepare")
    assert lab.array.carry((3, 3), (3, 3)) == 0 and not lab.array.more()
    with pytest.raises(UsageError, match=r"\(32, 0\)"):
        lab.array.carry((5, 7), (32, 0))


def test_camera_and_grabber_see_the_same_frame(lab: Lab) -> None:
    """The sum of one region in counts, from RTIO and from the frame."""
    del lab.array.awg
    lab.call_child_method("prepare")
    lab.array.connect()
    lab.array.arm_camera()
    lab.begin()
    x0, y0, x1, y1 = lab.array.finder.region(3, 4)
    assert x0 < 9 + 6 * 4 < x1 and y0 < 9 + 6 * 3 < y1
    lab.load_and_look(x0, y0, x1, y1)
    t_mu, image = lab.array.camera.read()
    assert round(float((image / 0.107 + 200)[y0:y1, x0:x1].sum(dtype=np.float64))) == lab.total
    frame = lab.core.world.nodes["alice"].tweezers.frames[t_mu]
    assert int(frame[y0:y1, x0:x1].sum()) == lab.total
    with pytest.raises(DeviceError, match="no frame came"):
        lab.array.camera.read(0.1)


def test_the_site_finder_is_unbiased_and_refuses_a_frame_that_is_too_small() -> None:
    """200 frames of known light, 4 sigma."""
    rng = np.random.default_rng(2)
    finder = SiteFinder(4, 5, (9.0, 9.0), 6.0, 0.9, 25.0, 0.2)
    down, across = finder._weights((36, 42))
    light = rng.uniform(0, 100, (4, 5))
    mean = down @ light @ across.T + 0.2
    found = np.array([finder.electrons(rng.poisson(mean) + rng.normal(0, 0.3, mean.shape)) for _ in range(200)])
    assert np.all(np.abs(found.mean(axis=0) - light) < 4 * found.std(axis=0) / np.sqrt(200) + 0.01 * light)
    with pytest.raises(DataError, match="need at least"):
        finder.electrons(np.zeros((10, 42)))
    with pytest.raises(UsageError):
        SiteFinder(0, 5, (9.0, 9.0), 6.0, 0.9, 25.0)


def test_a_histogram_is_split_between_its_peaks() -> None:
    values = [0.0, 1.0, -1.0, 99.0, 101.0, 100.0]
    assert split_histogram(values) == pytest.approx(50.0)
    with pytest.raises(DataError, match="alike"):
        split_histogram([1.0, 1.0])
