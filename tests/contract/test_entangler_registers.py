"""The entangler's registers: what its cycle is, when it stops, and what it answers. Facts of the public gateware."""

from __future__ import annotations

from typing import Any

import pytest

from atomlink.errors import DeviceError
from atomlink.signals import Cycle, CycleResult
from sim.gateware import Gateware

DETECTORS = ("c_h", "c_v", "d_h", "d_v")
M_END = 149
PERIOD_MU = 153 * 8
TIMED_OUT = 0x3FFF


class ScriptedPort:
    """A world whose cycle number `herald_at` (from 0, over all runs) shows `pattern`."""

    def __init__(self) -> None:
        self.herald_at: int | None = None
        self.pattern = 0
        self.timestamps_in_cycle = (-1, -1, -1, -1)
        self.calls: list[tuple[int, int, Cycle]] = []
        self._played = 0
        self.together: list[list[tuple[int, int]]] = []

    def run_beside(self, spans: Any) -> list[CycleResult]:
        """Play each alone up to the first herald, then all up to that time."""
        self.together.append([(start, end) for _, start, end, _ in spans])
        ends = [port.heralds_by(start, end, cycle) for port, start, end, cycle in spans]
        stop = min(ends)
        return [port.run(start, min(end, stop), cycle) for port, start, end, cycle in spans]

    def heralds_by(self, start: int, end: int, cycle: Cycle) -> int:
        """Return the end of the cycle that heralds between two times, or the end."""
        fit = (end - start) // cycle.length_mu
        if self.herald_at is None or not self._played <= self.herald_at < self._played + fit:
            return end
        return start + (self.herald_at - self._played + 1) * cycle.length_mu

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        self.calls.append((t_start_mu, t_end_mu, cycle))
        fit = (t_end_mu - t_start_mu) // cycle.length_mu
        if self.herald_at is None or not self._played <= self.herald_at < self._played + fit:
            self._played += fit
            return CycleResult(fit, 0, (-1, -1, -1, -1), t_start_mu + fit * cycle.length_mu, fit)
        cycles = self.herald_at - self._played + 1
        start = t_start_mu + (cycles - 1) * cycle.length_mu
        stamps = [start + t if t >= 0 else -1 for t in self.timestamps_in_cycle]
        self._played += cycles
        stamps4 = (stamps[0], stamps[1], stamps[2], stamps[3])
        return CycleResult(cycles, self.pattern, stamps4, start + cycle.length_mu, cycles)


class World:
    def __init__(self) -> None:
        self.port = ScriptedPort()

    def output(self, port: str, kind: str) -> Any:
        assert (port, kind) == ("entangler", "entangler")
        return self.port

    def clicks(self, port: str) -> Any:
        raise AssertionError("the entangler asks the world through its port only")


