"""What the report says about a run that has an analysis twin: estimates, figure, fits, refusals."""

from __future__ import annotations

from analysis import page
from analysis.fits import FitRefused
from analysis.load import Run
from analysis.result import Result
from analysis.twins import Twin
from atomlink.errors import DataError


def section(run: Run, twin: Twin, label: str = "") -> page.Section:
    """Return tiles, figure and tables; DataError where the run cannot be analysed.

    Where every fit was refused, the page says why and shows the points. `label` comes before the title: the node of a
    calibration pass.
    """
    try:
        result = twin.analyse(run)
    except FitRefused as refused:
        return _refused(run, twin, label, refused)
    caption = f"{result.title}: points with standard errors" + (", curves fitted." if result.fits else ".")
    blocks = [page.notice(f"{name}: {why}") for name, why in result.refusals.items()]
    blocks += [page.image(twin.figure(run, result), caption)]
    if result.fits:
        blocks += [page.heading("Fits"), _fits(result)]
    if result.updates:
        blocks += [page.heading("Beliefs"), _beliefs(run, result)]
    blocks += [page.small(*result.notes)] if result.notes else []
    title = f"{label}: {result.title}" if label else result.title
    return page.Section(title, _tiles(result), tuple(blocks))


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
    rows = []
    for name, estimate in result.updates.items():
        before = run.belief(name)
        rows.append((name, estimate.quantity(), "–" if before is None else f"{float(before):.6g}",
                     "–" if before is None else f"{estimate.sigmas_from(float(before)):+.1f} σ"))  # fmt: skip
    return page.table(("Parameter", "Measured", "Believed in this run", "Departure"), rows)
