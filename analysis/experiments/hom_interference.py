"""The visibility that links live by. Twin of experiments/photons/hom_interference.py.

The fits are in `analysis.hom`. What becomes a belief, the station's `visibility`, is the visibility without delay from
the counts there alone, accidentals subtracted: at that delay a link runs, and no assumed shape of the dip is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import hom
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.result import Result
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WITHOUT_DELAY_S = 8e-9  # the clock of the heralding gateware: closer delays are played as none


def analyse(run: Run) -> Result:
    """Return visibilities, centre and width; DataError where no delay has crossed coincidences beyond accidentals."""
    found = hom.analyse(run)
    estimates: dict[str, Estimate] = {}
    for name, curve in (("visibility", found.subtracted), ("visibility_raw", found.raw)):
        if curve.fit is not None:
            estimates[name] = curve.fit.visibility
    if found.subtracted.fit is not None:
        estimates |= {name: _seconds(getattr(found.subtracted.fit, name)) for name in ("centre_s", "width_s")}
    central = found.at(0.0, WITHOUT_DELAY_S)
    if central is not None:
        estimates["visibility_without_delay"] = central
    elif not estimates:
        estimates = _points(found)
    return Result(
        "Two-photon interference",
        estimates=estimates,
        updates={} if central is None else {run.link.of_station("visibility"): central},
        notes=_notes(found, central),
    )


def figure(run: Run, _result: Result) -> Figure:
    """Draw visibility against delay above the coincidences."""
    from analysis import figures

    return figures.hom(run, hom.analyse(run))


def _points(found: hom.HomResult) -> dict[str, Estimate]:
    """Return the visibility at each delay of a scan that is too short to fit and leaves out the one without delay."""
    points = zip(found.delay_s, found.subtracted.visibility, strict=True)
    seen = {f"visibility_at_{delay * 1e9:+.0f}_ns": point for delay, point in points if np.isfinite(point.value)}
    if not seen:
        raise DataError("No delay has more crossed coincidences than accidentals: measure longer or check the gates.")
    return seen


def _notes(found: hom.HomResult, central: Estimate | None) -> tuple[str, ...]:
    notes = [f"Dark counts: {found.accidental_source}."]
    if found.subtracted.fit is None:
        notes.append(f"Delays in the scan: {len(found.delay_s)}; a fit of the dip needs 4 with crossed coincidences.")
    if central is None:
        notes.append("The scan has no delay of 0: the visibility of the link stays what it is believed to be.")
    return tuple(notes)


def _seconds(estimate: Estimate) -> Estimate:
    return Estimate(estimate.value, estimate.error, estimate.n, estimate.source, "s")
