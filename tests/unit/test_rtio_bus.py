"""The bus: underflow, replacement, collision, order, input reads, overflow, bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from artiq.coredevice.exceptions import RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow
from rtio_lab import Counter, Gateware

from atomlink.errors import TimingError
from sim.rtio.bus import Bus
from sim.rtio.costs import Costs


def at(bus: Bus, t_mu: int, target: int, data: int = 1) -> None:
    bus.now = t_mu
    bus.output(target, data)


def seen(bus: Bus, channel: int = 0) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = bus.gateware.channels[channel].seen
    return found


@pytest.mark.parametrize("counter", [0, 7, 8, 1_000_003])
def test_underflow_begins_where_coarse_time_is_twelve_clocks_ahead_of_the_counter(counter: int) -> None:
    for ahead_mu in range(90, 115):
        bus = Bus(Gateware())
        bus.counter = counter
        late = (counter + ahead_mu) // 8 <= counter // 8 + 12
        if late:
            with pytest.raises(RTIOUnderflow):
                at(bus, counter + ahead_mu, 0)
        else:
            at(bus, counter + ahead_mu, 0)


def test_an_underflow_names_channel_time_and_slack() -> None:
    bus = Bus(Gateware())
    bus.counter = 1000
    with pytest.raises(RTIOUnderflow, match="^RTIO underflow at channel 0x0002:ttl2, 900 mu, slack -100 mu$"):
        at(bus, 900, 2 << 8)


def test_the_cost_of_an_event_passes_before_it_is_submitted() -> None:
    bus = Bus(Gateware(), Costs(event_mu=400))
    at(bus, 504, 0)
    assert bus.counter == 400
    with pytest.raises(RTIOUnderflow):
        at(bus, 903, 0)


def test_an_underflow_discards_its_event_and_later_ones_work() -> None:
    bus = Bus(Gateware())
    bus.counter = 1000
    with pytest.raises(RTIOUnderflow):
        at(bus, 1000, 0)
    at(bus, 2000, 0)
    bus.finish()
    assert seen(bus) == [(2000, 0, 1)]


def test_events_take_effect_in_order_of_time_whatever_the_order_of_submission() -> None:
    bus = Bus(Gateware())
    times = [1000, 5000, 3000, 4000, 2000]
    for t_mu in times:
        at(bus, t_mu, 0, t_mu)
    bus.advance(3500)
    assert [t for t, _, _ in seen(bus)] == [1000, 2000, 3000]
    bus.finish()
    assert [t for t, _, _ in seen(bus)] == sorted(times)


def test_what_is_later_than_the_counter_stays_pending() -> None:
    bus = Bus(Gateware())
    at(bus, 1000, 0)
    at(bus, 2000, 0, 0)
    bus.wait_until(1500)
    assert bus.counter == 1500
    assert seen(bus) == [(1000, 0, 1)]


def test_a_later_event_of_the_same_channel_time_and_address_replaces_the_earlier() -> None:
    bus = Bus(Gateware())
    for data in (1, 0, 1):
        at(bus, 1000, 0, data)
    bus.finish()
    assert seen(bus) == [(1000, 0, 1)]
    assert bus.errors["collision"] == 0


@pytest.mark.parametrize(("t_mu", "address"), [(1003, 0), (1000, 1)])
def test_events_of_one_channel_and_coarse_clock_collide_and_all_are_dropped(t_mu: int, address: int) -> None:
    bus = Bus(Gateware())
    at(bus, 1000, 0)
    at(bus, t_mu, address)
    at(bus, 1000, 1 << 8)
    bus.finish()
    assert seen(bus) == []
    assert seen(bus, 1) == [(1000, 0, 1)]
    assert bus.errors["collision"] == 1


def test_an_event_for_a_channel_that_does_not_exist_says_destination_unreachable() -> None:
    with pytest.raises(RTIODestinationUnreachable, match="0x0063:unknown"):
        at(Bus(Gateware()), 1000, 99 << 8)


def test_a_wide_event_arrives_as_a_list() -> None:
    bus = Bus(Gateware())
    bus.now = 1000
    bus.output_wide(0, [1, 2, 3])
    bus.finish()
    assert seen(bus) == [(1000, 0, [1, 2, 3])]


def gate(bus: Bus, start: int, stop: int) -> None:
    at(bus, start, 3 << 8 | 2, 1)
    at(bus, stop, 3 << 8 | 2, 0)


def test_a_read_returns_each_click_in_the_gate_and_then_waits_for_the_time_out() -> None:
    bus = Bus(Gateware([500, 1200, 1800, 2500]))
    gate(bus, 1000, 2000)
    assert [bus.input_timestamp(2104, 3) for _ in range(3)] == [1200, 1800, -1]
    assert bus.counter == 2104


def test_nothing_later_than_the_event_that_a_read_returns_has_happened() -> None:
    bus = Bus(Gateware([1200]))
    gate(bus, 1000, 9000)
    for t_mu in range(1050, 1600, 100):
        at(bus, t_mu, 0, t_mu)
    assert bus.input_timestamp(9104, 3) == 1200
    assert bus.counter == 1200
    assert [t for t, _, _ in seen(bus)] == [1050, 1150]
    counter = bus.gateware.channels[3]
    assert isinstance(counter, Counter)
    assert max(counter.asked) == 1250


def test_an_input_fifo_that_overflowed_raises_once_and_then_gives_what_it_kept() -> None:
    bus = Bus(Gateware(list(range(1010, 1110))))
    gate(bus, 1000, 2000)
    bus.wait_until(3000)
    with pytest.raises(RTIOOverflow, match="^RTIO input overflow on channel 0x0003:ttl3$"):
        bus.input_timestamp(3000, 3)
    read = [bus.input_timestamp(3000, 3) for _ in range(65)]
    assert read == [*range(1010, 1074), -1]


def test_clicks_that_are_read_as_they_come_never_overflow() -> None:
    bus = Bus(Gateware(list(range(1010, 101_010, 1000))))
    gate(bus, 1000, 200_000)
    assert sum(bus.input_timestamp(200_104, 3) >= 0 for _ in range(101)) == 100


def test_a_read_that_would_wait_for_ever_is_refused() -> None:
    with pytest.raises(TimingError, match="would wait for ever"):
        Bus(Gateware()).input_data(3)


def test_a_reset_drops_what_is_pending_and_empties_the_inputs() -> None:
    bus = Bus(Gateware([1500]))
    gate(bus, 1000, 2000)
    at(bus, 9000, 0)
    bus.wait_until(3000)
    bus.reset()
    bus.finish()
    assert seen(bus) == []
    assert bus.input_timestamp(10_000, 3) == -1


def test_memory_stays_bounded_when_a_kernel_writes_and_never_reads() -> None:
    bus = Bus(Gateware())
    bus.gateware.channels[0].write = lambda t_mu, address, data: None
    tracemalloc.start()
    for n in range(60_000):
        at(bus, 1000 * (n + 1), 0, n)
        if n == 10_000:
            before = tracemalloc.get_traced_memory()[1]
    assert tracemalloc.get_traced_memory()[1] < 1.2 * before
    tracemalloc.stop()
    assert bus.counter >= 1000 * (60_000 - 130)  # the full lane held the CPU back


def test_random_traffic_takes_effect_sorted_and_complete() -> None:
    bus = Bus(Gateware())
    rng = random.Random(5)
    submitted = []
    for _ in range(2000):
        t_mu = bus.counter + 104 + 8 * rng.randrange(1, 400)
        before = bus.errors["sequence error"]
        at(bus, t_mu, rng.randrange(3) << 8, 1)
        if bus.errors["sequence error"] == before:
            submitted.append(t_mu)
        if rng.random() < 0.1:
            bus.advance(bus.counter + rng.randrange(2000))
    bus.finish()
    for channel in range(3):
        times = [t for t, _, _ in seen(bus, channel)]
        assert times == sorted(times)
        assert set(times) <= set(submitted)
    assert sum(len(seen(bus, channel)) for channel in range(3)) > 1000
