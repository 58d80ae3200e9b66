"""`atomlink timeline`: run an experiment, write what happened as a VCD, and say where slack and time go."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from atomlink.errors import UsageError
from sim.command import diagram
from sim.command.paths import short

if TYPE_CHECKING:
    from sim.command.lab import Lab
    from sim.rtio.bus import Bus
    from sim.rtio.slack import LineSlack, Place

ROWS = 12  # of a table; the rest is summed up
SOURCE_WIDTH = 60
_PREFIX = re.compile(r"^_Kf\d+_")
_PULSEVIEW_SAMPLES = 100_000_000  # 0.8 GB in PulseView 0.4.2, measured


class WatchedRun(Protocol):
    """What is asked of the run that is looked at, `sim.runner.Run`."""

    lab: Lab
    file: Path
    path: Path | None
    watch: Any

    @property
    def rid(self) -> int:
        """Return the run's number."""

    @property
    def core_row(self) -> Any:
        """Return the device_db's row of the core device."""


class Timeline:
    """What `atomlink timeline` sees of a run: it makes the bus, and looks at the world's ports."""

    def __init__(self, run: WatchedRun, vcd: Path | None, figure: Path | None = None) -> None:
        from sim.rtio.slack import Ledger, Places
        from sim.rtio.vcd import Changes

        self._run, self._path = run, vcd
        self._figure = None if figure is None else diagram.checked(figure)
        self._device_db: Mapping[str, Any] = {}
        self._wirings: diagram.Wirings = {}
        self._file = None if vcd is None else _opened(vcd)
        self._ledger = Ledger(Places(run.file, run.lab.root, ()))
        self._changes = Changes()
        self._sources = Sources(run.lab.root)
        self._bus: Bus | None = None
        run.watch = self

    def start(self, core_row: Any, device_db: dict[str, Any]) -> None:
        """Refuse a lab that is not simulated; learn which folders hold drivers: those that device_db.py names."""
        from sim.rtio.slack import Places

        if not isinstance(core_row, dict) or core_row.get("module") != "sim.rtio.core":
            raise UsageError("timeline looks into the simulation, but the target is the hardware: set no target")
        packages = {str(row.get("module", "")).split(".")[0] for row in device_db.values() if isinstance(row, dict)}
        self._device_db = device_db
        root = self._run.lab.root
        self._ledger.places = Places(self._run.file, root, [root / name for name in packages if name])

    def world(self, world: Any) -> Any:
        """Return the world with its ports seen."""
        from sim.rtio.vcd import SeenWorld

        self._wirings = diagram.wirings_of(world, self._device_db)
        return SeenWorld(world, self._changes)

    def bus(self, gateware: Any, costs: Any, ref_multiplier: int) -> Bus:
        """Return a bus that keeps the books."""
        from sim.rtio.slack import WatchedBus
        from sim.rtio.vcd import SeenGates

        changes, slack = self._changes, self._changes.variable("slack_ns", kind="real")
        bus = WatchedBus(gateware, costs, ref_multiplier)
        bus.watch(
            self._ledger, lambda t_mu, mu: changes.add_real(t_mu, slack, mu), SeenGates(gateware, changes).event
        )
        self._bus = bus
        return bus

    def finish(self) -> None:
        """Write the VCD and print the tables; nothing where no kernel ever ran."""
        path = self._path or (None if self._run.path is None else self._run.path.with_suffix(".vcd"))
        if self._bus is None:
            print("timeline: no kernel ran, so there is nothing to show", file=sys.stderr)
        else:
            for line in self._report(self._bus):
                print(line)
            if path is not None:
                self._write(path, self._bus.counter)
            if self._figure is not None:
                self._draw(self._figure)
        self._changes.close()
        if self._file is not None:
            self._file.close()

    def _write(self, path: Path, end_mu: int) -> None:
        row = self._run.core_row["arguments"]
        comments = [f"atomlink timeline of {self._run.file.name}, run {self._run.rid}"]
        comments += [f"scenario {row.get('scenario')}, seed {row.get('seed')}, costs {row.get('costs')}"]
        file = _opened(path) if self._file is None else self._file
        with file:
            n = self._changes.write(file, round(row.get("ref_period", 1e-9) * 1e12), comments, end_mu)
        print(f"VCD: {short(path)} ({n} changes; gtkwave opens it, {_pulseview(end_mu)})")

    def _draw(self, path: Path) -> None:
        row = self._run.core_row["arguments"]
        about = {"name": self._run.file.stem, "rid": self._run.rid, **row}
        ns_per_mu = row.get("ref_period", 1e-9) * 1e9
        shot = diagram.write(path, self._changes, self._wirings, about, ns_per_mu)
        since = diagram.duration(shot.start_mu * ns_per_mu)
        print(f"pulse diagram: {short(path)} (the last shot, from {since} on)")

    # The report

    def _report(self, bus: Bus) -> Iterable[str]:
        ledger = self._ledger
        total = sum(ledger.owned.values())
        events = sum(line.events for line in ledger.lines.values())
        costs = self._run.core_row["arguments"].get("costs")
        yield f"\n{time_text(total)} of lab time, {events} output events, costs of `{costs}`"
        yield from table(
            "Where the time goes, by line of the experiment",
            ("share", "time", "line", "source"),
            _shares(ledger.owned, lambda place, _: (place.phase_file, place.phase_line), total, self._sources.line),
        )
        inner = {key: mu for key, mu in ledger.owned.items() if key[0].line}
        yield from table(
            "… by the line that calls a driver, and the method called",
            ("share", "time", "line", "method", "source"),
            _shares(inner, lambda place, _: (place.file, place.line, place.call), total, self._sources.line_and_call),
        )
        yield from table(
            "… by what is waited for",
            ("share", "time", "what"),
            _shares(ledger.owned, lambda _, what: what, total, lambda what: (_what(what),)),
        )
        yield from self._slack(bus)

    def _slack(self, bus: Bus) -> Iterable[str]:
        limit_mu = 13 * bus.ref_multiplier
        lines = _by_line(self._ledger.lines)
        tight = sorted(((key, s) for key, s in lines.items() if s.events), key=lambda item: item[1].least_mu)
        rows: list[tuple[str, ...]] = [
            (time_text(s.least_mu), bus.name(s.least_channel).partition(":")[2], time_text(s.least_at_mu),
             str(s.events), time_text(s.change_mu, sign=True), *self._sources.line(key)) for key, s in tight
        ]  # fmt: skip
        yield from table(
            f"Slack by source line, the least first (an event underflows below about {time_text(limit_mu)})",
            ("least", "device", "at", "events", "net change", "line", "source"), _capped(rows, "lines with more slack"),
        )  # fmt: skip
        falling = sorted((item for item in lines.items() if item[1].change_mu < 0), key=lambda item: item[1].change_mu)
        for key, slack in falling[:3]:
            yield f"slack shrinks by {time_text(-slack.change_mu)} at {': '.join(self._sources.line(key))}"
        for key, slack in lines.items():
            if slack.underflows:
                yield f"UNDERFLOW ({slack.underflows}) at {': '.join(self._sources.line(key))}"
        if not any(slack.underflows for slack in lines.values()):
            yield "no line underflows"


