"""What the runs with a memory have in common: clicks at the read-out, of photons that pass, and of noise.

efficiency = (clicks per attempt - noise per read-out)/(clicks per attempt of photons that pass an empty cloud): losses
in front of and behind the memory cancel. Noise and passing photons are pooled over the points of a scan.

Peaks of the efficiency against amplitude or edge of the control light are lopsided and flat-topped. There the fit is of
the points near the top, and the law's error is part of the centre's: BESIDE of the Gaussian's width, by which the tops
of integrated curves lie beside the fitted centre at most (`tests/experiments/test_memory.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import fits, scan_figures
from analysis.estimates import Estimate, binomial
from analysis.load import Run
from analysis.models import GAUSSIAN
from analysis.result import Result, columns
from atomlink.errors import DataError
from atomlink.memory_spec import of_memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 5  # clicks of passing photons
NEAR, FEWEST_NEAR = 0.5, 5  # the share of the highest point that is near it, and how many points are at least
BESIDE = 0.08


def memory_of(run: Run) -> str:
    """Return the name of a run's memory."""
    return run.text("scan.memory", "memory")


def points(run: Run, axis: str, clicks: str = "clicks") -> fits.Points:
    """Return clicks per attempt against what was scanned: at the read-out, or those of another column."""
    return fits.shares(*columns(run, axis, clicks, f"n_{clicks}"))


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


def peak(run: Run, title: str, axis: str, unit: str, belief: str, lopsided: bool = False) -> Result:
    """Fit a peak of clicks per attempt against one setting; its centre is what the belief becomes.

    Where the fit is refused, the noise and the passing photons are still told.
    """
    noise, memory = pooled(run, "noise"), memory_of(run)
    measured = points(run, axis)
    estimates: dict[str, Estimate] = {"noise": noise, "came": came(run)}
    try:
        fit = (near_fit if lopsided else _fit)(measured, noise.value, unit)
    except fits.FitRefused as error:
        return Result(title, estimates=estimates, refusals={memory: str(error)})
    centre = fit["centre"]
    if lopsided:
        centre = replace(centre, error=math.hypot(centre.error, BESIDE * fit["width"].value),
                         source="Gaussian near the top, its law's error included")  # fmt: skip
    estimates |= {belief: centre, "efficiency": efficiency(run, fit["amplitude"])}
    return Result(title, estimates=estimates, updates={of_memory(memory, belief): centre}, fits={memory: fit})


def near_fit(measured: fits.Points, noise: float, unit: str = "") -> fits.Fit:
    """Fit a Gaussian to the points near the top; FitRefused where nothing sure is seen in all of them."""
    return _fit(near_top(measured), noise, unit, measured)


def _fit(data: fits.Points, noise: float, unit: str, among: fits.Points | None = None) -> fits.Fit:
    start = {"amplitude": float(data.y.max()) - noise, "centre": float(data.x[np.argmax(data.y)]),
             "width": float(np.ptp(data.x)) / 4}  # fmt: skip
    return fits.fit(GAUSSIAN, data, unit_x=unit, fixed={"offset": noise}, start=start, among=among)


def near_top(data: fits.Points) -> fits.Points:
    """Return the points around the highest one that reach NEAR of it, FEWEST_NEAR of them at least."""
    y, last = data.y, len(data.y) - 1
    low = high = int(np.argmax(np.convolve(np.pad(y, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")))
    enough = NEAR * y[low]
    while high - low < last:
        left, right = (y[low - 1] if low else -math.inf), (y[high + 1] if high < last else -math.inf)
        if max(left, right) < enough and high - low + 1 >= FEWEST_NEAR:
            break
        low, high = (low - 1, high) if left > right else (low, high + 1)
    return data.part(slice(low, high + 1))


def figure(
    run: Run, result: Result, axis: str, label: str, unit: str = "", more: Mapping[str, str] | None = None
) -> Figure:
    """Draw clicks per attempt against what was scanned with the fit; `more`: other columns, by how they are called."""
    memory = memory_of(run)
    series = {memory: (points(run, axis), result.fits.get(memory))}
    series |= {name: (points(run, axis, column), None) for name, column in (more or {}).items()}
    return scan_figures.scan(run, series, label, "clicks per attempt", unit)
