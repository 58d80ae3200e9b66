"""TTL levels, gates and edge counters."""

import pytest
from gateware_lab import NotingWorld, row

from atomlink.errors import DeviceError
from sim.gateware import Gateware

DETECTOR_DB = {
    "det": row("ttl.TTLInOut", channel=0),
    "det_counter": row("edge_counter.EdgeCounter", channel=1),
    "out": row("ttl.TTLOut", channel=2),
}


def lab(*edges: int):
    world = NotingWorld({"det": list(edges)})
    gateware = Gateware(DETECTOR_DB, world)
    return world, gateware.channels[0], gateware.channels[1], gateware.channels[2]


def test_output_passes_on_changes_of_level_only():
    world, _, _, out = lab()
    for t_mu, level in ((10, 0), (20, 1), (30, 1), (40, 0)):
        out.write(t_mu, 0, level)
    assert world.signals["out", "level"] == [(20, 1), (40, 0)]


def test_gate_takes_the_clicks_between_its_ends():
    _, det, _, _ = lab(99, 100, 101, 200, 201)
    det.write(100, 2, 1)
    det.write(200, 2, 0)
    det.poll(10_000)
    assert list(det.fifo) == [(101, 1), (200, 1)]


def test_polls_ask_the_world_for_increasing_intervals_that_do_not_overlap():
    world, det, _, _ = lab(150)
    det.write(100, 2, 1)
    for t_mu in (120, 120, 160, 150):
        det.poll(t_mu)
    det.write(200, 2, 0)
    asked = world.asked["det"]
    assert asked == [(100, 120), (120, 160), (160, 200)]
    assert list(det.fifo) == [(150, 1)]


def test_closed_gate_asks_for_nothing_and_is_never_due():
    world, det, _, _ = lab(150)
    det.poll(1000)
    assert world.asked["det"] == [] and det.due_mu is None
    det.write(2000, 2, 1)
    assert det.due_mu is not None and det.due_mu > 2000


def test_what_nobody_reads_in_time_overflows():
    _, det, _, _ = lab(*range(1, 71))
    det.write(0, 2, 1)
    det.poll(70)
    det.settle(70)
    assert det.overflow and len(det.fifo) == det.fifo_depth == 64


def test_clicks_later_than_the_counter_do_not_overflow():
    _, det, _, _ = lab(*range(1, 1001))
    det.write(0, 2, 1)
    det.poll(1000)
    det.settle(60)
    assert not det.overflow and len(det.fifo) == 1000


def test_sample_reads_the_own_level_of_an_output_and_low_at_an_input():
    world, det, _, _ = lab()
    det.write(10, 3, 0)
    det.write(20, 1, 1)
    det.write(30, 0, 1)
    det.write(40, 3, 0)
    assert list(det.fifo) == [(10, 0), (40, 1)]
    assert world.signals["det", "level"] == [(30, 1)]


def test_unknown_register_is_refused():
    _, det, _, _ = lab()
    with pytest.raises(DeviceError, match="register 7"):
        det.write(0, 7, 1)


def test_falling_edges_are_refused_when_a_click_comes():
    _, det, _, _ = lab(50)
    det.write(0, 2, 2)
    with pytest.raises(DeviceError, match="rising edges"):
        det.poll(100)


def test_counter_counts_the_clicks_of_its_detector_in_its_gate():
    _, _, counter, _ = lab(50, 150, 160, 250)
    counter.write(100, 0, 9)
    counter.write(200, 0, 4)
    assert list(counter.fifo) == [(200, 2)]


def test_counter_and_input_see_the_same_clicks():
    _, det, counter, _ = lab(150, 160)
    counter.write(100, 0, 9)
    det.write(100, 2, 1)
    det.write(200, 2, 0)
    counter.write(200, 0, 4)
    assert counter.fifo[0][1] == len(det.fifo) == 2


def test_counter_adds_gates_up_until_it_is_cleared():
    _, _, counter, _ = lab(150, 350, 550)
    for t_mu, config in ((100, 9), (200, 0), (300, 1), (400, 4), (500, 9), (600, 4)):
        counter.write(t_mu, 0, config)
    assert [count for _, count in counter.fifo] == [2, 1]


def test_counter_saturates_at_the_width_of_its_register():
    world = NotingWorld({"det": list(range(1, 30))})
    device_db = {"det_counter": row("edge_counter.EdgeCounter", channel=1, gateware_width=5)}
    counter = Gateware(device_db, world).channels[1]
    counter.write(0, 0, 9)
    counter.write(100, 0, 4)
    assert counter.fifo[0][1] == 15