def device_db(**arguments: Any) -> dict[str, Any]:
    rows = {
        name: {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLInOut", "arguments": {"channel": i}}
        for i, name in enumerate(DETECTORS)
    }
    given = {"channel": 9, "inputs": list(DETECTORS)} | arguments
    rows["entangler"] = {"type": "local", "module": "drivers.rtio.entangler", "class": "Entangler", "arguments": given}
    return rows


def entangler(config: int = 0b111) -> tuple[Any, ScriptedPort]:
    """Return a peripheral with output 1 as reference, four gates, and heralds 0b0011 and 0b1100."""
    world = World()
    peripheral = Gateware(device_db(), world).channels[9]
    peripheral.write(0, 0, config)
    peripheral.write(0, 2, M_END)
    peripheral.write(0, 3, 0b0011 | 0b1100 << 4 | 0b11 << 16)
    for output, (start, stop) in enumerate(((0, 400), (480, 560), (480, 560), (None, None))):
        word = 0x3FFF3FFF if start is None else (stop // 8 + 1) << 16 | start // 8 + 1
        peripheral.write(0, 8 + output, word)
    for gate in range(4):
        peripheral.write(0, 12 + gate, (300 + 1) << 16 | 100 + 1)
    return peripheral, world.port


def pair() -> tuple[list[Any], list[ScriptedPort]]:
    """Return two programmed peripherals of one lab, which run side by side."""
    group: list[Any] = []
    found = [entangler() for _ in range(2)]
    for peripheral, _ in found:
        peripheral._all = group
        group.append(peripheral)
    return [peripheral for peripheral, _ in found], [port for _, port in found]


def read(peripheral: Any, t_mu: int, address: int) -> int:
    peripheral.write(t_mu, address, 0)
    return peripheral.fifo.pop()[1]


def test_cycle_takes_four_clocks_more_than_its_register():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, M_END * 10)
    peripheral.poll(100_000)
    assert port.calls[0][2].length_mu == PERIOD_MU == 1224


def test_outputs_follow_their_registers_relative_to_one_another():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    outputs = port.calls[0][2].outputs
    start = outputs[0][0]
    assert outputs == ((start, start + 400), (start + 480, start + 560), (start + 480, start + 560), None)


def test_gates_are_relative_to_the_reference_pulse():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    cycle = port.calls[0][2]
    reference = cycle.outputs[1][0]
    # t0 < t <= t1, both ends of the gateware's comparison included
    assert cycle.gates == ((reference + 100, reference + 301),) * 4


def test_stop_before_start_or_after_the_end_lasts_to_the_cycles_end():
    peripheral, port = entangler()
    peripheral.write(0, 8, (5 << 16) | 20)
    peripheral.write(0, 9, (1000 << 16) | 20)
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    assert [port.calls[0][2].outputs[i][1] for i in (0, 1)] == [PERIOD_MU, PERIOD_MU]


def test_start_after_the_end_gives_no_pulse_and_without_reference_no_gate():
    peripheral, port = entangler()
    peripheral.write(0, 9, (300 << 16) | 200)
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    assert port.calls[0][2].outputs[1] is None
    assert port.calls[0][2].gates == (None,) * 4


def test_disabled_outputs_stay_off():
    peripheral, port = entangler(config=0b110)
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    assert port.calls[0][2].outputs == (None,) * 4


def test_only_enabled_patterns_herald():
    peripheral, port = entangler()
    peripheral.write(0, 3, 0b0011 | 0b1100 << 4 | 1 << 17)
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    assert port.calls[0][2].patterns == (0b1100,)


def test_time_out_comes_at_the_end_of_the_cycle_in_which_the_time_runs_out():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 3 * 153 + 1)
    assert peripheral.running and peripheral.due_mu == 10_000 + 4 * PERIOD_MU
    peripheral.poll(10_000 + 4 * PERIOD_MU - 1)
    assert peripheral.running
    peripheral.poll(10_000 + 4 * PERIOD_MU)
    assert list(peripheral.fifo) == [(10_000 + 4 * PERIOD_MU, TIMED_OUT)]
    assert not peripheral.running and peripheral.due_mu is None


def test_herald_answers_with_the_matching_pattern_at_its_cycles_end():
    peripheral, port = entangler()
    port.herald_at, port.pattern, port.timestamps_in_cycle = 41, 0b1100, (-1, -1, 700, 712)
    peripheral.write(10_000, 1, 153 * 1000)
    peripheral.poll(1 << 40)
    assert list(peripheral.fifo) == [(10_000 + 42 * PERIOD_MU, 0b10)]
    peripheral.fifo.clear()
    assert read(peripheral, 10**6, 0x21) == read(peripheral, 10**6, 0x23) == 42
    # time stamps count from the counter's start, three clocks into the cycle
    assert [read(peripheral, 10**6, 0x28 + i) for i in (2, 3)] == [700 - 24, 712 - 24]


def test_reference_time_stamp_is_its_outputs_rise():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    assert read(peripheral, 10**6, 0x2C) == port.calls[0][2].outputs[1][0] - 24


def test_polls_in_between_play_the_cycles_that_have_ended_and_no_more():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 153 * 100)
    for t_mu in (10_000 + PERIOD_MU - 1, 10_000 + 5 * PERIOD_MU + 3, 10_000 + 5 * PERIOD_MU + 4, 1 << 40):
        peripheral.poll(t_mu)
    spans = [(start - 10_000, end - 10_000) for start, end, _ in port.calls]
    assert spans == [(0, 5 * PERIOD_MU), (5 * PERIOD_MU, 100 * PERIOD_MU)]


def test_register_written_during_a_run_acts_from_the_next_cycle_on():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 153 * 100)
    peripheral.write(10_000 + 2 * PERIOD_MU + 100, 3, 0)
    peripheral.poll(1 << 40)
    assert [cycle.patterns for _, _, cycle in port.calls] == [(0b0011, 0b1100), ()]


