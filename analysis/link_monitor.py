"""Rate and fidelity of the link over a day, with alarms and calibrations. Twin of experiments/link/link_monitor.py."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.estimates import Estimate, rate
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, STYLE, canvas
from analysis.health import Reference
from analysis.load import Run
from analysis.pair_rows import PairRows
from analysis.result import Result, columns


def rates(run: Run) -> list[Estimate]:
    """Return heralds per second of attempting, look by look."""
    heralds, seconds = columns(run, "heralds", "t_attempting_s")
    return [rate(int(n), float(t)) for n, t in zip(heralds, seconds, strict=True)]


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
    heralds, seconds, lab, fell_rate, fell_fidelity, calibrated = columns(
        run, "heralds", "t_attempting_s", "t_lab_s", "fallen_rate", "fallen_fidelity", "calibrated"
    )
    mean_rate = rate(int(heralds.sum()), float(seconds.sum()))
    mean_rate = Estimate(mean_rate.value, mean_rate.error, mean_rate.n, "per second of attempting", "Hz")
    fidelity = PairRows.of(run).fidelity(corrected=False)
    updates = {"param.link.reference_rate_hz": mean_rate, "param.link.reference_fidelity": fidelity}
    return Result(
        "Link monitor",
        estimates={
            "rate_hz": mean_rate,
            "rate_lab_hz": Estimate(heralds.sum() / lab.sum(), np.sqrt(heralds.sum() + 0.5) / lab.sum(),
                                    int(heralds.sum()), "per second of lab time, while looking", "Hz"),
            "fidelity": fidelity,
            "looks": _count(len(heralds)),
            "alarms_rate": _count(fell_rate.sum()),
            "alarms_fidelity": _count(fell_fidelity.sum()),
            "calibrations": _count(calibrated.sum()),
        },
        updates={} if fell_rate.any() or fell_fidelity.any() else updates,
        notes=("An alarm is a CUSUM above the line (analysis/health.py). Fidelity raw, rate per s of attempting.",),
    )  # fmt: skip


def _count(n: int) -> Estimate:
    return Estimate(float(n), 0.0, int(n), "counted")


@mpl.rc_context(STYLE)
def figure(run: Run, _result: Result) -> Figure:
    """Draw rate, fidelity and charts against lab time."""
    figure, (top, middle, bottom) = canvas(run, 9.6, 6.0, rows=3)
    (t_s, calibrated) = columns(run, "t_s", "calibrated")
    factor, unit = (1 / 3600, "h") if t_s.max() > 7200 else (1 / 60, "min")
    t, reference = t_s * factor, reference_of(run)
    _draw(top, t, rates(run), reference.rate_hz, reference.fraction)
    _draw(middle, t, fidelities(run), reference.fidelity, reference.fraction)
    for name, colour in (("rate", SIDE_COLOURS[0]), ("fidelity", SIDE_COLOURS[1])):
        bottom.plot(t, columns(run, f"evidence_{name}")[0], "o-", ms=3, lw=1, color=colour, label=name)
    bottom.axhline(reference.threshold, color=ACCENT, lw=1)
    for axes in (top, middle, bottom):
        for k in np.flatnonzero(calibrated):
            axes.axvline(t[k], color=INK, lw=0.8, ls=":")
    top.set(ylabel="heralds /s")
    middle.set(ylabel="fidelity, raw")
    bottom.set(ylabel="evidence (log)", xlabel=f"lab time ({unit})", ylim=(0, None))
    top.set_title("Points: looks. Lines: reference and the fall to be found. Dotted: calibrated after this look.",
                  fontsize=8, loc="left")  # fmt: skip
    bottom.legend(loc="upper left", ncols=2)
    return figure


def _draw(axes: Axes, t: np.ndarray, found: list[Estimate], reference: float, fraction: float) -> None:
    values, errors = [e.value for e in found], [e.error for e in found]
    axes.errorbar(t, values, errors, fmt="o", ms=4, color=SIDE_COLOURS[0], elinewidth=1)
    axes.axhline(reference, color=PALE, lw=1)
    axes.axhline(reference * fraction, color=ACCENT, lw=1)
