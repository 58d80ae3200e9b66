"""What the report says about a run of two-photon interference."""

from __future__ import annotations

from analysis import figures, page
from analysis.experiments.hom_interference import WITHOUT_DELAY_S
from analysis.hom import Curve, HomResult, analyse
from analysis.load import Run

NONE = "–"


def section(run: Run) -> page.Section:
    """Return tiles, figure and tables of a HOM run; DataError where it cannot be analysed."""
    result = analyse(run)
    blocks = (
        page.heading("Visibility against delay"),
        page.image(
            figures.hom(run, result), "V = 1 − parallel/orthogonal coincidences of the same gates, standard errors."
        ),
        page.heading("Fits"),
        _fits(result),
        page.small(
            f"Accidentals N (s_i d_j + s_j d_i − d_i d_j), dark probabilities d {result.accidental_source}. "
            "Maximum-likelihood fit of the split parallel : orthogonal with a Gaussian, rounded or exponential dip, "
            "whichever fits best; errors are scaled where none does (p < 1 %). No visibility exceeds 1: near it value "
            "and error are the interval below it that holds the truth in 68 % of all runs (Feldman and Cousins).",
            "The visibility without delay, from the counts there alone, is what links live by: the belief `visibility`."
        ),
    )
    return page.Section("Two-photon interference", _tiles(run, result), blocks)


def _tiles(run: Run, result: HomResult) -> tuple[tuple[str, str, str], ...]:
    fraction = NONE if result.accidental_fraction is None else f"{100 * result.accidental_fraction:.2g} %"
    fit, central = result.subtracted.fit, result.at(0.0, WITHOUT_DELAY_S)
    return (
        ("Visibility without delay", central.number() if central else NONE, _beside(run)),
        (
            "Visibility of the dip",
            fit.visibility.number() if fit else NONE,
            f"accidentals subtracted; raw {_visibility(result.raw)}",
        ),
        (
            "Width",
            _ns(fit.width_s.value, fit.width_s.error) if fit else NONE,
            fit.shape if fit else "too few delays to fit",
        ),
        ("Centre", _ns(fit.centre_s.value, fit.centre_s.error) if fit else NONE, "the second end's delay"),
        ("Coincidences", f"{result.coincidences}", f"at {len(result.delay_s)} delay{'s' * (len(result.delay_s) != 1)}"),
        ("Accidental", fraction, "of the parallel coincidences"),
    )


def _beside(run: Run) -> str:
    believed = run.belief(run.link.of_station("visibility"))
    return "accidentals subtracted" if believed is None else f"accidentals subtracted; believed {float(believed):.4g}"


def _visibility(curve: Curve) -> str:
    return curve.fit.visibility.number() if curve.fit else NONE


def _ns(value_s: float, error_s: float) -> str:
    return f"{value_s * 1e9:.1f} ± {error_s * 1e9:.1f} ns"


def _fits(result: HomResult) -> str:
    rows = [
        (name, fit.shape, fit.visibility.number(), _ns(fit.centre_s.value, fit.centre_s.error),
         _ns(fit.width_s.value, fit.width_s.error), f"{fit.chi2:.1f} / {fit.dof}")
        for name, fit in (("raw", result.raw.fit), ("accidentals subtracted", result.subtracted.fit)) if fit
    ]  # fmt: skip
    return page.table(("", "Shape", "Visibility", "Centre", "Width of the shape", "χ² / dof"), rows)