def test_cycle_counter_rolls_over_at_14_bits():
    peripheral, port = entangler()
    peripheral.write(0, 1, 153 * 20_000)
    peripheral.poll(1 << 40)
    assert read(peripheral, 1 << 41, 0x21) == 20_000 - 16_384


def test_status_tells_ready_success_and_time_out():
    peripheral, port = entangler()
    peripheral.write(10_000, 1, 153 * 10)
    assert read(peripheral, 10_100, 0x20) == 0b001
    peripheral.poll(1 << 40)
    assert read(peripheral, 10**6, 0x20) == 0b100
    port.herald_at, port.pattern = 10, 0b0011
    peripheral.write(2 * 10**6, 1, 153 * 10)
    peripheral.poll(2 * 10**6 + PERIOD_MU)
    assert read(peripheral, 2 * 10**6 + PERIOD_MU, 0x20) == 0b010


@pytest.mark.parametrize("config", [0b001, 0b011, 0b101])
def test_station_that_waits_for_a_partner_times_out_without_a_cycle(config):
    peripheral, port = entangler(config)
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(1 << 40)
    assert list(peripheral.fifo) == [(18_000, TIMED_OUT)]
    assert port.calls == []


def test_registers_hold_their_bits_and_no_more():
    peripheral, port = entangler()
    peripheral.write(0, 2, 0x400 | M_END)
    peripheral.write(10_000, 1, 1000)
    peripheral.poll(100_000)
    assert port.calls[0][2].length_mu == PERIOD_MU


def test_those_that_run_at_one_time_are_played_together():
    (one, other), (port, _) = pair()
    one.write(10_000, 1, 153 * 100)
    other.write(10_000 + 10 * PERIOD_MU, 1, 153 * 100)
    one.poll(10_000 + 30 * PERIOD_MU)
    start, end = 10_000, 10_000 + 30 * PERIOD_MU
    # Ten cycles alone, when the other's command came in the order of time, and from there on both in one call.
    assert port.together == [[(start, end), (start + 10 * PERIOD_MU, end)]]
    other.poll(end)
    assert len(port.together) == 1


def test_what_is_awaited_keeps_the_others_from_getting_ahead_of_its_answer():
    (one, other), (port, others) = pair()
    port.herald_at, port.pattern = 20, 0b0011
    for peripheral in (one, other):
        peripheral.write(10_000, 1, 153 * 100)
    herald = 10_000 + 21 * PERIOD_MU
    assert one.reach(10_000 + 90 * PERIOD_MU) == herald
    assert list(one.fifo) == [(herald, 0b01)] and not other.fifo and other.running
    assert max(end for _, end, _ in others.calls) == herald
    others.herald_at, others.pattern = 30, 0b1100
    other.poll(10_000 + 90 * PERIOD_MU)
    assert list(other.fifo) == [(10_000 + 31 * PERIOD_MU, 0b10)]


def test_run_command_during_a_run_sets_the_time_that_is_left_and_the_cycle_goes_on():
    peripheral, _ = entangler()
    peripheral.write(10_000, 1, 153 * 100)
    peripheral.write(10_000 + 2 * PERIOD_MU + 104, 1, 1)
    peripheral.poll(1 << 40)
    assert list(peripheral.fifo) == [(10_000 + 3 * PERIOD_MU, TIMED_OUT)]


@pytest.mark.parametrize("address", [4, 7, 0x30])
def test_register_that_is_not_there_is_refused(address):
    with pytest.raises(DeviceError, match="does not exist"):
        entangler()[0].write(0, address, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": []}, ["`inputs`", "one to four TTLInOut"]),
        ({"inputs": ["c_h", "c_v", "d_h", "nobody"]}, ["`inputs`", "'nobody'"]),
        ({"reference_output": 4}, ["`reference_output`", "0 to 3"]),
        ({"channel": 2}, ["`channel`", "`d_h`"]),
    ],
)
def test_wrong_row_is_refused_with_its_key(arguments, words):
    refusal = str(Gateware(device_db(**arguments), World()).refused["entangler"])
    assert all(word in refusal for word in ["`entangler`", *words])
