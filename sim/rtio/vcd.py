"""A value change dump (VCD, IEEE 1364) of a simulated run, for GTKWave and PulseView.

What is seen is what passes between gateware and world (sim/gateware/README.md): levels, tones, voltages, clicks,
heralds; and from the bus the gates of inputs and the slack. A look at a detector comes later than what it sees, and the
slack of an event is told when the CPU writes it, so changes arrive out of order: they are sorted on disk, and memory
stays bounded however long the run is. There are no vectors of several bits: PulseView's reader (libsigrok 0.5.2) stops
at the first one; numbers it leaves out.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple

from atomlink.errors import DeviceError
from atomlink.signals import Cycle, CycleResult, Tone

SORTED_AT_ONCE = 1 << 17  # changes kept in memory
_MAX_RUNS = 128  # sorted runs on disk before they are merged into one; each is an open file
_PRINTABLE = [chr(code) for code in range(33, 127)]

Change = tuple[int, int, int, str]  # time, order of arrival, variable, value as VCD writes it


class Variable(NamedTuple):
    """One signal: the scopes it lies in, its name, and whether it is a number (else one bit)."""

    scope: tuple[str, ...]
    name: str
    kind: str  # "wire", "real"


def _code(index: int) -> str:
    """Return the short identifier of a variable."""
    code = ""
    while True:
        index, digit = divmod(index, len(_PRINTABLE))
        code += _PRINTABLE[digit]
        if not index:
            return code


class Changes:
    """Changes of variables in any order; `write` puts them into a VCD file in order of time."""

    def __init__(self, sorted_at_once: int = SORTED_AT_ONCE) -> None:
        self.variables: dict[Variable, int] = {}
        self.n = 0
        self._alive: set[int] = set()  # variables that changed after time 0
        self._limit = sorted_at_once
        self._recent: list[Change] = []
        self._runs: list[IO[str]] = []

    def variable(self, *scope_and_name: str, kind: str = "wire") -> int:
        """Return the number of a variable, the same for the same name."""
        *scope, name = scope_and_name
        return self.variables.setdefault(Variable(tuple(scope), name, kind), len(self.variables))

    def add(self, t_mu: int, variable: int, value: str) -> None:
        """Note that a variable has a value from a time on; `value` is as VCD writes it, without the identifier."""
        self.n += 1
        if t_mu > 0:
            self._alive.add(variable)
        self._recent.append((t_mu, self.n, variable, value))
        if len(self._recent) >= self._limit:
            self._to_disk()

    def add_real(self, t_mu: int, variable: int, value: float) -> None:
        """Note the value of a real variable; what is not finite has no place in a VCD and is left out."""
        if math.isfinite(value):
            self.add(t_mu, variable, f"r{float(value)!r} ")

    def write(self, file: IO[str], ps_per_mu: int = 1000, comments: Iterable[str] = (), end_mu: int = 0) -> int:
        """Write everything as a VCD file; return how many changes it has.

        Devices without a change are left out. The file goes on to `end_mu`, so that the last value has a length.
        """
        timescale, factor = ("1 ns", ps_per_mu // 1000) if ps_per_mu % 1000 == 0 else ("1 ps", ps_per_mu)
        shown = self._shown()
        file.writelines(self._header(shown, timescale, comments))
        values = {self.variables[variable]: _initial(variable) for variable in shown}
        codes = {number: _code(number) for number in values}
        file.write("$enddefinitions $end\n#0\n$dumpvars\n")
        file.writelines(f"{value}{codes[number]}\n" for number, value in values.items())
        file.write("$end\n")
        now, written = 0, 0
        for t_mu, _, number, value in self._merged():
            if values.get(number, value) == value:
                continue
            if t_mu * factor > now:
                now = t_mu * factor
                file.write(f"#{now}\n")
            values[number] = value
            file.write(f"{value}{codes[number]}\n")
            written += 1
        if end_mu * factor > now:
            file.write(f"#{end_mu * factor}\n")
        return written

    def in_order(self) -> Iterator[tuple[int, Variable, float]]:
        """Yield every change in order of time: (mu, variable, value)."""
        known = {number: variable for variable, number in self.variables.items()}
        for t_mu, _, number, value in self._merged():
            yield t_mu, known[number], float(value.strip("r "))

    def close(self) -> None:
        """Remove what lies on disk."""
        for run in self._runs:
            run.close()
        self._runs.clear()

    def _shown(self) -> list[Variable]:
        """Return the variables of devices at which something changed, in the order of the file."""
        alive = {_device(variable) for variable, number in self.variables.items() if number in self._alive}
        return sorted(variable for variable in self.variables if _device(variable) in alive)

    def _header(self, shown: Iterable[Variable], timescale: str, comments: Iterable[str]) -> Iterator[str]:
        for comment in comments:
            yield f"$comment {comment.replace('$', ' ')} $end\n"
        yield f"$timescale {timescale} $end\n$scope module lab $end\n"
        here: tuple[str, ...] = ()
        for variable in shown:
            same = next((i for i, pair in enumerate(zip(here, variable.scope, strict=False)) if pair[0] != pair[1]),
                        min(len(here), len(variable.scope)))  # fmt: skip
            yield "$upscope $end\n" * (len(here) - same)
            yield "".join(f"$scope module {name} $end\n" for name in variable.scope[same:])
            here = variable.scope
            width = 64 if variable.kind == "real" else 1
            yield f"$var {variable.kind} {width} {_code(self.variables[variable])} {variable.name} $end\n"
        yield "$upscope $end\n" * (1 + len(here))

    def _to_disk(self) -> None:
        self._recent.sort()
        self._runs.append(_run(self._recent))
        self._recent = []
        if len(self._runs) >= _MAX_RUNS:
            merged = _run(heapq.merge(*map(_read, self._runs)))
            self.close()
            self._runs.append(merged)

    def _merged(self) -> Iterator[Change]:
        self._recent.sort()
        return heapq.merge(*map(_read, self._runs), self._recent)


def _device(variable: Variable) -> tuple[str, ...]:
    return variable.scope or (variable.name,)


def _initial(variable: Variable) -> str:
    return "r0.0 " if variable.kind == "real" else "0"


def _run(changes: Iterable[Change]) -> IO[str]:
    """Write sorted changes to a temporary file that vanishes with its last user."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii", prefix="atomlink-"))
        file.writelines(f"{t_mu} {order} {variable} {value}\n" for t_mu, order, variable, value in changes)
        stack.pop_all()
    return file


