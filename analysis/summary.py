"""What a run found, in a line: the estimates that it stored, or those of its own analysis."""

from __future__ import annotations

from collections.abc import Callable

from analysis import hom, link
from analysis.estimates import Estimate
from analysis.experiments import calibrate
from analysis.load import Run
from atomlink.errors import DataError

ESTIMATE = "fit."


Own = tuple[str, dict[str, Estimate]]  # what was counted, and the estimates of the run's own analysis


def found(run: Run) -> str:
    """Return the estimates of a run as text; else why there are none."""
    known = stored(run)
    try:
        counted, known = ("", known) if known else _own(run)
    except DataError as error:
        return f"no estimate: {error}"
    text = "; ".join(filter(None, [counted, *(f"{name} {each.quantity()}" for name, each in known.items())]))
    return text or (f"no estimate: {run.text('fit.refused')}" if "fit.refused" in run.datasets else "")


def estimates(run: Run) -> dict[str, Estimate]:
    """Return the estimates that a run stored, or those of its own analysis; DataError where this has too little."""
    return stored(run) or _own(run)[1]


def _own(run: Run) -> Own:
    return next((analysis(run) for key, analysis in ANALYSES if key in run.datasets), ("", {}))


def stored(run: Run) -> dict[str, Estimate]:
    """Return the estimates `fit.NAME` that a run's end has filed."""
    known: dict[str, Estimate] = {}
    for key in run.datasets:
        name = key.removeprefix(ESTIMATE).removesuffix(".error")
        value = run.datasets.get(ESTIMATE + name)
        if key.startswith(ESTIMATE) and key.endswith(".error") and value is not None:
            unit = str(run.metadata.get(ESTIMATE + name, {}).get("unit", ""))
            known[name] = Estimate(float(value), float(run.datasets[key]), unit=unit)
    return known


def said(run: Run) -> str:
    """Return whether the run ended regularly; one that failed before it could say so has no `run.complete`."""
    complete = run.datasets.get("run.complete")
    return "not said" if complete is None else "yes" if int(complete) == 1 else "no"


def _link(run: Run) -> Own:
    result = link.analyse(run)
    numbers = {"F": result.total.raw.fidelity, "S": result.total.raw.chsh,
               "heralds per s in the lab": result.rate_lab}  # fmt: skip
    return f"{result.heralds} heralds", {name: value for name, value in numbers.items() if value is not None}


def _hom(run: Run) -> Own:
    result = hom.analyse(run)
    fits = {"V raw": result.raw.fit, "V less accidentals": result.subtracted.fit}
    fitted = {name: fit.visibility for name, fit in fits.items() if fit is not None}
    return f"{result.coincidences} coincidences" + ("" if fitted else "; too few delays to fit"), fitted


def _pass(run: Run) -> Own:
    return "", dict(calibrate.analyse(run).estimates)


ANALYSES: tuple[tuple[str, Callable[[Run], Own]], ...] = (
    ("shots.pattern", _link),
    ("hom.delay_s", _hom),
    ("calibration.visits", _pass),
)
