"""What the report says about a run that has an analysis twin: estimates, figure, fits, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import page
from analysis.estimates import Estimate
from analysis.fits import FitRefused
from analysis.load import Run
from analysis.result import Result
from analysis.twins import Twin
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Beliefs of which others than the measured one are as good, by the end of their name. How many standard errors of the
# fit lie between two of them does not say that something is wrong in the lab.
FLAT = {
    "image_threshold": "between two levels far apart, any threshold errs as seldom",
    "t_pump_s": "10 % in time cost 1 % of rate",
    "a_excitation": "near full power, 0.1 in amplitude costs 1 % or 2 % of the light",
    "t_loading_s": "the rate of loaded atoms hardly changes about its maximum",
}


def section(run: Run, twin: Twin, label: str = "") -> page.Section:
    """Return tiles, figure and tables; DataError where the run cannot be analysed.

    Where every fit was refused, the page says why and shows the points. `label` comes before the title: the node of a
    calibration pass.
    """
    try:
        result = twin.analyse(run)
    except FitRefused as refused:
        return _refused(run, twin, label, refused)
    drawing = twin.figure(run, result)
    blocks = [page.notice(f"{name}: {why}") for name, why in result.refusals.items()]
    blocks += [page.image(drawing, getattr(twin, "CAPTION", "") or caption(result, drawing))]
    if result.fits:
        blocks += [page.heading("Fits"), _fits(result)]
    if result.updates:
        blocks += [page.heading("Beliefs"), _beliefs(run, result)]
    blocks += [page.small(*result.notes)] if result.notes else []
    title = f"{label}: {result.title}" if label else result.title
    return page.Section(title, _tiles(result), tuple(blocks))


def caption(result: Result, drawing: Figure) -> str:
    """Say what is drawn: error bars where there are any, fits where points with error bars have one."""
    drawn = [container for axes in drawing.axes for container in axes.containers]
    bars = any(getattr(container, "has_yerr", False) or getattr(container, "errorbar", None) for container in drawn)
    said = ["error bars are standard errors"] * bars + ["curves fitted"] * bool(bars and result.fits)
    return ": ".join([result.title, *([", ".join(said)] if said else [])]) + "."


def _refused(run: Run, twin: Twin, label: str, refused: FitRefused) -> page.Section:
    """Return the points without a result; the refusal itself where the twin cannot draw them alone."""
    title = f"{label}: {run.class_name}" if label else run.class_name
    try:
        drawing = twin.figure(run, Result(title, estimates={}))
    except (DataError, LookupError):  # its figure needs what was refused
        raise refused from None
    blocks = (page.notice(str(refused)), page.image(drawing, "Points with standard errors, no fit."))
    return page.Section(title, (("Fit", "refused", "see below"),), blocks)


def _tiles(result: Result) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (name, estimate.quantity(), estimate.source or (f"n = {estimate.n}" if estimate.n else ""))
        for name, estimate in result.estimates.items()
    )


def _fits(result: Result) -> str:
    rows = [
        (name, fit.model.name, ", ".join(f"{key} {e.quantity()}" for key, e in fit.estimates.items()),
         f"{fit.chi2:.1f} / {fit.dof}", f"{fit.p_value:.2g}" + (f", errors × {fit.scale:.2f}" if fit.scale > 1 else ""))
        for name, fit in result.fits.items()
    ]  # fmt: skip
    return page.table(("", "Model", "Parameters", "χ² / dof", "p"), rows)


def _beliefs(run: Run, result: Result) -> str:
    rows = [(name, estimate.quantity(), *_believed(run.belief(name), name, estimate))
            for name, estimate in result.updates.items()]  # fmt: skip
    remarks = dict.fromkeys(f"Flat optimum of {name.rpartition('.')[2]}: {why}." for name in result.updates
                            if (why := _flat(name)))  # fmt: skip
    table = page.table(("Parameter", "Measured", "Believed in this run", "Departure"), rows)
    return table + (page.small(*remarks) if remarks else "")


def _believed(before: float | None, name: str, estimate: Estimate) -> tuple[str, str]:
    """Return what was believed, and how far from it the result is: in errors, or in its unit if these say little."""
    if before is None:
        return "–", "–"
    believed = Estimate(float(before), 0.0, unit=estimate.unit)
    if not _flat(name):
        return believed.quantity(), f"{estimate.sigmas_from(believed.value):+.1f} σ"
    change = Estimate(estimate.value - believed.value, 0.0, unit=estimate.unit)
    sign = "" if change.value < 0 else "+"
    return believed.quantity(), f"{sign}{change.quantity()}, flat optimum"


def _flat(name: str) -> str:
    return FLAT.get(name.rpartition(".")[2], "")
