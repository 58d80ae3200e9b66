"""Light behind each excitation AOM against the amplitude of its DDS. Twin of experiments/setup/aom_power.py.

P = P_full sin^2(pi/2 a/a_sat): the efficiency of Bragg diffraction against the amplitude of the sound. The amplitude
that gives the power wanted (`param.{n}.p_excitation_w`, at the meter) is looked for below a_sat; where full diffraction
gives less, it is a_sat. Each point is the mean of its readings with their own spread. Fit: least squares. Source: A.
Yariv, P. Yeh, "Optical Waves in Crystals", ch. 9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis import fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import SATURATION
from analysis.result import Result, columns
from atomlink.at_port import belief
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 4  # readings of a point: fewer do not tell their spread


def points(run: Run) -> dict[str, fits.Points]:
    """Return the power at the meter against the amplitude, by node."""
    found = {}
    for node in run.nodes:
        amplitude, power = columns(run, "amplitude", ("p_w", node))
        if power.ndim != 2 or power.shape[1] < FEWEST:
            raise DataError(f"Run {run.label} has {np.shape(power)[1:]} readings at a point, must be {FEWEST} at "
                            "least: raise `shots`.")  # fmt: skip
        error = power.std(axis=1, ddof=1) / math.sqrt(power.shape[1])
        found[node] = fits.values(amplitude, power.mean(axis=1), error)
    return found


def analyse(run: Run) -> Result:
    """Return full power, saturating amplitude, and the amplitude for the power wanted."""
    found, refusals = fits.fit_each(SATURATION, points(run), unit_y="W")
    estimates: dict[str, Estimate] = {}
    updates: dict[str, Estimate] = {}
    notes = []
    for node, fit in found.items():
        wanted = run.belief(belief(node, "p_excitation_w"))
        estimates |= {f"{node}.p_full_w": fit["amplitude"], f"{node}.a_saturation": fit["saturation"]}
        if wanted is None:
            continue
        updates[belief(node, "a_excitation")] = estimates[f"{node}.a_wanted"] = amplitude(fit, float(wanted))
        if float(wanted) > fit["amplitude"].value + 3 * fit["amplitude"].error:
            notes.append(f"{node}: full diffraction gives {fit['amplitude'].quantity()}, less than {wanted:.3g} W.")
    return Result("AOM power", estimates=estimates, updates=updates, fits=found, refusals=refusals, notes=tuple(notes))


def figure(run: Run, result: Result) -> Figure:
    """Draw the power against the amplitude for both nodes."""
    from matplotlib.ticker import FuncFormatter

    series = {}
    for node, data in points(run).items():
        fit = result.fits.get(node)
        name = f"{node}, {fit['amplitude'].quantity()} at full diffraction" if fit else node
        series[name] = (data, fit)
    figure = scan_figures.scan(run, series, "DDS amplitude (of full scale)", "power at the meter (µW)")
    figure.axes[0].yaxis.set_major_formatter(FuncFormatter(lambda power_w, _: f"{power_w * 1e6:g}"))
    return figure


def amplitude(fit: fits.Fit, wanted_w: float) -> Estimate:
    """Return the amplitude (at most 1) that gives this power, the offset apart."""

    def at(values: Mapping[str, float]) -> float:
        share = min(max(wanted_w / values["amplitude"], 0.0), 1.0)
        return min(1.0, values["saturation"] * 2 / math.pi * math.asin(math.sqrt(share)))

    full = fit["amplitude"]
    return Estimate(at(fit.values), fit.error_of(at), full.n, full.source)
