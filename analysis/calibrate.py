"""The calibration graph after a pass: ages, verdicts, what was done. Twin of experiments/calibration/calibrate.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis import schema
from analysis.estimates import Estimate
from analysis.figures import ACCENT, INK, PALE, STYLE, canvas
from analysis.load import Run
from analysis.result import Result

COLOURS = {"in spec": "#4f8a5b", "out of spec": "#b8621b", "bad data": ACCENT}
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


@mpl.rc_context(STYLE)
def figure(run: Run, result: Result) -> Figure:
    """Draw the graph: what a node depends on lies to its left; colour says the verdict, a bar the age."""
    graph = json.loads(run.text("calibration.graph"))
    timeouts, states = json.loads(run.text("calibration.timeouts")), json.loads(run.text("calibration.states"))
    visits = json.loads(run.text("calibration.visits"))
    at = _places(graph)
    columns, rows = 1 + max(x for x, _ in at.values()), 1 + max(y for _, y in at.values())
    drawing, (axes,) = canvas(run, max(4.8, 2.5 * columns), max(1.6, 0.95 * rows + 0.4))
    for name, depends in graph.items():
        for parent in depends:
            (x0, y0), (x1, y1) = at[parent], at[name]
            axes.annotate("", (x1 - 0.42, y1), (x0 + 0.42, y0), zorder=0,
                          arrowprops={"arrowstyle": "->", "color": PALE, "lw": 1})  # fmt: skip
    for name in graph:
        _draw_node(axes, name, at[name], states.get(name), float(timeouts[name]), _deeds(visits, name))
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.axis("off")
    return drawing


def _draw_node(
    axes: Any, name: str, at: tuple[int, int], state: Mapping[str, Any] | None, timeout_s: float, deeds: str
) -> None:
    x, y = at
    colour = COLOURS.get(state["verdict"], PALE) if state else PALE
    box = mpl.patches.FancyBboxPatch((x - 0.4, y - 0.3), 0.8, 0.6, boxstyle="round,pad=0.01,rounding_size=0.05",
                                     fc="white", ec=colour, lw=1.4)  # fmt: skip
    axes.add_patch(box)
    age = f"{_span(state['age_s'])} of {_span(timeout_s)}" if state else "never"
    axes.text(x, y - 0.13, name, ha="center", va="center", fontsize=7.5, color=INK)
    axes.text(x, y + 0.08, f"{state['verdict'] if state else 'unknown'}, {age}", ha="center", va="center", fontsize=6,
              color=colour)  # fmt: skip
    used = min(max(state["age_s"] / timeout_s, 0.0), 1.0) if state else 0.0
    axes.plot((x - 0.36, x + 0.36), (y + 0.22, y + 0.22), color="#dde3e8", lw=2, solid_capstyle="butt")
    axes.plot((x - 0.36, x - 0.36 + 0.72 * used), (y + 0.22, y + 0.22), color=colour, lw=2, solid_capstyle="butt")
    if deeds:
        axes.text(x + 0.4, y - 0.33, deeds, ha="right", va="bottom", fontsize=6, color=ACCENT)


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


def _places(graph: Mapping[str, list[str]]) -> dict[str, tuple[int, int]]:
    """Return column (longest way from the left) and row of every node."""
    level: dict[str, int] = {}

    def find(name: str) -> int:
        if name not in level:
            level[name] = max((1 + find(parent) for parent in graph[name]), default=0)
        return level[name]

    taken: dict[int, int] = {}
    at = {}
    for name in graph:
        column = find(name)
        at[name] = (column, taken.get(column, 0))
        taken[column] = taken.get(column, 0) + 1
    return at


def _span(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