def _by_line(places: dict[Place, LineSlack]) -> dict[tuple[str, int], LineSlack]:
    """Sum the books of places over the lines of the lab's code that call drivers."""
    lines: dict[tuple[str, int], LineSlack] = {}
    for place, slack in places.items():
        key = place.file, place.line
        known = lines.get(key)
        if known is None:
            lines[key] = replace(slack)
            continue
        if slack.least_mu < known.least_mu:
            known.least_mu, known.least_at_mu = slack.least_mu, slack.least_at_mu
            known.least_channel = slack.least_channel
        known.events += slack.events
        known.gained_mu += slack.gained_mu
        known.lost_mu += slack.lost_mu
        known.underflows += slack.underflows
    return lines


def _shares(
    owned: dict[tuple[Place, str], int], group: Callable[[Place, str], Any], total: int, name: Callable[[Any], Any]
) -> list[tuple[str, ...]]:
    """Return the rows of a table: what owns how much, the largest first."""
    sums: dict[Any, int] = {}
    for (place, what), mu in owned.items():
        key = group(place, what)
        sums[key] = sums.get(key, 0) + mu
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    rows = [(f"{100 * mu / total:.1f} %", time_text(mu), *name(key)) for key, mu in ordered[:ROWS]]
    rest = sum(mu for _, mu in ordered[ROWS:])
    if rest:
        rows.append((f"{100 * rest / total:.1f} %", time_text(rest), f"{len(ordered) - ROWS} others"))
    return rows


def _capped(rows: list[tuple[str, ...]], what: str) -> list[tuple[str, ...]]:
    last = ("…", *[""] * (len(rows[0]) - 2), f"{len(rows) - ROWS} {what}") if len(rows) > ROWS else None
    return rows if last is None else [*rows[:ROWS], last]


def _what(what: str) -> str:
    return "the timeline: delays, pulses, gates" if what == "timeline" else what


@dataclass(frozen=True)
class Sources:
    """The lab's source lines, as tables show them."""

    root: Path

    def line(self, key: tuple[str, int]) -> tuple[str, str]:
        """Return a line's name and text."""
        file, line = key
        if not line:
            return "(the command)", "it starts `run` and ends the run"
        path = Path(file)
        name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        text = linecache.getline(file, line).strip()
        return f"{name}:{line}", text if len(text) <= SOURCE_WIDTH else text[: SOURCE_WIDTH - 1] + "…"

    def line_and_call(self, key: tuple[str, int, str]) -> tuple[str, str, str]:
        """Return a line's name, the driver's method that it calls, and its text."""
        place, text = self.line(key[:2])
        return place, _PREFIX.sub("", key[2]), text


def time_text(mu: int, sign: bool = False) -> str:
    """Return a duration in ns with the unit that reads best."""
    size = abs(mu)
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if size >= scale:
            return f"{mu / scale:{'+' if sign else ''}.3f} {unit}"
    return f"{mu:{'+' if sign else ''}d} ns"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Return a table as lines: drawn on a terminal, plain text otherwise."""
    if not rows:
        return
    filled = [tuple(row) + ("",) * (len(columns) - len(row)) for row in rows]
    yield ""
    if sys.stdout.isatty():
        yield from _drawn(title, columns, filled)
        return
    yield title
    widths = [max(len(row[i]) for row in (columns, *filled)) for i in range(len(columns) - 1)]
    for row in (columns, *filled):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()


def _drawn(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, title_justify="left")
    for column in columns:
        drawn.add_column(column, no_wrap=column != columns[-1])
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console()
    with console.capture() as capture:
        console.print(drawn)
    yield capture.get().rstrip("\n")


def _opened(path: Path) -> Any:
    try:
        return path.open("w", encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): name another file with --vcd") from error


def _pulseview(end_mu: int) -> str:
    """Say how PulseView opens a dump: it keeps every nanosecond of it in memory unless told otherwise."""
    step = 1
    while end_mu // step > _PULSEVIEW_SAMPLES:
        step *= 10
    return "and so does pulseview" if step == 1 else f"pulseview with -I vcd:downsample={step}"
