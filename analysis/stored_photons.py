"""What the runs with a memory have in common: clicks at the read-out, of photons that pass, and of noise.

efficiency = (clicks per attempt - noise per read-out)/(clicks per attempt of photons that pass an empty cloud): losses
in front of and behind the memory cancel. Noise and passing photons are pooled over the points of a scan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import fits, scan_figures
from analysis.estimates import Estimate, binomial
from analysis.load import Run
from analysis.models import Model
from analysis.result import Result, columns
from atomlink.errors import DataError
from atomlink.memory_spec import of_memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 5  # clicks of passing photons


def memory_of(run: Run) -> str:
    """Return the name of a run's memory."""
    return run.text("scan.memory", "memory")


def points(run: Run, axis: str) -> fits.Points:
    """Return clicks per attempt at the read-out against what was scanned."""
    return fits.shares(*columns(run, axis, "clicks", "n_clicks"))


def pooled(run: Run, name: str) -> Estimate:
    """Return clicks per attempt of one of the passes ("came", "noise"), all points together."""
    found = [int(np.sum(column)) for column in columns(run, name, f"n_{name}")]
    return binomial(found[0], found[1])


def came(run: Run) -> Estimate:
    """Return clicks per attempt of photons that pass; DataError where there are too few to compare with."""
    found = pooled(run, "came")
    clicks = int(np.sum(columns(run, "came")[0]))
    if clicks < FEWEST:
        raise DataError(f"Run {run.label} has {clicks} clicks of passing photons, must be {FEWEST}: take more shots, "
                        "and look at the port's light.")  # fmt: skip
    return found


def efficiency(run: Run, amplitude: Estimate) -> Estimate:
    """Return the efficiency that an amplitude of clicks per attempt means."""
    return amplitude / came(run)


def peak(run: Run, title: str, axis: str, model: Model, unit: str, belief: str) -> Result:
    """Fit a peak of clicks per attempt against one setting; its centre is what the belief becomes."""
    noise, memory = pooled(run, "noise"), memory_of(run)
    found, refusals = fits.fit_each(model, {memory: points(run, axis)}, unit_x=unit, fixed={"offset": noise.value})
    estimates: dict[str, Estimate] = {"noise": noise}
    updates: dict[str, Estimate] = {}
    if memory in found:
        fit = found[memory]
        estimates |= {belief: fit["centre"], "efficiency": efficiency(run, fit["amplitude"])}
        updates[of_memory(memory, belief)] = fit["centre"]
    return Result(title, estimates=estimates, updates=updates, fits=found, refusals=refusals)


def figure(run: Run, result: Result, axis: str, label: str, unit: str = "") -> Figure:
    """Draw clicks per attempt against what was scanned with the fit."""
    memory = memory_of(run)
    series = {memory: (points(run, axis), result.fits.get(memory))}
    return scan_figures.scan(run, series, label, "clicks per attempt", unit)
