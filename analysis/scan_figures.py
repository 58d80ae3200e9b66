"""The figure of a scan: points with error bars, fitted curves, one colour for each series."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from analysis.figures import canvas, colour, styled
from analysis.fits import Fit, Points
from analysis.load import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """Values z (len(y), len(x)) on a grid, nan where nothing was measured."""

    x: Floats
    y: Floats
    z: Floats


def plane_of(x: Any, y: Any, successes: Any, trials: Any) -> Plane:
    """Return the shares successes/trials of a scan of two axes, rows of equal coordinates added up."""
    (at_x, i), (at_y, j) = (np.unique(np.asarray(values, dtype=float), return_inverse=True) for values in (x, y))
    k, n = np.zeros((len(at_y), len(at_x))), np.zeros((len(at_y), len(at_x)))
    np.add.at(k, (j.ravel(), i.ravel()), successes)
    np.add.at(n, (j.ravel(), i.ravel()), trials)
    return Plane(at_x, at_y, np.divide(k, n, out=np.full_like(k, np.nan), where=n > 0))


MARKERS, DASHES = ("o", "s", "^", "D", "v", "P"), ("-", (0, (4, 2.5)), (0, (1, 1.5)))
FINE = 400  # points of a fitted curve


def scaled(unit: str, largest: float) -> tuple[float, str]:
    """Return (factor, unit) that make the largest value of an axis read well: (1e6, "µs") for 30e-6 s."""
    prefixes = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
    if unit not in ("s", "Hz", "K", "W", "V", "m") or not largest > 0:
        return 1.0, unit
    power = min(max(3 * math.floor(math.log10(largest) / 3), -12), 9)
    return 10.0**-power, prefixes[power] + unit


@styled
def scan(
    run: Run, series: Mapping[str, tuple[Points, Fit | None]], x_label: str, y_label: str, x_unit: str = ""
) -> Figure:
    """Draw points with error bars against what was scanned, each series with its fit where it has one."""
    figure, (axes,) = canvas(run, 9.6, 3.6)
    draw_scan(axes, series, x_unit)
    factor_unit = scaled(x_unit, max(float(np.abs(points.x).max()) for points, _ in series.values()))[1]
    axes.set(xlabel=f"{x_label} ({factor_unit})" if factor_unit else x_label, ylabel=y_label)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(len(series), 6))
    return figure


@styled
def plane(run: Run, points: Plane, labels: tuple[str, str, str], units: tuple[str, str] = ("", "")) -> Figure:
    """Draw a scan of two axes as a map; labels of x, y and of the colour, SI units of x and y."""
    figure, (axes,) = canvas(run, 6.4, 4.2)
    scales = [scaled(unit, float(np.abs(at).max())) for unit, at in zip(units, (points.x, points.y), strict=True)]
    x, y = (at * factor for at, (factor, _) in zip((points.x, points.y), scales, strict=True))
    mesh = axes.pcolormesh(x, y, points.z, shading="nearest", cmap="viridis", rasterized=True)
    figure.colorbar(mesh, ax=axes, label=labels[2])
    named = [f"{label} ({unit})" if unit else label for label, (_, unit) in zip(labels, scales, strict=False)]
    axes.set(xlabel=named[0], ylabel=named[1])
    return figure


def draw_scan(axes: Axes, series: Mapping[str, tuple[Points, Fit | None]], x_unit: str = "") -> None:
    """Draw the series into axes of your own; x is scaled to the prefix that `scaled` chooses.

    The first has open marks and a broad line, so that it is seen where a second one lies on it, whose line is dashed.
    """
    factor, _ = scaled(x_unit, max(float(np.abs(points.x).max()) for points, _ in series.values()))
    for k, (name, (points, fit)) in enumerate(series.items()):
        below = k == 0 and len(series) > 1
        mark: Any = {"ms": 7, "mfc": "white", "mew": 1.3} if below else {"ms": 4 if k == 0 else 3.2}
        axes.errorbar(points.x * factor, points.y, points.error, fmt=MARKERS[k % len(MARKERS)], color=colour(k),
                      elinewidth=1, label=name, **mark)  # fmt: skip
        if fit is not None:
            fine = np.linspace(*fit.span, FINE)
            axes.plot(fine * factor, fit.curve(fine), color=colour(k), lw=2.0 if below else 1.2, ls=DASHES[k % 3])
