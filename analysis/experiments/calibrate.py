"""The calibration graph after a pass: ages, verdicts, what was done. Twin of experiments/calibration/calibrate.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analysis import schema
from analysis.estimates import Estimate
from analysis.figures import ACCENT, INK, PALE, canvas, styled
from analysis.layers import layered
from analysis.load import Run
from analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"in spec": "#4f8a5b", "out of spec": "#b8621b", "bad data": ACCENT}
WIDTH_IN, ROW_IN, BOX_IN = 9.6, 0.78, 2.2  # the width of a page; a wider graph has narrower boxes
HALF_X, HALF_Y = 0.44, 0.3  # of a box, in places of its row and in rows
CAPTION = ("What a node depends on lies above it. In a box: verdict, age of the last check, and for how long it is "
           "trusted; above it, in red, what this pass did.")  # fmt: skip
NEEDED = ("calibration.graph", "calibration.timeouts", "calibration.states", "calibration.visits")


def analyse(run: Run) -> Result:
    """Return how many nodes were checked, calibrated and left alone, and how long the pass took in the lab."""
    schema.require(run.datasets, NEEDED, "the analysis of a calibration pass")
    visits = json.loads(run.text("calibration.visits"))
    did = {action: sum(visit["action"] == action for visit in visits) for action in ("skip", "check", "measure")}
    estimates = {
        "left alone": Estimate(did["skip"], 0.0),
        "checks": Estimate(did["check"], 0.0),
        "calibrations": Estimate(did["measure"], 0.0),
        "lab time": Estimate(float(run.datasets.get("calibration.t_lab_s", 0.0)), 0.0, unit="s"),
    }
    notes = tuple(f"{v['node']}: {v['action']}, {v['verdict']}" + (f" ({v['detail']})" if v["detail"] else "")
                  for v in visits)  # fmt: skip
    target = run.text("calibration.target")
    return Result(f"Calibration of {target}" if target != "all" else "Calibration", estimates, notes=notes)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the graph: what a node depends on lies above it; colour says the verdict, a bar the age."""
    graph = json.loads(run.text("calibration.graph"))
    timeouts, states = json.loads(run.text("calibration.timeouts")), json.loads(run.text("calibration.states"))
    visits = json.loads(run.text("calibration.visits"))
    at, ways = layered(graph)
    rows, wide = 1 + max(y for _, y in at.values()), max(1.0, 2 * max(abs(x) for x, _ in at.values()) + 1)
    unit_in = min(BOX_IN, (WIDTH_IN - 0.3) / wide)  # of a place in a row
    drawing, (axes,) = canvas(run, WIDTH_IN, 0.3 + ROW_IN * rows)
    for way in ways.values():
        _draw_arrow(axes, way)
    for name in graph:
        _draw_node(axes, name, at[name], states.get(name), float(timeouts[name]), _deeds(visits, name))
    half = 0.5 * (WIDTH_IN - 0.3) / unit_in
    axes.set(xlim=(-half, half), ylim=(rows - 0.55, -0.55))
    axes.axis("off")
    return drawing


def _draw_arrow(axes: Any, way: list[tuple[float, float]]) -> None:
    """Draw an arrow from box to box, straight down beside those it passes."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = [(way[0][0], way[0][1] + HALF_Y)], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(way):
        upper, lower = y0 + HALF_Y, y1 - HALF_Y
        gap = lower - upper  # sideways in its upper part: in the lower one stands what was done with the node
        vertices += [(x0, upper + 0.45 * gap), (x1, upper + 0.1 * gap), (x1, lower)]
        codes += [Path.CURVE4] * 3
        if (x1, y1) != way[-1]:
            vertices.append((x1, y1 + HALF_Y))
            codes.append(Path.LINETO)
    axes.add_patch(FancyArrowPatch(path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=7, color=PALE, lw=1,
                                   zorder=0))  # fmt: skip


def _draw_node(
    axes: Any, name: str, at: tuple[float, float], state: Mapping[str, Any] | None, timeout_s: float, deeds: str
) -> None:
    from matplotlib.patches import Rectangle

    x, y = at
    colour = COLOURS.get(state["verdict"], PALE) if state else PALE
    axes.add_patch(Rectangle((x - HALF_X, y - HALF_Y), 2 * HALF_X, 2 * HALF_Y, fc="white", ec=colour, lw=1.4))
    age = f"{_span(state['age_s'])} of {_span(timeout_s)}" if state else "never"
    axes.text(x, y - 0.13, name, ha="center", va="center", fontsize=8.5, color=INK)
    axes.text(x, y + 0.07, f"{state['verdict'] if state else 'unknown'}, {age}", ha="center", va="center", fontsize=7,
              color=colour)  # fmt: skip
    used, bar = min(max(state["age_s"] / timeout_s, 0.0), 1.0) if state else 0.0, HALF_X - 0.04
    axes.plot((x - bar, x + bar), (y + 0.22, y + 0.22), color="#dde3e8", lw=2, solid_capstyle="butt")
    axes.plot((x - bar, x - bar + 2 * bar * used), (y + 0.22, y + 0.22), color=colour, lw=2, solid_capstyle="butt")
    if deeds:
        axes.text(x + HALF_X, y - HALF_Y - 0.02, deeds, ha="right", va="bottom", fontsize=7, color=ACCENT)


def _deeds(visits: list[dict[str, Any]], name: str) -> str:
    return ", ".join(visit["action"] for visit in visits if visit["node"] == name and visit["action"] != "skip")


def children(run: Run) -> list[tuple[str, Run]]:
    """Return the runs within a pass in their order: (node and action, the run as its own twin takes it)."""
    found = []
    visits = json.loads(run.text("calibration.visits", "[]"))
    for label in dict.fromkeys(f"{visit['node']}.{visit['action']}" for visit in visits):
        prefix = f"calibration.{label}."
        own = {key.removeprefix(prefix): value for key, value in run.datasets.items() if key.startswith(prefix)}
        if "class_name" in own:
            found.append((label, replace(run, class_name=str(own.pop("class_name")), datasets=own, archive={})))
    return found


def _span(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
