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


# What the core device's monitor sees, and what its injector holds


def test_an_override_holds_against_later_writes_and_gives_way_to_the_last_of_them():
    world, _, _, out = lab()
    written = out.writer(0)  # as the bus keeps it
    out.inject(10, 1, 1)
    assert out.probe(0) == 0  # a level alone holds nothing
    out.inject(20, 0, 1)
    written(30, 0, 1)
    written(40, 0, 0)
    assert (out.probe(0), out.injected(0), out.injected(1)) == (1, 1, 1)
    out.inject(50, 1, 0)
    written(60, 0, 1)
    assert out.probe(0) == 0
    out.inject(70, 0, 0)
    written(80, 0, 0)
    assert world.signals["out", "level"] == [(20, 1), (50, 0), (70, 1), (80, 0)]


def test_an_input_is_an_output_as_long_as_an_override_says_so():
    world, det, _, _ = lab()
    det.write(5, 0, 1)
    assert (det.probe(0), det.probe(1)) == (0, 0)
    det.inject(10, 1, 1)
    det.inject(20, 2, 1)
    det.inject(30, 0, 1)
    assert (det.probe(0), det.probe(1)) == (1, 1)
    det.write(40, 1, 1)
    det.inject(50, 2, 0)
    assert (det.probe(0), det.probe(1)) == (0, 0)
    det.inject(60, 0, 0)
    assert world.signals["det", "level"] == [(30, 1), (50, 0), (60, 1)]


def test_there_is_no_override_beyond_those_of_the_gateware():
    world, det, counter, out = lab()
    for peripheral in (det, counter, out):
        for number in (3, 7, 255):
            peripheral.inject(10, number, 1)
            assert (peripheral.injected(number), peripheral.probe(number)) == (0, 0)
    assert out.injected(2) == 0
    assert not world.signals


def test_power_up_lets_go_of_overrides_and_goes_low():
    world, det, _, out = lab(150)
    out.inject(1, 1, 1)
    out.inject(2, 0, 1)
    out.write(3, 0, 1)
    det.write(3, 1, 1)
    det.write(4, 0, 1)
    det.write(100, 2, 1)
    for peripheral in (det, out):
        peripheral.power_up(120)
        peripheral.poll(200)
        assert (peripheral.probe(0), peripheral.probe(1), peripheral.injected(0)) == (0, 0, 0)
    assert world.signals["out", "level"] == [(2, 1), (120, 0)]
    assert world.signals["det", "level"] == [(4, 1), (120, 0)]
    assert not det.fifo