def _read(file: IO[str]) -> Iterator[Change]:
    file.seek(0)
    for line in file:
        t_mu, order, variable, value = line[:-1].split(" ", 3)
        yield int(t_mu), int(order), int(variable), value


class SeenWorld:
    """A world whose ports are looked at: everything goes through unchanged, and into `changes`."""

    def __init__(self, world: Any, changes: Changes) -> None:
        self._world, self._changes = world, changes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def output(self, port: str, kind: str) -> Any:
        """Return the world's own port, seen."""
        sink = self._world.output(port, kind)
        if kind == "entangler":
            return SeenEntangler(sink, port, self._changes)
        see: Callable[[int, Any], None]
        if kind == "level":
            see = self._level(port)
        elif kind == "tone":
            see = self._tone(port)
        elif kind == "voltage":
            see = self._voltage(port)
        else:
            raise DeviceError(f"port `{port}` is of kind {kind!r}, which sim/rtio/vcd.py does not know yet")

        def seen(t_mu: int, value: Any) -> None:
            see(t_mu, value)
            sink(t_mu, value)

        return seen

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        """Return the world's own list of clicks, seen: only what a gate let through is asked for."""
        ask, changes = self._world.clicks(port), self._changes
        pulse = changes.variable(f"{port}_click")

        def seen(start_mu: int, stop_mu: int) -> list[int]:
            clicks: list[int] = ask(start_mu, stop_mu)
            for t_mu in clicks:
                _pulse(changes, t_mu, pulse)
            return clicks

        return seen

    def _level(self, port: str) -> Callable[[int, int], None]:
        changes, variable = self._changes, self._changes.variable(port)
        return lambda t_mu, level: changes.add(t_mu, variable, "1" if level else "0")

    def _tone(self, port: str) -> Callable[[int, Tone], None]:
        changes = self._changes
        names = ("frequency_hz", "amplitude", "phase_turns", "attenuation_db")
        variables = [changes.variable(port, name, kind="real") for name in names]
        switch = changes.variable(port, "cpld_switch")

        def see(t_mu: int, tone: Tone) -> None:
            for variable, name in zip(variables, names, strict=True):
                changes.add_real(t_mu, variable, getattr(tone, name))
            changes.add(t_mu, switch, "1" if tone.switch else "0")

        return see

    def _voltage(self, port: str) -> Callable[[int, float], None]:
        changes = self._changes
        card, _, channel = port.partition("/")
        variable = changes.variable(card, f"channel_{channel:0>2}_v", kind="real")
        return lambda t_mu, volts: changes.add_real(t_mu, variable, volts)


