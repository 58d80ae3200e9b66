"""What a lab's network is made of, and what its links should give: a drawing, and a table from what the lab believes.

A link's prediction is the closed form of its heralds (`analysis.heralding`), with efficiencies, dark rate, gate and
visibility as believed; a station whose detectors see one of the four patterns has a quarter of the heralds. An attempt
takes pumping, the longer way of a photon, and the gate. The fidelity is that of new pairs: before the wait, the
rotations and the read-out (`analysis.budget` has these).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import heralding
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, styled
from atomlink.at_port import belief
from atomlink.topology import LinkSpec, Topology

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_NAME = 28
BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # of text that a line passes under
MOST_SAID = 4  # links told at a station


@dataclass(frozen=True)
class LinkForecast:
    """What a link should give: herald probability of an attempt, heralds per second of attempting, fidelity of new
    pairs; None where the station's scheme has no forecast yet.
    """

    link: LinkSpec
    probability: float | None
    herald_hz: float | None
    fidelity: float | None
    through: str  # the switch that one of its ways leads through, or ""
    memories: str = ""  # those behind its ports, whose efficiency is not in the numbers: its photons pass them


def forecasts(topology: Topology, beliefs: Mapping[str, float],
              links: Sequence[LinkSpec] | None = None) -> tuple[LinkForecast, ...]:  # fmt: skip
    """Return the forecast of every link of a lab, or of some; `beliefs` by the names of `drivers/parameters.py`."""
    return tuple(_forecast(topology, link, beliefs) for link in (topology.links if links is None else links))


def beliefs_of(link: LinkSpec) -> tuple[str, ...]:
    """Return the names of the beliefs that a link's forecast rests on."""
    return (
        *(link.of_station(key) for key in heralding.OF_STATION),
        *(link.of_channel(end, key) for end in range(2) for key in ("efficiency", "t_photon_s")),
        *(belief(atom, key) for atom in link.atoms for key in ("t_pump_s", "t_aom_s")),
    )


def _forecast(topology: Topology, link: LinkSpec, beliefs: Mapping[str, float]) -> LinkForecast:
    through, memories = _switch(topology, link), _memories(topology, link)
    station = topology.station(link.station)
    if station.scheme != "polarisation":
        return LinkForecast(link, None, None, None, through, memories)
    found = heralding.believed(link, station.scheme, station.roles, beliefs.__getitem__)
    photon_s = max(beliefs[link.of_channel(end, "t_photon_s")] for end in range(2))
    pump_s, gate_s = max(beliefs[belief(atom, "t_pump_s")] for atom in link.atoms), beliefs[link.of_station("t_gate_s")]
    back_s = max(0.0, photon_s - min(beliefs[belief(atom, "t_aom_s")] for atom in link.atoms))
    rate_hz = found.probability / (pump_s + photon_s + gate_s + back_s)
    return LinkForecast(link, found.probability, rate_hz, found.closed_form.fidelity, through, memories)


def _switch(topology: Topology, link: LinkSpec) -> str:
    ends = {port.key for port in link.ports}
    ways = (way for way in topology.channels if way.station == link.station and way.port in ends)
    return next((way.switch for way in ways if way.switch), "")


def _memories(topology: Topology, link: LinkSpec) -> str:
    ends = {port.key for port in link.ports}
    return ", ".join(memory.name for memory in topology.memories if memory.port in ends)


def table(found: tuple[LinkForecast, ...]) -> list[str]:
    """Return the lines of a table of links."""
    if not found:
        return ["no link: the network row of device_db.py has no station that two nodes reach"]
    lines = [f"{'link':{LONGEST_NAME}}  {'p(herald)':>9}  {'heralds/s':>9}  {'fidelity':>8}  switch"]
    if any(row.memories for row in found):
        lines[0] += "  memory"
    for row in found:
        numbers = ("-", "-", "-") if row.herald_hz is None or row.fidelity is None or row.probability is None else (
            f"{row.probability:.3g}", f"{row.herald_hz:.3g}", f"{row.fidelity:.3f}")  # fmt: skip
        through = f"{row.through:6}  {row.memories}" if row.memories else row.through
        told = f"{numbers[0]:>9}  {numbers[1]:>9}  {numbers[2]:>8}  {through}"
        lines.append(f"{row.link.name:{LONGEST_NAME}}  {told}")
    return [line.rstrip() for line in lines]


@styled
def figure(topology: Topology, found: tuple[LinkForecast, ...]) -> Figure:
    """Draw the nodes on a circle, each station between the ports that reach it, and what each link should give.

    A way through a switch is dashed, a memory in one a square.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    places = places_of(topology)
    for way in topology.channels:
        node, _, port = way.port.partition(".")
        (x0, y0), (x1, y1) = places[node], places[way.station]
        axes.plot([x0, x1], [y0, y1], color=PALE, lw=1.6, ls="--" if way.switch else "-", zorder=1)
        if len(topology.node(node).ports) > 1:
            axes.text(0.72 * x0 + 0.28 * x1, 0.72 * y0 + 0.28 * y1, port, fontsize=7, color=INK, ha="center",
                      bbox=BEHIND)  # fmt: skip
        for memory in topology.memories:
            if memory.port == way.port:
                x, y = 0.6 * x0 + 0.4 * x1, 0.6 * y0 + 0.4 * y1
                axes.plot([x], [y], "s", ms=9, color=ACCENT, zorder=2)
                axes.text(x, y - 0.09, memory.name, ha="center", va="top", fontsize=7, color=INK, bbox=BEHIND)
    for spec in topology.nodes:
        _mark(axes, places[spec.name], spec.name, "o", SIDE_COLOURS[0])
    for station in topology.stations:
        says = [f"{'–'.join(row.link.ends)}: {row.herald_hz:.3g} /s, F {row.fidelity:.3f}"
                for row in found if row.link.station == station.name and row.herald_hz is not None]  # fmt: skip
        more = [f"and {len(says) - MOST_SAID} more"] if len(says) > MOST_SAID else []
        _mark(axes, places[station.name], station.name, "D", SIDE_COLOURS[1], [*says[:MOST_SAID], *more])
    axes.set_axis_off()
    axes.set(aspect="equal", xlim=(-1.7, 1.7), ylim=(-1.35, 1.35))
    return figure


def places_of(topology: Topology) -> dict[str, tuple[float, float]]:
    """Return where nodes and stations are drawn; stations that would coincide are moved apart."""
    turns = np.arange(len(topology.nodes)) / len(topology.nodes)
    places = {name: (float(-np.cos(2 * np.pi * turn)), float(np.sin(2 * np.pi * turn)))
              for name, turn in zip(topology.node_names, turns, strict=True)}  # fmt: skip
    for station in topology.stations:
        around = [places[name] for name in topology.nodes_at(station.name)] or [(0.0, 0.0)]
        x, y = np.mean(around, axis=0)
        taken = [place for other, place in places.items() if other not in topology.nodes_at(station.name)]
        while any(abs(x - u) < 0.15 and abs(y - v) < 0.15 for u, v in taken):
            y -= 0.35
        places[station.name] = (float(x), float(y))
    return places


def _mark(
    axes: Axes, place: tuple[float, float], name: str, marker: str, colour: str, says: Sequence[str] = ()
) -> None:
    x, y = place
    axes.plot([x], [y], marker, ms=13, color=colour, zorder=2)
    axes.text(x, y + 0.13, name, ha="center", va="bottom", fontsize=9, color=INK, bbox=BEHIND)
    if says:
        axes.text(x, y - 0.15, "\n".join(says), ha="center", va="top", fontsize=7.5, color=ACCENT, bbox=BEHIND)
