"""The entangler's driver writes what its registers can hold, and refuses the rest before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from numpy import int64

from atomlink.errors import DeviceError, TimingError
from atomlink.signals import Cycle, CycleResult
from drivers.rtio.entangler import GATE0, REFERENCE, TIMEOUT, Entangler
from sim.gateware import Gateware
from sim.rtio.core import Core

DETECTORS = ("c_h", "c_v", "d_h", "d_v")
CHANNEL = 9


class World:
    """A world whose entangler port heralds in a given cycle, counted over all runs."""

    def __init__(self) -> None:
        self.cycles: list[Cycle] = []
        self.herald_at: int | None = None
        self.pattern = 0
        self.clicks_in_cycle = (-1, -1, -1, -1)
        self._played = 0

    def output(self, port: str, kind: str) -> Any:
        return self

    def advance(self, t_mu: int) -> None:
        pass

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        self.cycles.append(cycle)
        n = (t_end_mu - t_start_mu) // cycle.length_mu
        if self.herald_at is None or not self._played <= self.herald_at < self._played + n:
            self._played += n
            return CycleResult(n, 0, (-1, -1, -1, -1), t_start_mu + n * cycle.length_mu, n)
        n = self.herald_at - self._played + 1
        start = t_start_mu + (n - 1) * cycle.length_mu
        c_h, c_v, d_h, d_v = (start + t if t >= 0 else -1 for t in self.clicks_in_cycle)
        return CycleResult(n, self.pattern, (c_h, c_v, d_h, d_v), start + cycle.length_mu, n)


class Lab:
    """A core with the detectors and the entangler, and the driver on it."""

    def __init__(self) -> None:
        self.world = World()
        rows: dict[str, Any] = {
            name: {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLInOut", "arguments": {"channel": i}}
            for i, name in enumerate(DETECTORS)
        }
        arguments = {"channel": CHANNEL, "inputs": list(DETECTORS)}
        rows["entangler"] = {
            "type": "local", "module": "drivers.rtio.entangler", "class": "Entangler", "arguments": arguments,
        }  # fmt: skip
        self.core = Core(self, costs="ideal", gateware=Gateware(rows, self.world))
        self.written: list[tuple[int, int]] = []
        self.core.bus.on_event = lambda t_mu, target, data: self.written.append((target & 0xFF, data))
        self.core.bus.now = 1_000_000
        self.driver = Entangler(self, **arguments)

    def get(self, name: str) -> Any:
        assert name == "core"
        return self.core

    def program(self) -> None:
        """Program a cycle with output 1 as reference, four gates and two heralds."""
        driver = self.driver
        driver.init()
        driver.set_timing_mu(0, 0, 400)
        driver.set_timing_mu(1, 480, 560)
        for i in range(4):
            driver.set_timing_mu(GATE0 + i, 100, 300)
        driver.set_cycle_length_mu(1192)
        driver.set_heralds([0b0011, 0b1100, 0, 0])
        driver.set_config(True)


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_every_write_takes_one_coarse_clock(lab):
    before = lab.core.bus.now
    lab.driver.init()
    assert lab.core.bus.now - before == 8 * len(lab.written) == 80


def test_timing_words_hold_start_and_stop_plus_one(lab):
    lab.driver.set_timing_mu(1, 480, 560)
    lab.driver.set_timing_mu(GATE0 + 2, 100, 300)
    assert lab.written == [(9, 71 << 16 | 61), (14, 301 << 16 | 101)]


def test_heralds_are_nibbles_with_their_enables_and_zero_is_a_free_place(lab):
    lab.driver.set_heralds([0b0011, 0, 0b1001])
    assert lab.written == [(3, 0b0011 | 0b1001 << 8 | 0b101 << 16)]


def test_cycle_is_four_clocks_longer_than_asked(lab):
    lab.driver.set_cycle_length_mu(1192)
    assert lab.written == [(2, 149)]
    assert lab.driver.cycle_mu == 1224


@pytest.mark.parametrize(
    ("method", "arguments", "words"),
    [
        ("set_cycle_length_mu", (8192,), ["8192", "8184"]),
        ("set_cycle_length_mu", (110_000,), ["110000", "software"]),
        ("set_cycle_length_mu", (1196,), ["1196", "multiple of 8"]),
        ("set_timing_mu", (0, 4, 400), ["4 ... 400", "multiples of 8"]),
        ("set_timing_mu", (GATE0, 100, 16_383), ["16383", "16382"]),
        ("set_timing_mu", (GATE0, 300, 299), ["300 ... 299", "after its start"]),
        ("set_timing_mu", (GATE0, -1, 299), ["-1 ... 299"]),
        ("set_timing_mu", (8, 0, 8), ["output 8"]),
        ("set_timing_mu", (1, 0, 8 * 0x3FFF), ["stops at 131064"]),
        ("set_heralds", ([1, 2, 3, 4, 5],), ["5 herald patterns", "4"]),
        ("set_heralds", ([16],), ["is 16", "1 to 15"]),
        ("run_mu", (int64(7),), ["7 mu"]),
        ("run_mu", (int64(1) << 40,), ["1099511627776"]),
        ("get_timestamp_mu", (5,), ["input 5"]),
    ],
)
def test_what_a_register_cannot_hold_is_refused_and_nothing_is_written(lab, method, arguments, words):
    with pytest.raises(TimingError) as error:
        getattr(lab.driver, method)(*arguments)
    assert all(word in str(error.value) for word in words)
    assert lab.written == []


def test_enabling_refuses_gates_that_the_cycle_cuts(lab):
    lab.program()
    lab.driver.set_cycle_length_mu(480 + 304)
    with pytest.raises(TimingError, match="make the cycle longer"):
        lab.driver.set_config(True)


def test_enabling_refuses_gates_without_reference(lab):
    lab.program()
    lab.driver.set_off(1)
    with pytest.raises(TimingError, match="needs the reference pulse"):
        lab.driver.set_config(True)


def test_run_without_herald_times_out_at_a_cycles_end(lab):
    lab.program()
    start = int(lab.core.bus.now)
    end, reason = lab.driver.run_mu(int64(10 * 1224 - 8))
    assert (end - start, reason) == (10 * 1224, TIMEOUT)


def test_world_gets_the_programmed_cycle(lab):
    lab.program()
    lab.driver.run_mu(int64(1224))
    cycle = lab.world.cycles[0]
    (pump, _), (excite, excite_end) = cycle.outputs[:2]
    assert (cycle.length_mu, excite - pump, excite_end - excite) == (1224, 480, 80)
    assert cycle.gates == ((excite + 100, excite + 301),) * 4
    assert cycle.outputs[2:] == (None, None) and cycle.patterns == (0b0011, 0b1100)


def test_herald_gives_pattern_clicks_and_counters(lab):
    lab.program()
    lab.world.herald_at, lab.world.pattern, lab.world.clicks_in_cycle = 20, 0b1100, (-1, -1, 700, 712)
    start = int(lab.core.bus.now)
    end, reason = lab.driver.run_mu(int64(10**6))
    assert (end - start, reason) == (21 * 1224, 0b10)
    lab.core.break_realtime()
    assert lab.driver.get_click_mu(end, 2) == end - 1224 + 700
    lab.core.break_realtime()
    assert lab.driver.get_ncycles() == 21 == lab.driver.cycles_in(int64(end - start))
    lab.core.break_realtime()
    assert lab.driver.get_timestamp_mu(REFERENCE) == lab.world.cycles[0].outputs[1][0] - 24


def test_a_run_that_was_started_is_polled_until_it_answers(lab):
    lab.program()
    lab.world.herald_at, lab.world.pattern = 20, 0b1100
    start = int(lab.core.bus.now)
    lab.driver.start_mu(int64(10**6))
    assert lab.driver.poll_mu(int64(start + 10 * 1224)) == (-1, 0)
    assert lab.core.bus.counter >= start + 10 * 1224
    assert lab.driver.poll_mu(int64(start + 50 * 1224)) == (start + 21 * 1224, 0b10)
    assert lab.core.bus.counter <= start + 21 * 1224 + 1000


def test_stop_ends_a_run_with_the_cycle_under_way(lab):
    lab.program()
    start = int(lab.core.bus.now)
    lab.driver.start_mu(int64(10**6))
    assert lab.driver.poll_mu(int64(start + 10 * 1224)) == (-1, 0)
    lab.core.bus.now = lab.core.bus.counter + 2000
    stop = int(lab.core.bus.now)
    end, reason = lab.driver.stop_mu()
    assert reason == TIMEOUT and stop < end <= stop + 2 * 1224 and (end - start) % 1224 == 0
    lab.core.break_realtime()
    assert lab.driver.run_mu(int64(10 * 1224 - 8))[1] == TIMEOUT  # nothing is left in its input


def test_stop_after_the_end_returns_the_answer_that_waits(lab):
    lab.program()
    lab.world.herald_at, lab.world.pattern = 3, 0b0011
    start = int(lab.core.bus.now)
    lab.driver.start_mu(int64(10**6))
    lab.core.bus.now = start + 10**5
    lab.core.bus.advance(start + 10**5 - 2000)
    assert lab.driver.stop_mu() == (start + 4 * 1224, 0b01)


WRONG = [{"inputs": []}, {"inputs": [*DETECTORS, "e"]}, {"inputs": DETECTORS, "reference_output": 7}]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_row_is_refused(lab, arguments):
    with pytest.raises(DeviceError, match="channel 9"):
        Entangler(lab, CHANNEL, **arguments)
