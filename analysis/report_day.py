"""The page of a day: every run, what it found, and which beliefs it changed."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis import link, page, scan_figures
from analysis.estimates import Estimate
from analysis.figures import canvas, colour, legend_above, styled
from analysis.load import Run, load, whole_of
from analysis.summary import found, said
from atomlink.errors import DataError
from atomlink.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

APPLIED = "fit.applied."
CHANGED = re.compile(r"(?P<part>calibration\..+\.)?fit\.previous\.(?P<name>param\..+)")


class Change(NamedTuple):
    """A belief that a run changed; `part` is the node and action within a calibration pass, nan what was not filed."""

    part: str
    name: str
    before: float
    after: float
    unit: str


class Row(NamedTuple):
    """What the page says of one run."""

    run: Run
    cells: tuple[object, ...]
    changes: list[Change]
    complete: bool


def runs_of(results: Path, day: date) -> list[Run]:
    """Return the runs of a day, oldest first; DataError where there is none. Files that cannot be read are left out."""
    return _read(results, day)[0]


def _read(results: Path, day: date) -> tuple[list[Run], list[str]]:
    """Return the runs of a day, and what is wrong with the files that cannot be read."""
    runs, damaged = [], []
    for path in sorted((results / day.isoformat()).glob("*/*.h5")):
        if whole_of(path) is not None:
            continue  # a part of a calibration pass, which has it in its own file
        try:
            runs.append(load(path))
        except DataError as error:
            damaged.append(str(error))
    if not runs and not damaged:
        raise DataError(f"There is no run of {day.isoformat()} in {results}: choose another day, as YYYY-MM-DD.")
    return sorted(runs, key=lambda run: run.rid), damaged


def report_day(results: Path, day: date) -> Path:
    """Write `results/YYYY-MM-DD/day.html` and return its path."""
    runs, damaged = _read(results, day)
    rows = [_row(run) for run in runs]
    changes = [(row.run, change) for row in rows for change in row.changes]
    body = [
        *(page.notice(text) for text in damaged),
        page.tiles(_tiles(rows, len(changes), len(damaged))),
        page.heading("Runs"),
        page.table(("RID", "Started", "Lab", "Experiment", "Complete", "Found"), [row.cells for row in rows]),
        page.small("A number leads to the run's page where `atomlink report RID` has made it, else to its file."),
        page.heading("Beliefs changed"),
        page.table(("RID", "Lab", "By", "Parameter", "Before", "After"),
                   [(_rid(run), _lab(run), change.part or run.class_name, change.name,
                     _value(change.before, change.unit), _value(change.after, change.unit))
                    for run, change in changes])
        if changes else page.small("None."),
        page.small("What was set by hand or rolled back is in `atomlink params log`."),
    ]  # fmt: skip
    body += _link_over_the_day(runs)
    kinds = sorted({run.text("run.target", "unknown target") for run in runs})
    text = page.document(f"Lab day {day.isoformat()}", f"{len(runs)} runs", (", ".join(kinds), str(results)), body)
    target = results / day.isoformat() / "day.html"
    write_whole(target, text.encode("utf-8", "backslashreplace"))
    return target


def _link_over_the_day(runs: list[Run]) -> list[str]:
    links = [run for run in runs if isinstance(run.datasets.get("link.attempts"), np.integer)
             and np.ndim(run.datasets.get("shots.pattern", 0)) == 1]  # fmt: skip
    measured = [(run, probability) for run in links if (probability := _probability(run)) is not None]
    if len(measured) < 2:
        return []
    caption = "Herald probability of each link run with a herald, by lab and link; errors one standard deviation."
    return [page.heading("Links over the day"), page.image(rates(measured), caption)]


def _probability(run: Run) -> Estimate | None:
    """Return the herald probability as the run's own page has it, None where nothing was heralded."""
    try:
        return link.analyse(run).probability
    except DataError:
        return None


def _lab(run: Run) -> str:
    """Return the lab of a run: hardware, or the scenario of a simulated one."""
    target = run.text("run.target", "")
    scenario = run.text("run.scenario", "")
    return target if target != "simulation" else Path(scenario).name if scenario.endswith(".toml") else scenario


def changes_of(run: Run) -> list[Change]:
    """Return the beliefs that a run changed, the parts of a calibration pass included."""
    changed = []
    for key, before in run.datasets.items():
        match = CHANGED.fullmatch(key)
        if match:
            part = match["part"] or ""
            after = run.datasets.get(f"{part}{APPLIED}{match['name']}", np.nan)
            unit = str(run.metadata.get(key, {}).get("unit", ""))
            changed.append(Change(part.removeprefix("calibration.").rstrip("."), match["name"], float(before),
                                  float(after), unit))  # fmt: skip
    return changed


def _value(value: float, unit: str) -> str:
    return Estimate(value, 0.0, unit=unit).quantity() if np.isfinite(value) else "not filed"


@styled
def rates(measured: list[tuple[Run, Estimate]]) -> Figure:
    """Draw the herald probability of link runs against the time of day: a colour for each link of each lab."""
    first_s = measured[0][0].start_time
    figure, (axes,) = canvas(measured[-1][0], 9.6, 2.9)
    factor, unit = (1 / 3600, "hours") if measured[-1][0].start_time - first_s > 3600 else (1 / 60, "minutes")
    series: dict[str, list[tuple[float, Estimate]]] = {}
    for run, probability in measured:
        at = (run.start_time - first_s) * factor
        series.setdefault(f"{_lab(run)}: {run.link.name}", []).append((at, probability))
    for k, (name, points) in enumerate(series.items()):
        x, y, error = zip(*((at, each.value, each.error) for at, each in points), strict=True)
        marker = scan_figures.MARKERS[k % len(scan_figures.MARKERS)]
        axes.errorbar(x, y, error, fmt=marker, ms=4, color=colour(k), label=name)
    axes.set(xlabel=f"{unit} after the first link run", ylabel="herald probability", ylim=(0, None))
    legend_above(axes, 3)
    return figure


def _tiles(rows: list[Row], changes: int, damaged: int) -> tuple[tuple[str, str, str], ...]:
    whole = sum(row.complete for row in rows)
    last = max((row.run.start_time for row in rows), default=0.0)
    first = min((row.run.start_time for row in rows), default=0.0)
    return (
        ("Runs", f"{len(rows)}", f"{whole} complete" + (f", {damaged} more damaged" if damaged else "")),
        ("Kinds of experiment", f"{len({row.run.class_name for row in rows})}", ""),
        ("Beliefs changed", f"{changes}", "by runs with `apply`"),
        ("First to last", f"{(last - first) / 3600:.1f} h", ""),
    )


def _rid(run: Run) -> page.Link:
    """Return the run's number, which leads to its page where that has been made, else to its file."""
    made = run.path.with_suffix(".html")
    target = made if made.is_file() else run.path
    return page.Link(str(run.rid), f"{target.parent.name}/{target.name}")


def _row(run: Run) -> Row:
    """Return what is said of a run; one whose datasets make no sense is named, and does not cost the others' page."""
    try:
        cells = (_rid(run), run.date.partition(" ")[2], _lab(run), run.class_name, said(run), found(run))
        return Row(run, cells, changes_of(run), said(run) == "yes")
    except Exception as error:  # noqa: BLE001 - a file that nobody has checked may hold anything
        odd = f"odd datasets ({type(error).__name__}: {error}), {run.integrity}"
        return Row(run, (_rid(run), "", "", run.class_name, "not said", odd), [], False)
