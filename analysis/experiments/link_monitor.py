"""Rate and fidelity of the link over a day, with alarms and calibrations. Twin of experiments/link/link_monitor.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.estimates import PER_S, Estimate, renewal_of_sums
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.health import Reference
from analysis.load import Run
from analysis.pair_rows import PairRows
from analysis.result import Result, columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def rates(run: Run) -> list[Estimate]:
    """Return heralds per second of attempting, look by look."""
    names = ("heralds", "t_attempting_s", "attempts", "attempts_squared")
    looks = zip(*columns(run, *names), strict=True)
    return [_rate(n, t, waits, squares, "one look") for n, t, waits, squares in looks]


def fidelities(run: Run) -> list[Estimate]:
    """Return the raw fidelity with Psi+, look by look; DataError where a look has too few pairs."""
    rows = PairRows.of(run)
    return [rows.fidelity([k], corrected=False) for k in range(len(rows.tables))]


def reference_of(run: Run) -> Reference:
    """Return what the run held the link against."""
    names = ("reference_rate_hz", "reference_fidelity", "fraction", "looks_to_false_alarm")
    return Reference(*(float(run.datasets[f"monitor.{name}"]) for name in names))


def analyse(run: Run) -> Result:
    """Return mean rate and fidelity, how many alarms and calibrations there were; they may become the reference."""
    fell_rate, fell_fidelity, calibrated, kept_up = columns(
        run, "fallen_rate", "fallen_fidelity", "calibrated", "kept_up"
    )
    mean_rate, lab_rate = _mean_rates(run)
    fidelity = PairRows.of(run).fidelity(corrected=False)
    updates = {run.link.of_station("reference_rate_hz"): mean_rate,
               run.link.of_station("reference_fidelity"): fidelity}  # fmt: skip
    notes = ["An alarm is a CUSUM above the line (analysis/health.py). Fidelity raw, rate per s of attempting."]
    # What the charts say of the old reference is no reason against a new one; a change of beliefs in between is.
    if calibrated.any() or kept_up.any():
        updates = {}
        notes.append("The lab was calibrated in between: the means are no reference for the next run.")
    return Result(
        "Link monitor",
        estimates={
            "rate_hz": mean_rate,
            "rate_lab_hz": lab_rate,
            "fidelity": fidelity,
            "looks": _count(len(calibrated)),
            "alarms_rate": _count(fell_rate.sum()),
            "alarms_fidelity": _count(fell_fidelity.sum()),
            "calibrations": _count(calibrated.sum()),
            "upkeeps": _count(kept_up.sum()),
        },
        updates=updates,
        notes=tuple(notes),
    )


def _mean_rates(run: Run) -> tuple[Estimate, Estimate]:
    """Return heralds per second of attempting and of lab time, all looks together."""
    names = ("heralds", "t_attempting_s", "t_lab_s", "attempts", "attempts_squared", "t_lab_squared_s2")
    k, seconds, lab, attempts, attempts2, lab2 = (float(values.sum()) for values in columns(run, *names))
    return (
        _rate(k, seconds, attempts, attempts2, "per second of attempting"),
        _rate(k, lab, lab, lab2, "per second of lab time, while looking"),
    )


def _rate(k: float, duration_s: float, waits: float, squares: float, source: str) -> Estimate:
    """Return k/duration; the error is that of the k waits, whose sum and sum of squares are given in any unit."""
    return replace(renewal_of_sums(int(k), duration_s, (int(k), waits, squares), source), unit=PER_S)


def _count(n: int) -> Estimate:
    return Estimate(float(n), 0.0, int(n), "counted")


@styled
def figure(run: Run, _result: Result) -> Figure:
    """Draw rate, fidelity and charts against lab time."""
    figure, (top, middle, bottom) = canvas(run, 9.6, 6.0, rows=3)
    t_s, calibrated, kept_up = columns(run, "t_s", "calibrated", "kept_up")
    factor, unit = (1 / 3600, "h") if t_s.max() > 7200 else (1 / 60, "min")
    t, reference = t_s * factor, reference_of(run)
    _draw(top, t, rates(run), reference.rate_hz, reference.fraction)
    _draw(middle, t, fidelities(run), reference.fidelity, reference.fraction)
    for name, colour in (("rate", SIDE_COLOURS[0]), ("fidelity", SIDE_COLOURS[1])):
        bottom.plot(t, columns(run, f"evidence_{name}")[0], "o-", ms=3, lw=1, color=colour, label=name)
    bottom.axhline(reference.threshold, color=ACCENT, lw=1, label="alarm")
    for axes in (top, middle, bottom):
        for number, k in enumerate(np.flatnonzero(calibrated)):
            axes.axvline(t[k], color=INK, lw=0.8, ls=":", label=None if number else "alarm, calibrated after this look")
    if kept_up.any():
        bottom.plot(t[kept_up > 0], np.zeros(int(kept_up.sum())), "|", ms=8, color=INK, clip_on=False,
                    label="a time-out had passed, checked after this look")  # fmt: skip
    top.set(ylabel="heralds per second\nof attempting")
    middle.set(ylabel="fidelity of the pairs,\nas read out")
    bottom.set(ylabel="evidence of a fall, ln of\nthe likelihood ratio", xlabel=f"lab time ({unit})")
    bottom.set_ylim(0, 1.1 * max(bottom.get_ylim()[1], reference.threshold))
    for axes in (top, bottom):  # the middle has the marks of the top
        legend_above(axes, 5)
    return figure


def _draw(axes: Axes, t: np.ndarray, found: list[Estimate], reference: float, fraction: float) -> None:
    values, errors = [e.value for e in found], [e.error for e in found]
    axes.errorbar(t, values, errors, fmt="o", ms=4, color=SIDE_COLOURS[0], elinewidth=1, label="looks")
    axes.axhline(reference, color=PALE, lw=1, label="reference")
    axes.axhline(reference * fraction, color=ACCENT, lw=1, label="fall to be found")
