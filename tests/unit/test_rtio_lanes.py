"""The lanes of the event dispatcher against the rule, written out as plainly as it can be."""

from __future__ import annotations

import random

import pytest
from rtio_lab import Gateware

from sim.rtio.bus import Bus
from sim.rtio.lanes import Lanes


class Rule:
    """Strictly later than the last event: same lane; otherwise the next. Not later than that lane's last: lost."""

    def __init__(self) -> None:
        self.last = -1
        self.lanes = [-1] * 8
        self.current = 0

    def write(self, coarse: int) -> bool:
        lane = self.current if coarse > self.last else (self.current + 1) % 8
        if coarse <= self.lanes[lane]:
            return False
        self.current, self.last, self.lanes[lane] = lane, coarse, coarse
        return True


@pytest.mark.parametrize("seed", range(8))
def test_lanes_lose_exactly_the_events_that_the_rule_loses(seed: int) -> None:
    rng, rule, bus = random.Random(seed), Rule(), Bus(Gateware())
    bus.gateware.channels[0].write = lambda t_mu, address, data: None
    base, lost, expected = 1_000_000, [], []
    for n in range(1500):
        t_mu = base + rng.choice((1, 1, 1, 8, 40, 400, -8, -30, 0)) * rng.randrange(1, 60)
        if rng.random() < 0.7:
            base = t_mu = base + rng.randrange(1, 30)
        bus.counter = t_mu - 1000  # never an underflow, never a full lane
        bus.now = t_mu
        before = bus.errors["sequence error"]
        bus.output(0, 1)
        if bus.errors["sequence error"] > before:
            lost.append(n)
        if not rule.write(t_mu // 8):
            expected.append(n)
    assert lost == expected
    assert len(lost) > 10


def test_a_full_lane_holds_the_cpu_until_its_oldest_event_is_due() -> None:
    bus = Bus(Gateware())
    for n in range(128):
        bus.now = 10_000 + 100 * n
        bus.output(0, 1)
        assert bus.counter == (0 if n < 127 else 10_000)


def test_eight_lanes_hold_a_thousand_events_of_falling_time() -> None:
    bus = Bus(Gateware())
    for block in range(8):
        for n in range(127):
            bus.now = 10_000_000 - 100_000 * block + 100 * n
            bus.output(0, 1)
    assert bus.counter == 0
    assert bus.errors["sequence error"] == 0


def test_spread_goes_on_to_the_next_lane_after_a_full_one() -> None:
    lanes = Lanes(spread=True)
    first = lanes.queue
    first.extend(range(0, 1280, 10))
    lanes.n = len(first)
    assert lanes.full(-1) == 0
    lanes.overfull()
    assert lanes.switch(2007) is not first


def test_destinations_have_lanes_of_their_own() -> None:
    gateware = Gateware()
    gateware.channels[0x010000] = gateware.channels[1]
    bus = Bus(gateware)
    for t_mu in (5000, 4000, 3000, 2000, 1900, 1800, 1700, 1600, 1500, 1400):
        bus.now = t_mu
        bus.output(0, 1)
        bus.output(0x010000 << 8, 1)
    assert bus.errors["sequence error"] == 4  # the ninth and tenth event of each
