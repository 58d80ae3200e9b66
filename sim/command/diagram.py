"""`atomlink timeline --figure`: the pulse diagram of the last shot of a run, as a physicist draws it.

One line for each beam, microwave and detector; filled boxes are light, hatched ones microwaves, open ones gates and
other lines, red bars clicks.
Within the attempts of the heralding gateware the last one is drawn. Time is not to scale, or a gate of 60 ns would
vanish beside an image of 10 ms: every interval between two edges is as wide as the logarithm of its length, which
stands below it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from atomlink.errors import UsageError
from atomlink.topology import PORT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.rtio.vcd import Changes, Variable

FORMATS = (".png", ".svg", ".pdf")
EXPOSURE_MU = 100_000    # a gate of at least so long is an image: a shot goes from one image to the next
MOST_EDGES = 48          # of a figure; what is between the first and the last of a longer shot is left out
FIRST_EDGES = 14
NARROWEST, DECADE = 0.45, 0.5  # width of an interval of 8 ns, and what each factor of 10 adds
HEIGHT = 0.62            # of a pulse within its row
FEW_CLICKS = 12          # drawn one by one; more are counted
KINDS = ("light", "microwave", "line", "detector", "attempts")
PALETTE = {"cooling": "#b3261e", "repump": "#d98a3d", "pumping": "#8a5fa8", "excitation": "#2b5c8a", "raman": "#3f8f6b",
           "pushout": "#a33a6f", "rydberg": "#4f6fb3"}  # fmt: skip
LIGHT, MICROWAVE, LINE, ATTEMPTS = "#5a7d9a", "#6b6f1d", "#9aa7b2", "#e9edf1"
NOT_DRAWN = re.compile(r"io_update|ldac|_clr$|slack|cpld|pattern_|channel_|_spi$")


class Pulse(NamedTuple):
    """A time in which a line is on."""

    start_mu: int
    stop_mu: int


@dataclass
class Row:
    """One line of the diagram."""

    name: str
    kind: str
    pulses: list[Pulse] = field(default_factory=list)
    clicks: list[int] = field(default_factory=list)
    since: int | None = None  # on, and not yet off

    def turn(self, t_mu: int, on: bool) -> None:
        """Note that the line is on or off from a time on."""
        if on and self.since is None:
            self.since = t_mu
        elif not on and self.since is not None:
            if t_mu > self.since:
                self.pulses.append(Pulse(self.since, t_mu))
            self.since = None

    def within(self, shot: Pulse) -> Row:
        """Return what lies in a shot, cut at its ends."""
        pulses = [*self.pulses, *([] if self.since is None else [Pulse(self.since, shot.stop_mu)])]
        cut = [Pulse(max(p.start_mu, shot.start_mu), min(p.stop_mu, shot.stop_mu)) for p in pulses]
        clicks = [t for t in self.clicks if shot.start_mu <= t <= shot.stop_mu]
        return Row(self.name, self.kind, [p for p in cut if p.stop_mu > p.start_mu], clicks)

    @property
    def colour(self) -> str:
        """Return the colour of its pulses."""
        own = next((colour for role, colour in PALETTE.items() if role in self.name), LIGHT)
        return {"light": own, "microwave": MICROWAVE, "attempts": ATTEMPTS}.get(self.kind, LINE)


class Wiring(NamedTuple):
    """Which beams ("node.role") each output of one heralding gateware switches, and which detector is at each input."""

    outputs: Sequence[Sequence[str]] = ()
    inputs: Sequence[str] = ()


Wirings = Mapping[str, Wiring]  # by the row of the device_db


def wirings_of(world: Any, device_db: Mapping[str, Any]) -> Wirings:
    """Return how the heralding gateware of a lab is wired; a world that does not tell has outputs by number."""
    rows = {key: row for key, row in device_db.items() if isinstance(row, dict) and row.get("class") == "Entangler"}
    outputs = getattr(getattr(world, "scenario", None), "entangler_outputs", ())
    stations = getattr(getattr(world, "topology", None), "stations", ())
    found = {}
    for key, row in rows.items():
        of_row = [beams for spec, beams in zip(stations, outputs, strict=False)
                  if spec.heralder == key or len(stations) == 1]  # fmt: skip
        found[key] = Wiring(of_row[0] if of_row else (), row.get("arguments", {}).get("inputs", ()))
    return found


def checked(path: Path) -> Path:
    """Return where the figure goes; UsageError where that is no image or cannot be written."""
    if path.suffix not in FORMATS:
        raise UsageError(f"--figure is {str(path)!r}, must end in one of: {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--figure is {str(path)!r}, but there is no folder {path.parent}")
    return path


def rows_of(changes: Changes, wirings: Wirings) -> list[Row]:
    """Return every line of a run, with all its pulses; light that is switched on at no amplitude is none."""
    rows: dict[str, Row] = {}
    level: dict[str, bool] = {}
    amplitude: dict[str, float] = {}
    for t_mu, variable, value in changes.in_order():
        if NOT_DRAWN.search(variable.name) or any(map(NOT_DRAWN.search, variable.scope)):
            continue
        if variable.kind == "real":
            if variable.name == "amplitude":
                beam = _beam(variable.scope[-1].replace("_dds_", "_sw_"))
                amplitude[beam] = value
                if beam in rows:
                    rows[beam].turn(t_mu, level.get(beam, False) and value > 0)
            continue
        for name, kind in _named(variable, wirings):
            row = rows.setdefault(name, Row(name, kind))
            if variable.name.endswith("_click"):
                row.clicks += [t_mu] if value else []
                continue
            level[name] = value > 0
            row.turn(t_mu, value > 0 and amplitude.get(name, 1.0) > 0)
    return list(rows.values())


def _named(variable: Variable, wirings: Wirings) -> Iterable[tuple[str, str]]:
    """Yield the lines that a variable drives: name, kind."""
    name = variable.name
    if variable.scope:
        kind, _, index = name.rpartition("_")
        wiring = wirings.get(variable.scope[-1], Wiring())
        if name == "last_cycle":
            yield "attempt", "attempts"
        elif kind == "output":
            beams = wiring.outputs[int(index)] if int(index) < len(wiring.outputs) else ()
            yield from ((_spelled(beam.replace(f".{PORT}.", ".")), "light") for beam in beams)
            if not beams:
                yield f"{variable.scope[-1]} output {index}", "line"
        elif name.startswith("input_"):
            k = int(name.split("_")[1])
            yield _spelled(wiring.inputs[k] if k < len(wiring.inputs) else f"input {k}"), "detector"
    elif name.endswith(("_click", "_gate")):
        yield _spelled(name.removesuffix("_click").removesuffix("_gate").removesuffix("_counter")), "detector"
    elif "_sw_" in name:
        yield _beam(name), "light"
    else:
        microwave = "mw" in name.split("_") or "microwave" in name
        yield _spelled(name.replace("mw_switch", "microwave")), "microwave" if microwave else "line"


def _beam(name: str) -> str:
    return _spelled(name.replace("_sw_", " "))


def _spelled(name: str) -> str:
    """Return the name of a line; the one port of a node is not named, as in the device_db."""
    return re.sub(r"[_.]", " ", name)


def last_shot(rows: Sequence[Row]) -> Pulse:
    """Return the time from the end of the last image but one, or from the beginning, to the end of all; one that
    still lasts ends with the run.
    """
    edges = sorted({t for row in rows for pulse in row.pulses for t in pulse} | {t for row in rows for t in row.clicks})
    if not edges:
        raise UsageError("nothing was switched, opened or seen: there is no pulse diagram of such a run")
    images = sorted(pulse for row in rows if row.kind == "detector" or "camera" in row.name for pulse in row.pulses
                    if pulse.stop_mu - pulse.start_mu >= EXPOSURE_MU)  # fmt: skip
    ends = sorted({pulse.stop_mu for pulse in images})
    if not ends:
        return Pulse(edges[max(0, len(edges) - MOST_EDGES)], edges[-1])
    last = max(pulse.start_mu for pulse in images if pulse.stop_mu == ends[-1])
    earlier = [end for end in ends if end < last]
    return Pulse(earlier[-1] if earlier else edges[0], ends[-1])


class Axis:
    """The time of a shot on paper: `place(t_mu)`; `intervals` between edges, None for one that is left out."""

    def __init__(self, edges: Sequence[int]) -> None:
        self.edges = list(edges)
        self.left_out: int | None = None
        if len(edges) > MOST_EDGES:
            self.edges = [*edges[:FIRST_EDGES], *edges[FIRST_EDGES - MOST_EDGES :]]
            self.left_out = FIRST_EDGES - 1
        self.places = [0.0]
        for k, (a, b) in enumerate(pairwise(self.edges)):
            wide = NARROWEST + DECADE * max(0.0, math.log10(max(b - a, 1) / 8))
            self.places.append(self.places[-1] + (1.0 if k == self.left_out else wide))

    def whole(self, pulse: Pulse) -> bool:
        """Return whether nothing of a pulse is left out."""
        if self.left_out is None:
            return True
        return pulse.stop_mu <= self.edges[self.left_out] or pulse.start_mu >= self.edges[self.left_out + 1]

    def place(self, t_mu: int) -> float:
        """Return where a time is drawn; linear within an interval."""
        import numpy as np

        return float(np.interp(t_mu, self.edges, self.places))


def draw(rows: Sequence[Row], shot: Pulse, title: str, ns_per_mu: float) -> Figure:
    """Draw the lines of one shot."""
    from analysis.figures import styled

    return styled(_draw)(rows, shot, title, ns_per_mu)


def _draw(rows: Sequence[Row], shot: Pulse, title: str, ns_per_mu: float) -> Figure:
    from matplotlib.figure import Figure

    shown = [cut for cut in (row.within(shot) for row in rows) if cut.pulses or cut.clicks]
    bands = [pulse for row in shown if row.kind == "attempts" for pulse in row.pulses]
    lines = sorted((row for row in shown if row.kind != "attempts"), key=_order)
    edges = {shot.start_mu, shot.stop_mu} | {t for row in shown for pulse in row.pulses for t in pulse}
    axis = Axis(sorted(edges))
    width = min(max(6.0, 1.9 + 0.235 * axis.places[-1]), 22.0)
    figure = Figure(figsize=(width, 1.25 + 0.235 * len(lines)), layout="constrained")
    axes = figure.subplots()
    _frame(axes, axis, lines, bands, ns_per_mu)
    for k, row in enumerate(lines):
        _line(axes, axis, row, -k)
    axes.set_title(title, fontsize=8.5)
    return figure


def _order(row: Row) -> tuple[int, int, str, str]:
    node, _, role = row.name.partition(" ")
    roles = list(PALETTE)
    rank = next((k for k, known in enumerate(roles) if known in role), len(roles))
    return KINDS.index(row.kind), rank, role, node


def _frame(axes: Axes, axis: Axis, lines: Sequence[Row], bands: Sequence[Pulse], ns_per_mu: float) -> None:
    low, high = 0.6 - len(lines), 0.75
    for band in bands:
        a, b = axis.place(band.start_mu), axis.place(band.stop_mu)
        axes.axvspan(a, b, color=ATTEMPTS, lw=0, zorder=0)
        if axis.whole(band):
            axes.text((a + b) / 2, high, "last attempt of the gateware", ha="center", va="bottom", fontsize=6.5)
    for k, (a, b) in enumerate(pairwise(axis.edges)):
        left, right = axis.places[k], axis.places[k + 1]
        axes.axvline(left, color=LINE, lw=0.35, ls=(0, (1, 2)), zorder=0)
        said = "⋯" if k == axis.left_out else duration((b - a) * ns_per_mu)
        axes.text((left + right) / 2, low - 0.1, said, rotation=90, ha="center", va="top", fontsize=6)
        if k == axis.left_out:
            axes.axvspan(left, right, color="white", zorder=3)
            axes.text((left + right) / 2, low / 2, "⋯", ha="center", va="center", fontsize=12, zorder=4)
    axes.axvline(axis.places[-1], color=LINE, lw=0.35, ls=(0, (1, 2)), zorder=0)
    axes.set(xlim=(0, axis.places[-1]), ylim=(low - 1.9, high + 0.5), xticks=[],
             yticks=[0.22 - k for k in range(len(lines))], yticklabels=[row.name for row in lines])  # fmt: skip
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xlabel("time between two edges; its width is the logarithm of its length", fontsize=7)


def _line(axes: Axes, axis: Axis, row: Row, base: float) -> None:
    """Draw one line: its pulses as boxes on a base line, its clicks as bars."""
    axes.plot([0, axis.places[-1]], [base, base], color=LINE, lw=0.5, zorder=1)
    for pulse in row.pulses:
        a, b = axis.place(pulse.start_mu), axis.place(pulse.stop_mu)
        look: dict[str, Any] = {"fc": row.colour, "ec": row.colour, "alpha": 0.85}
        if row.kind in ("detector", "line"):
            look = {"fc": "white", "ec": "#22303c", "lw": 0.8}
        elif row.kind == "microwave":
            look = {"fc": "white", "ec": row.colour, "hatch": "/////", "lw": 0.8}
        axes.bar(a, HEIGHT, b - a, base, align="edge", zorder=2, **look)
    for k, (a_mu, b_mu) in enumerate(pairwise(axis.edges)):
        here = [t for t in row.clicks if a_mu < t <= b_mu]
        if k == axis.left_out or not here:
            continue
        if len(here) <= FEW_CLICKS:
            axes.vlines([axis.place(t) for t in here], base, base + HEIGHT, color="#b3261e", lw=1.3, zorder=3)
        else:
            axes.text((axis.places[k] + axis.places[k + 1]) / 2, base + 0.1, f"{len(here)} clicks", ha="center",
                      fontsize=6.5, color="#b3261e", zorder=3)  # fmt: skip


def duration(ns: float) -> str:
    """Return a length of time with three digits: `1.2 µs`."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def write(path: Path, changes: Changes, wirings: Wirings, about: Mapping[str, Any], ns_per_mu: float) -> Pulse:
    """Draw the last shot of a run into a file and return its time."""
    rows = rows_of(changes, wirings)
    shot = last_shot(rows)
    title = (f"{about['name']}, run {about['rid']}: the last {duration((shot.stop_mu - shot.start_mu) * ns_per_mu)} "
             f"(scenario {about['scenario']}, seed {about['seed']})")  # fmt: skip
    figure = draw(rows, shot, title, ns_per_mu)
    from analysis.figures import as_png, as_svg

    if path.suffix == ".png":
        path.write_bytes(as_png(figure, 160))
    elif path.suffix == ".svg":
        path.write_text(as_svg(figure), encoding="utf-8")
    else:
        figure.savefig(path, metadata={"CreationDate": None})
    return shot