class SeenEntangler:
    """The entangler's port, seen: when it runs, its last cycle, the pattern that ended it, and the clicks in it.

    A stretch of cycles is asked for in one or several calls; each shows its own last cycle.
    """

    def __init__(self, port: Any, key: str, changes: Changes) -> None:
        self._port, self._changes = port, changes
        self._running = changes.variable(key, "running")
        self._pattern = [changes.variable(key, f"pattern_{i}") for i in range(4)]
        self._clicks = [changes.variable(key, f"input_{i}_click") for i in range(4)]
        self._outputs = [changes.variable(key, f"output_{i}") for i in range(4)]
        self._gates = [changes.variable(key, f"input_{i}_gate") for i in range(4)]
        self._last = changes.variable(key, "last_cycle")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        """Repeat a cycle, as the world does it."""
        result: CycleResult = self._port.run(t_start_mu, t_end_mu, cycle)
        changes = self._changes
        self._show(t_start_mu, 0)
        changes.add(t_start_mu, self._running, "1")
        changes.add(result.t_end_mu, self._running, "0")
        if result.cycles:
            self._show_cycle(result.t_end_mu - cycle.length_mu, cycle)
        if result.pattern:
            self._show(result.t_end_mu, result.pattern)
            for t_mu, variable in zip(result.timestamps_mu, self._clicks, strict=True):
                if t_mu >= 0:
                    _pulse(changes, t_mu, variable)
        return result

    def _show_cycle(self, start_mu: int, cycle: Cycle) -> None:
        windows = [*zip(self._outputs, cycle.outputs, strict=False), *zip(self._gates, cycle.gates, strict=False)]
        for variable, window in [*windows, (self._last, (0, cycle.length_mu))]:
            if window is not None:
                self._changes.add(start_mu + window[0], variable, "1")
                self._changes.add(start_mu + window[1], variable, "0")

    def _show(self, t_mu: int, pattern: int) -> None:
        for i, variable in enumerate(self._pattern):
            self._changes.add(t_mu, variable, str(pattern >> i & 1))


class SeenGates:
    """The gates of inputs, from the output events that open and shut them."""

    def __init__(self, gateware: Any, changes: Changes) -> None:
        from sim.gateware.edge_counter import EdgeCounter
        from sim.gateware.ttl import TtlInOut

        self._changes = changes
        self._gates: dict[int, int] = {}
        for channel, peripheral in gateware.channels.items():
            name = gateware.names.get(channel, f"channel_{channel:#x}")
            if isinstance(peripheral, TtlInOut):
                gate = changes.variable(f"{name}_gate")
                self._gates[channel << 8 | 2] = self._gates[channel << 8 | 3] = gate
            elif isinstance(peripheral, EdgeCounter):
                self._gates[channel << 8] = changes.variable(f"{name}_gate")

    def event(self, t_mu: int, target: int, data: int | list[int]) -> None:
        """Take an output event; in the registers of both kinds of input the two lowest bits open the gate."""
        gate = self._gates.get(target)
        if gate is not None and isinstance(data, int):
            self._changes.add(t_mu, gate, "1" if data & 3 else "0")


def _pulse(changes: Changes, t_mu: int, variable: int) -> None:
    """Note something that has no length as a pulse of 1 mu, which every viewer shows."""
    changes.add(t_mu, variable, "1")
    changes.add(t_mu + 1, variable, "0")
