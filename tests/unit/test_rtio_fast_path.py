"""The fast ways of the engine against the plain ones: bursts of output events, and counting in one call."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.experiment import at_mu, delay, delay_mu, kernel, now_mu, ns, us
from rtio_lab import Devices, Gateware

from sim.gateware.build import Gateware as RealGateware
from sim.rtio.burst import Step, burst
from sim.rtio.bus import Bus
from sim.rtio.costs import Costs, preset
from sim.rtio.counting import counting
from sim.rtio.lanes import Burst

PMT_ROW = {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLInOut", "arguments": {"channel": 3}}
TTL_ROW = {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 0}}


def one_by_one(bus: Bus, steps: list[Step]) -> None:
    """Do what a kernel does where a burst refuses."""
    for step in steps:
        bus.now += step.delay_mu
        if step.target is not None:
            bus.output(step.target, step.data)


def state(bus: Bus) -> tuple[Any, ...]:
    """Return what kernels and gateware can ever notice."""
    bus._take_bursts_apart()
    lanes = [(lane.barrier, lane.full(bus.counter), lane.n) for lane in bus._lanes.values()]
    pending = [(t_mu, effect[1:]) for t_mu, effect in bus.events[bus.head :]]
    seen = [getattr(peripheral, "seen", None) for peripheral in bus.gateware.channels.values()]
    return bus.now, bus.counter, bus.errors, bus.beyond, lanes, pending, seen


def random_steps(rng: random.Random) -> list[Step]:
    steps = [Step(rng.randrange(0, 300), rng.randrange(0, 3) << 8, rng.randrange(2))]
    for _ in range(rng.randrange(1, 6)):
        steps.append(Step(rng.choice((8, 8, 9, 50, 400, 3000)), rng.randrange(0, 3) << 8, rng.randrange(2)))
    return [*steps, Step(rng.randrange(0, 500))]


@pytest.mark.parametrize("costs", [Costs(), Costs(event_mu=400, input_mu=400), Costs(event_mu=7)])
@pytest.mark.parametrize("seed", range(4))
def test_bursts_leave_the_bus_as_single_events_do(seed: int, costs: Costs) -> None:
    rng, fast, plain = random.Random(seed), Bus(Gateware(), costs), Bus(Gateware(), costs)
    plans = [random_steps(rng) for _ in range(6)]
    submits = [burst(fast, plan) for plan in plans]
    taken = late = 0
    for _ in range(600):
        k, jump = rng.randrange(6), rng.choice((0, 0, 0, -900, 2000, 20_000))
        close = rng.choice((None, None, None, 0, 100))
        wait = rng.choice((0, 0, 700, 5000)) if rng.random() < 0.5 else None
        raised = []
        for bus in (fast, plain):
            bus.now = max(bus.now, bus.counter) + jump if close is None else bus.counter + close
            try:
                if bus is fast and submits[k]():
                    taken += 1
                else:
                    one_by_one(bus, plans[k])
            except RTIOUnderflow as e:
                raised.append(str(e))
            if wait is not None:
                bus.wait_until(bus.counter + wait)
        late += len(raised)
        assert raised[:1] == raised[1:]
        assert (fast.now, fast.counter) == (plain.now, plain.counter)
        if rng.random() < 0.1:
            assert state(fast) == state(plain)
    fast.finish(), plain.finish()
    assert state(fast) == state(plain)
    assert taken > 30 and late > 20


class Clicks:
    """A world with clicks at given times."""

    def __init__(self, clicks: list[int]) -> None:
        self.clicks_mu, self.levels = clicks, []

    def output(self, port: str, kind: str) -> Callable[[int, Any], None]:
        return lambda t_mu, level: self.levels.append((t_mu, level))

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        return lambda start, stop: [t for t in self.clicks_mu if start < t <= stop]


def pair_of_buses(rng: random.Random, costs: Costs, kind: str) -> tuple[Bus, Bus]:
    """Return two equal laboratories whose input clicks in dense and sparse stretches."""
    clicks, t_mu = [], 0
    while t_mu < 1_200_000:
        step = rng.choice((8, 40, 400, 2000, 2000))  # the first overflows a FIFO
        for _ in range(rng.randrange(1, 100)):
            t_mu += step
            clicks.append(t_mu)

    def make() -> Bus:
        ttl = kind == "ttl"
        gateware: Any = RealGateware({"pmt": PMT_ROW, "ttl": TTL_ROW}, Clicks(clicks)) if ttl else Gateware(clicks)
        gateware.channels[3].may_run = kind == "may run"  # then the bus takes no short cut
        return Bus(gateware, costs)

    return make(), make()


@pytest.mark.parametrize("kind", ["ttl", "bare", "may run"])
@pytest.mark.parametrize("costs", [Costs(), Costs(event_mu=40, input_mu=400), Costs(event_mu=400, input_mu=3)])
@pytest.mark.parametrize("seed", range(3))
def test_counting_is_the_loop_of_reads(seed: int, costs: Costs, kind: str) -> None:
    rng = random.Random(seed)
    fast, plain = pair_of_buses(rng, costs, kind)
    count, loop = counting(fast, 3), lambda timeout: counted_by_loop(plain, timeout)
    gates = [[Step(300, 0, 1), Step(100, 0, 0), Step(50, 3 << 8 | 2, 1), Step(length, 3 << 8 | 2, 0)]
             for length in (60, 300, 2500, 6000)]  # fmt: skip
    submits = [burst(fast, gate) for gate in gates]
    overflows = total = 0
    while fast.counter < 1_180_000:
        k, late = rng.randrange(4), rng.choice((104, 104, 104, -200, -2000, 9000))
        n_gates, ahead, results = rng.choice((1, 1, 2)), rng.randrange(200, 3000), []
        for bus, read in ((fast, count), (plain, loop)):
            bus.now = max(bus.now, bus.counter) + 3000 + ahead
            for _ in range(n_gates):
                if not (bus is fast and submits[k]()):
                    one_by_one(bus, gates[k])
            try:
                results.append(read(max(0, bus.now + late)))
            except RTIOOverflow:
                results.append(-1)
        assert results[0] == results[1]
        assert (fast.now, fast.counter) == (plain.now, plain.counter)
        inputs = [bus.gateware.channels[3] for bus in (fast, plain)]
        assert list(inputs[0].fifo) == list(inputs[1].fifo)
        overflows, total = overflows + (results[0] < 0), total + max(0, results[0])
    assert state(fast) == state(plain)
    assert total > 50
    if costs.input_mu == 400 and seed == 0:
        assert overflows


def counted_by_loop(bus: Bus, timeout_mu: int) -> int:
    n = 0
    while bus.input_timestamp(timeout_mu, 3) >= 0:
        n += 1
    return n


class Interrupted(Clicks):
    """Clicks where somebody presses Ctrl-C while they are looked up, once."""

    pressed = False

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        look = super().clicks(port)

        def ask(start: int, stop: int) -> list[int]:
            if start > 40_000 and not self.pressed:
                self.pressed = True
                raise KeyboardInterrupt
            return look(start, stop)

        return ask


@pytest.mark.parametrize("clicks", [[], [9500, 19_600, 49_600, 59_500, 59_600, 79_610]])
def test_an_interrupt_during_a_gate_leaves_it_to_be_carried_out(clicks: list[int]) -> None:
    buses = [Bus(RealGateware({"pmt": PMT_ROW, "ttl": TTL_ROW}, Interrupted(clicks)), Costs(input_mu=40))
             for _ in range(2)]  # fmt: skip
    steps = [Step(300, 0, 1), Step(100, 0, 0), Step(50, 3 << 8 | 2, 1), Step(400, 3 << 8 | 2, 0)]
    submit, count = burst(buses[0], steps), counting(buses[0], 3)
    results: list[list[int | str]] = [[], []]
    for k in range(1, 10):
        for bus, got in zip(buses, results, strict=True):
            bus.now = 10_000 * k - 1000
            if not (bus is buses[0] and submit()):
                one_by_one(bus, steps)
            while True:
                try:
                    got.append(count(bus.now + 104) if bus is buses[0] else counted_by_loop(bus, bus.now + 104))
                    break
                except KeyboardInterrupt:
                    got.append("^C")
    assert results[0] == results[1]
    assert results[0].count("^C") == 1 and sum(n for n in results[0] if n != "^C") == len(clicks)
    assert state(buses[0]) == state(buses[1])


def test_a_count_goes_on_from_a_number_and_wraps_as_the_device_does() -> None:
    highest = 2**31 - 1
    for clicks, most, expected in (([500], highest, -highest - 1), ([500, 700], highest, -highest),
                                   ([500, 700], 2**63 - 1, highest + 2), ([], highest, highest)):  # fmt: skip
        bus = Bus(Gateware(clicks), Costs())
        bus.now = 400
        one_by_one(bus, [Step(0, 3 << 8 | 2, 1), Step(600, 3 << 8 | 2, 0)])
        assert counting(bus, 3, most)(2000, highest) == expected


class Kernels:
    kernel_invariants = {"core", "ttl", "other", "pmt"}

    def __init__(self, costs: str, clicks: list[int]) -> None:
        devices = Devices(costs, clicks)
        self.core, self.ttl, self.other = devices.core, devices.get("ttl0"), devices.get("ttl1")
        self.pmt = devices.get("pmt")
        self.caught = 0

    @kernel
    def work(self, n, pause_mu):
        self.core.break_realtime()
        total = 0
        for _ in range(n):
            delay_mu(pause_mu)
            self.ttl.pulse(1 * us)
            delay(100 * ns)
            self.other.pulse_mu(64)
            delay_mu(8)
            gate_end = self.pmt.gate_rising(2 * us)
            total += self.pmt.count(gate_end)
            total *= 3
        return total

    @kernel
    def nested(self, n, pause_mu):
        self.core.break_realtime()
        total = 0
        for _ in range(n):
            delay_mu(pause_mu)
            self.ttl.pulse(1 * us)
            delay(100 * ns)
            self.other.pulse_mu(64)
            delay_mu(8)
            total += self.pmt.count(self.pmt.gate_rising(2 * us))
            total *= 3
        return total

    @kernel
    def step(self, step_mu):
        delay_mu(step_mu)
        self.caught += 1
        return now_mu()

    @kernel
    def four(self, a, b, c, d):
        return [a, b, c, d][self.caught]

    @kernel
    def arguments(self, k):
        at_mu(1000)
        self.caught = k - 2
        return self.four(self.step(8), now_mu() + self.caught, self.step(64), now_mu() + self.caught)

    @kernel
    def late(self):
        self.core.break_realtime()
        for _ in range(400):
            self.ttl.on()
            delay_mu(200)
            self.ttl.off()
            delay_mu(100)

    @kernel
    def count_here(self, up_to_mu):
        n = 0
        try:
            while self.pmt.timestamp_mu(up_to_mu) >= 0:
                n += 1
        except RTIOOverflow:
            return -n
        return n


@pytest.mark.parametrize("costs", ["ideal", "kasli_soc"])
def test_a_kernel_does_the_same_whether_somebody_observes_the_bus_or_not(costs: str) -> None:
    clicks = sorted(random.Random(5).sample(range(1_000_000, 2_000_000), 3000))
    alone, observed = Kernels(costs, clicks), Kernels(costs, clicks)
    observed.core.bus.on_event = lambda t_mu, target, data: None
    for pause in (9000, 6000, 9001, 7999):
        assert alone.work(20, pause) == observed.work(20, pause)
        assert (alone.core.bus.now, alone.core.bus.counter) == (observed.core.bus.now, observed.core.bus.counter)
    alone.core.bus.finish(), observed.core.bus.finish()
    assert state(alone.core.bus) == state(observed.core.bus)


def test_counting_at_the_end_of_a_gate_in_one_expression_is_the_same() -> None:
    clicks = sorted(random.Random(5).sample(range(1_000_000, 2_000_000), 3000))
    apart, nested = Kernels("kasli_soc", clicks), Kernels("kasli_soc", clicks)
    for pause in (9000, 6000):
        assert apart.work(20, pause) == nested.nested(20, pause)
    assert state(apart.core.bus) == state(nested.core.bus)
    nested.nested(1, 9000)
    assert isinstance(nested.core.bus._lanes[0].queue[-1][1], Burst)


def test_calls_among_arguments_are_carried_out_from_left_to_right() -> None:
    kernels = Kernels("ideal", [])
    assert [kernels.arguments(k) for k in range(4)] == [1008, 1008, 1072, 1075]


def test_runs_of_events_become_bursts_and_go_as_one() -> None:
    kernels = Kernels("ideal", [])
    kernels.work(2, 9000)
    lanes = kernels.core.bus._lanes[0]
    before = lanes.n
    kernels.work(1, 9000)
    assert lanes.n == before + 6
    assert isinstance(lanes.queue[-1][1], Burst) and lanes.queue[-1][1].n == 6


def test_an_underflow_within_a_burst_is_raised_at_its_own_line() -> None:
    observed = Kernels("kasli_soc", [])
    observed.core.bus.on_event = lambda t_mu, target, data: None
    places = []
    for kernels in (Kernels("kasli_soc", []), observed):
        with pytest.raises(RTIOUnderflow) as failure:
            kernels.late()
        frames = traceback.extract_tb(failure.value.__traceback__)
        places.append(([(frame.lineno, frame.line) for frame in frames if frame.filename == __file__][-1],
                       str(failure.value), kernels.core.bus.now, kernels.core.bus.counter))  # fmt: skip
    assert places[0] == places[1]
    assert "self.ttl.o" in places[0][0][1]


def test_a_loop_that_may_be_seen_half_done_is_not_counted_in_one_call() -> None:
    kernels = Kernels("kasli_soc", list(range(130_000, 140_000, 10)))
    kernels.core.bus.now = 2_000_000
    assert kernels.count_here(3_000_000) == 0


def test_the_lane_counts_bursts_event_by_event() -> None:
    bus = Bus(Gateware(), preset("ideal"))
    steps = [Step(100, 0, 1), Step(100, 0, 0), Step(100, 0, 1)]
    bus.now = 10_000
    submit = burst(bus, steps)
    counters = []
    for _ in range(60):
        if not submit():
            one_by_one(bus, steps)
        counters.append(bus.counter)
    # The 128th event fills the lane: from then on each event waits for the oldest.
    assert [counter > 0 for counter in counters] == [3 * k >= 128 for k in range(1, 61)]
    assert all(later - earlier == 300 for earlier, later in pairwise(counters[43:]))
