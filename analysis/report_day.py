"""The page of a day: every run, what it found, and which beliefs it changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis import calibrate, hom, link, page
from analysis.estimates import Estimate
from analysis.figures import ACCENT, INK, PALE, canvas, styled
from analysis.load import Run, load, whole_of
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREVIOUS, APPLIED, ESTIMATE = "fit.previous.", "fit.applied.", "fit."
CHANGED = re.compile(r"(?P<part>calibration\..+\.)?fit\.previous\.(?P<name>param\..+)")


class Change(NamedTuple):
    """A belief that a run changed; `part` is the node and action within a calibration pass, nan what was not filed."""

    part: str
    name: str
    before: float
    after: float
    unit: str


def runs_of(results: Path, day: date) -> list[Run]:
    """Return the runs of a day, oldest first; DataError where there is none. Files that cannot be read are left out."""
    found = []
    for path in sorted((results / day.isoformat()).glob("*/*.h5")):
        if whole_of(path) is not None:
            continue  # a part of a calibration pass, which has it in its own file
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
    changes = [(run, change) for run in runs for change in changes_of(run)]
    body = [
        page.tiles(_tiles(runs, len(changes))),
        page.heading("Runs"),
        page.table(("RID", "Started", "Experiment", "Complete", "Found"), [_row(run) for run in runs]),
        page.heading("Beliefs changed"),
        page.table(("RID", "By", "Parameter", "Before", "After"),
                   [(run.rid, change.part or run.class_name, change.name, _value(change.before, change.unit),
                     _value(change.after, change.unit)) for run, change in changes])
        if changes else page.small("None."),
        page.small("What was set by hand or rolled back is in `atomlink params log`."),
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


def changes_of(run: Run) -> list[Change]:
    """Return the beliefs that a run changed, the parts of a calibration pass included."""
    found = []
    for key, before in run.datasets.items():
        match = CHANGED.fullmatch(key)
        if match:
            part = match["part"] or ""
            after = run.datasets.get(f"{part}{APPLIED}{match['name']}", np.nan)
            unit = str(run.metadata.get(key, {}).get("unit", ""))
            found.append(Change(part.removeprefix("calibration.").rstrip("."), match["name"], float(before),
                                float(after), unit))  # fmt: skip
    return found


def _value(value: float, unit: str) -> str:
    return Estimate(value, 0.0, unit=unit).quantity() if np.isfinite(value) else "not filed"


@styled
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
    return run.rid, run.date.partition(" ")[2], run.class_name, _said(run), _found(run)


def _found(run: Run) -> str:
    """Return the estimates that the run stored, or those of its own analysis; else why there are none."""
    names = [key.removeprefix(ESTIMATE).removesuffix(".error") for key in run.datasets
             if key.startswith(ESTIMATE) and key.endswith(".error")]  # fmt: skip
    if names:
        return "; ".join(_estimates(run, names))
    for key, summary in SUMMARIES:
        if key in run.datasets:
            try:
                return summary(run)
            except DataError as error:
                return f"no estimate: {error}"
    return f"no estimate: {run.text('fit.refused')}" if "fit.refused" in run.datasets else ""


def _link(run: Run) -> str:
    found = link.analyse(run)
    numbers = {"F": found.total.raw.fidelity, "S": found.total.raw.chsh, "heralds per s in the lab": found.rate_lab}
    said = [f"{name} {value.number()}" for name, value in numbers.items() if value is not None]
    return "; ".join([f"{found.heralds} heralds", *said])


def _hom(run: Run) -> str:
    found = hom.analyse(run)
    fits = {"V raw": found.raw.fit, "V less accidentals": found.subtracted.fit}
    said = [f"{name} {fit.visibility.number()}" for name, fit in fits.items() if fit is not None]
    return "; ".join([f"{found.coincidences} coincidences", *(said or ["too few delays to fit"])])


def _pass(run: Run) -> str:
    found = calibrate.analyse(run)
    return "; ".join(f"{name} {estimate.quantity()}" for name, estimate in found.estimates.items())


SUMMARIES: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("shots.pattern", _link),
    ("hom.delay_s", _hom),
    ("calibration.visits", _pass),
)


def _estimates(run: Run, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        value, error = run.datasets.get(ESTIMATE + name), run.datasets[f"{ESTIMATE}{name}.error"]
        if value is not None:
            unit = str(run.metadata.get(ESTIMATE + name, {}).get("unit", ""))
            yield f"{name} {Estimate(float(value), float(error), unit=unit).quantity()}"


def _complete(run: Run) -> bool:
    return _said(run) == "yes"


def _said(run: Run) -> str:
    """Return whether the run ended regularly; one that failed before it could say so has no `run.complete`."""
    said = run.datasets.get("run.complete")
    return "not said" if said is None else "yes" if int(said) == 1 else "no"
