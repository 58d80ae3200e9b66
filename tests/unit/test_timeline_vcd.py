"""The value change dump: sorted whatever the order of arrival, bounded in memory, readable by VCD's own rules."""

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atomlink.signals import Cycle, CycleResult, Tone
from sim.gateware.ttl import Ttl, TtlInOut
from sim.rtio.vcd import Changes, SeenGates, SeenWorld


def read(text: str) -> dict[str, list[tuple[int, str]]]:
    """Read a VCD file by the words of its format: the changes of each variable by its full name."""
    words = iter(text.split())
    names: dict[str, str] = {}
    changes: dict[str, list[tuple[int, str]]] = {}
    scope: list[str] = []
    t = -1
    for word in words:
        if word in ("$comment", "$timescale", "$enddefinitions", "$upscope", "$scope", "$var"):
            inside = []
            while (following := next(words)) != "$end":
                inside.append(following)
            if word == "$scope":
                scope.append(inside[1])
            elif word == "$upscope":
                scope.pop()
            elif word == "$var":
                names[inside[2]] = ".".join([*scope, inside[3]])
                changes[names[inside[2]]] = []
        elif word[0] == "#":
            assert int(word[1:]) > t, "time goes backwards"
            t = int(word[1:])
        elif word[0] == "r":
            changes[names[next(words)]].append((t, word[1:]))
        elif word not in ("$dumpvars", "$end"):
            assert word[0] in "01", "PulseView stops at a vector of several bits"
            changes[names[word[1:]]].append((t, word[0]))
    assert not scope
    return changes


def written(changes: Changes, **how: Any) -> dict[str, list[tuple[int, str]]]:
    file = io.StringIO()
    changes.write(file, **how)
    changes.close()
    return read(file.getvalue())


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 3), st.sampled_from("01")), max_size=400),
    st.integers(1, 30),
)
def test_changes_come_out_in_order_of_time_whatever_fits_into_memory(
    given_changes: list[tuple[int, int, str]], at_once: int
) -> None:
    changes = Changes(sorted_at_once=at_once)
    for variable in range(4):
        changes.variable(f"line{variable}")
    for change in given_changes:
        changes.add(*change)
        assert len(changes._recent) < at_once or at_once == 1
    found = written(changes)
    for variable in range(4):
        expected = [(0, "0")]
        for t, _, value in sorted((c for c in given_changes if c[1] == variable), key=lambda c: c[0]):
            if value != expected[-1][1]:
                expected.append((t, value))
        alive = any(c[1] == variable for c in given_changes)
        assert found.get(f"lab.line{variable}") == (expected if alive else None)


def test_identifiers_of_many_variables_are_different() -> None:
    changes = Changes()
    for i in range(20_000):
        changes.add(1 + i, changes.variable(f"line{i}"), "1")
    found = written(changes)
    assert len(found) == 20_000
    assert all(found[f"lab.line{i}"] == [(0, "0"), (1 + i, "1")] for i in range(20_000))


def test_another_period_of_the_clock_is_written_in_picoseconds() -> None:
    changes = Changes()
    changes.add(5, changes.variable("line"), "1")
    file = io.StringIO()
    changes.write(file, ps_per_mu=800, end_mu=10)
    assert "$timescale 1 ps $end" in file.getvalue()
    assert read(file.getvalue())["lab.line"] == [(0, "0"), (4000, "1")]
    assert file.getvalue().endswith("#8000\n")


class World:
    """A world that only remembers what reaches it."""

    def __init__(self) -> None:
        self.reached: list[Any] = []

    def output(self, port: str, kind: str) -> Any:
        return Port() if kind == "entangler" else lambda t_mu, value: self.reached.append((port, t_mu, value))

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        return lambda start_mu, stop_mu: [t for t in (30, 70) if start_mu < t <= stop_mu]


class Port:
    outputs = "the cables"

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        return CycleResult(3, 0b1001, (t_start_mu + 40, -1, -1, t_start_mu + 41), t_start_mu + 60, 3)


def test_signals_reach_the_world_and_the_file() -> None:
    changes, world = Changes(), World()
    seen = SeenWorld(world, changes)
    tone = Tone(80e6, 0.5, 0.25, 10.0, True)
    seen.output("shutter", "level")(10, 1)
    seen.output("dds", "tone")(20, tone)
    seen.output("zotino/3", "voltage")(25, -1.5)
    assert world.reached == [("shutter", 10, 1), ("dds", 20, tone), ("zotino/3", 25, -1.5)]
    assert seen.clicks("pmt")(0, 50) == [30]
    found = written(changes)
    assert found["lab.shutter"] == [(0, "0"), (10, "1")]
    assert found["lab.dds.frequency_hz"] == [(0, "0.0"), (20, "80000000.0")]
    assert found["lab.dds.amplitude"] == [(0, "0.0"), (20, "0.5")]
    assert found["lab.dds.cpld_switch"] == [(0, "0"), (20, "1")]
    assert found["lab.zotino.channel_03_v"] == [(0, "0.0"), (25, "-1.5")]
    assert found["lab.pmt_click"] == [(0, "0"), (30, "1"), (31, "0")]


def test_a_run_of_the_entangler_shows_its_length_pattern_and_clicks() -> None:
    changes = Changes()
    port = SeenWorld(World(), changes).output("entangler", "entangler")
    assert port.outputs == "the cables"
    assert port.run(100, 1000, Cycle(60, (), (), (0b1001,))).cycles == 3
    found = written(changes)
    assert found["lab.entangler.running"] == [(0, "0"), (100, "1"), (160, "0")]
    patterns = [found[f"lab.entangler.pattern_{i}"] for i in range(4)]
    assert patterns == [[(0, "0"), (160, "1")], [(0, "0")], [(0, "0")], [(0, "0"), (160, "1")]]
    assert found["lab.entangler.input_0_click"] == [(0, "0"), (140, "1"), (141, "0")]
    assert found["lab.entangler.input_3_click"] == [(0, "0"), (141, "1"), (142, "0")]


def test_the_gate_of_an_input_is_the_register_that_opens_it() -> None:
    row: Any = None  # is looked at when there is something to drive
    gateware = SimpleNamespace(channels={3: TtlInOut(row), 1: Ttl(lambda _t_mu, _level: None)}, names={3: "pmt"})
    changes = Changes()
    gates = SeenGates(gateware, changes)
    for event in ((100, 3 << 8 | 2, 1), (150, 3 << 8 | 0, 1), (200, 3 << 8 | 2, 0), (300, 1 << 8 | 2, 1)):
        gates.event(*event)
    assert written(changes) == {"lab.pmt_gate": [(0, "0"), (100, "1"), (200, "0")]}
