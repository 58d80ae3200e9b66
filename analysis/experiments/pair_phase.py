"""The phase of the heralded pairs. Twin of experiments/link/pair_phase.py.

Fed forward, the pairs are (exp(i phase)|01> + |10>)/sqrt(2): measured along azimuths 0 and a, the outcomes agree with
probability offset + (V/2) cos(a - phase), with V the visibility of what pumping, photons and read-out leave. Azimuths
are counted from the phase that the lab believed, which every experiment on pairs adds to the second end's: `phase` is
what was left, and what fibres and delays do to the pairs is taken out without an actuator. So polarisation alignment
need not know it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import fits, scan_figures
from analysis.estimates import Estimate
from analysis.figures import SIDE_COLOURS, styled
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_VISIBILITY = 3.0  # in its standard errors; below, there is no phase to speak of


def points(run: Run) -> fits.Points:
    """Return the share of equal outcomes against the second end's azimuth."""
    azimuth, equal, n = columns(run, "azimuth", "equal", "n")
    return fits.shares(azimuth, equal, n)


def analyse(run: Run) -> Result:
    """Return the phase that is left, the visibility, and the phase to believe in."""
    values, covariance, n = _solved(run)
    visibility = 2 * math.hypot(values[1], values[2])
    along = np.array([0.0, values[1], values[2]]) * 2 / visibility
    across = np.array([0.0, -values[2], values[1]]) * 2 / visibility
    contrast = Estimate(visibility, 2 * math.sqrt(along @ covariance @ along), n, "least squares")
    if visibility < LEAST_VISIBILITY * contrast.error:
        raise DataError(f"The pairs' visibility is {contrast.number()}, must be {LEAST_VISIBILITY:g} of its errors: "
                        "take more pairs, and look at field, fibre delays and pulses first.")  # fmt: skip
    error = 2 * math.sqrt(across @ covariance @ across) / visibility
    phase = Estimate(math.atan2(values[2], values[1]), error, n, "least squares", "rad")
    return Result(
        "Pair phase",
        estimates={"phase_rad": phase, "visibility": contrast},
        updates={run.link.of_pairs("phase_rad"): _added(run, phase)},
    )


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the share of equal outcomes against the second azimuth, and the fringe that was fitted."""
    series = {"pairs": (points(run), None)}
    figure = scan_figures.scan(run, series, "azimuth of the second end", "share of equal outcomes", "rad")
    (axes,) = figure.axes
    (offset, cosine, sine), _, _ = _solved(run)
    fine = np.linspace(*axes.get_xlim(), scan_figures.FINE)
    label = f"phase {result.estimates['phase_rad'].quantity()}" if result.estimates else "fit"
    axes.plot(fine, offset + cosine * np.cos(fine) + sine * np.sin(fine), color=SIDE_COLOURS[0], lw=1.2, label=label)
    axes.set(xlim=(fine[0], fine[-1]))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return figure


def _solved(run: Run) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Return offset, cos and sin parts with their covariance, and the number of pairs."""
    azimuth, equal, n = (np.asarray(column, dtype=float) for column in columns(run, "azimuth", "equal", "n"))
    if len(np.unique(np.round(azimuth % (2 * math.pi), 6))) < 3:
        raise DataError("A pair phase needs three azimuths or more that differ.")
    design = np.stack([np.ones_like(azimuth), np.cos(azimuth), np.sin(azimuth)], axis=1)
    share = (equal + 0.5) / (n + 1)
    weight = np.sqrt(n / (share * (1 - share)))
    covariance = np.linalg.inv((design * weight[:, None] ** 2).T @ design)
    values = covariance @ (design * weight[:, None] ** 2).T @ (equal / n)
    return values, covariance, int(n.sum())


def _added(run: Run, left: Estimate) -> Estimate:
    """Return the phase to believe in; beyond a turn it starts again, so that a change is small where the phase's is."""
    name = run.link.of_pairs("phase_rad")
    believed = run.belief(name)
    if believed is None:
        raise DataError(f"The file has no `{name}`, from which its azimuths are counted: take the phase anew.")
    value = float(believed) + left.value
    return replace(left, value=math.remainder(value, 2 * math.pi) if abs(value) > 2 * math.pi else value)
