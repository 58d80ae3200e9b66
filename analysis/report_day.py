"""The page of a day: every run, what it found, and which beliefs it changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from analysis import page
from analysis.estimates import Estimate
from analysis.figures import ACCENT, INK, PALE, STYLE, canvas
from analysis.load import Run, load
from atomlink.errors import DataError

PREVIOUS, ESTIMATE = "fit.previous.", "fit."


def runs_of(results: Path, day: date) -> list[Run]:
    """Return the runs of a day, oldest first; DataError where there is none. Files that cannot be read are left out."""
    found = []
    for path in sorted((results / day.isoformat()).glob("*/*.h5")):
        try:
            found.append(load(path))
        except DataError:
            continue  # `atomlink recover` is for these; the page is about what is there
    if not found:
        raise DataError(f"There is no run of {day.isoformat()} in {results}: choose another day, as YYYY-MM-DD.")
    return sorted(found, key=lambda run: run.rid)


def report_day(results: Path, day: date) -> Path:
    """Write `results/YYYY-MM-DD/day.html` and return its path."""
    runs = runs_of(results, day)
    changes = [(run, name, *change) for run in runs for name, change in changes_of(run).items()]
    body = [
        page.tiles(_tiles(runs, len(changes))),
        page.heading("Runs"),
        page.table(("RID", "Started", "Experiment", "Complete", "Found"), [_row(run) for run in runs]),
        page.heading("Beliefs changed"),
        page.table(("RID", "Parameter", "Before", "After"),
                   [(run.rid, name, f"{before:.6g}", f"{after:.6g}") for run, name, before, after in changes])
        if changes else page.small("None."),
    ]  # fmt: skip
    links = [run for run in runs if "link.attempts" in run.datasets and "shots.pattern" in run.datasets]
    if len(links) > 1:
        caption = "Herald probability of each link run, errors one standard deviation."
        body += [page.heading("Link over the day"), page.image(rates(links), caption)]
    kinds = sorted({run.text("run.target", "unknown target") for run in runs})
    text = page.document(f"Lab day {day.isoformat()}", f"{len(runs)} runs", (", ".join(kinds), str(results)), body)
    target = results / day.isoformat() / "day.html"
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, target)
    return target


def changes_of(run: Run) -> dict[str, tuple[float, float]]:
    """Return the beliefs that a run changed: before and after."""
    found = {}
    for key, before in run.datasets.items():
        if key.startswith(PREVIOUS):
            name = key.removeprefix(PREVIOUS)
            after = run.datasets.get(name, run.archive.get(name))
            if after is not None:
                found[name] = (float(before), float(after))
    return found


@mpl.rc_context(STYLE)
def rates(runs: list[Run]) -> Figure:
    """Draw the herald probability of link runs against the time of day."""
    figure, (axes,) = canvas(runs[-1], 9.6, 2.6)
    heralds = np.array([len(run.datasets["shots.pattern"]) for run in runs])
    attempts = np.array([max(int(run.datasets["link.attempts"]), 1) for run in runs])
    hours = np.array([(run.start_time - runs[0].start_time) / 3600 for run in runs])
    axes.errorbar(hours, heralds / attempts, np.sqrt(heralds + 0.5) / attempts, fmt="o", ms=4, color=ACCENT, ecolor=INK)
    axes.axhline(float(heralds.sum() / attempts.sum()), color=PALE, lw=0.8)
    axes.set(xlabel="hours after the first link run", ylabel="heralds per attempt", ylim=(0, None))
    return figure


def _tiles(runs: list[Run], changes: int) -> tuple[tuple[str, str, str], ...]:
    whole = sum(_complete(run) for run in runs)
    last = max(run.start_time for run in runs)
    first = min(run.start_time for run in runs)
    return (
        ("Runs", f"{len(runs)}", f"{whole} complete"),
        ("Kinds of experiment", f"{len({run.class_name for run in runs})}", ""),
        ("Beliefs changed", f"{changes}", "by runs with `apply`"),
        ("First to last", f"{(last - first) / 3600:.1f} h", ""),
    )


def _row(run: Run) -> tuple[object, ...]:
    return run.rid, run.date.partition(" ")[2], run.class_name, "yes" if _complete(run) else "no", _found(run)


def _found(run: Run) -> str:
    """Return the estimates that the run stored, or the number of its shots."""
    names = [key.removeprefix(ESTIMATE).removesuffix(".error") for key in run.datasets
             if key.startswith(ESTIMATE) and key.endswith(".error") and not key.startswith(PREVIOUS)]  # fmt: skip
    if names:
        return "; ".join(_estimates(run, names))
    shots = run.datasets.get("shots.pattern")
    return f"{len(shots)} heralds" if shots is not None else ""


def _estimates(run: Run, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        value, error = run.datasets.get(ESTIMATE + name), run.datasets[f"{ESTIMATE}{name}.error"]
        if value is not None:
            unit = str(run.metadata.get(ESTIMATE + name, {}).get("unit", ""))
            yield f"{name} {Estimate(float(value), float(error), unit=unit).quantity()}"


def _complete(run: Run) -> bool:
    return int(run.datasets.get("run.complete", 1)) == 1
