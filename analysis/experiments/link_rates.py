"""What every link gives, beside what it should. Twin of experiments/network/link_rates.py.

Rates are heralds per second of blocks of attempts, recooling and looks at the atoms included, loading left out. The
forecast is the herald probability that the beliefs make (`analysis.network`), as the run filed it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analysis.counted_links import counted, links_of
from analysis.estimates import Estimate
from analysis.figures import INK, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.result import Result, columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(run: Run) -> Result:
    """Return rate and herald probability of every link, and how far it is from what the lab believes."""
    (forecast,) = columns(run, "forecast")
    estimates: dict[str, Estimate] = {}
    notes = []
    for name, found, believed in zip(links_of(run), counted(run)[0], np.atleast_1d(forecast), strict=True):
        estimates[f"{name}.rate"], estimates[f"{name}.probability"] = found.rate, found.probability
        if math.isfinite(believed):
            off = found.probability.sigmas_from(float(believed))
            notes.append(f"{name}: believed {float(believed):.3g}, measured {off:+.1f} sigma from it")
    return Result(f"{len(links_of(run))} links", estimates=estimates, notes=tuple(notes))


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw every link's herald probability, measured and believed."""
    names, at = links_of(run), np.arange(len(links_of(run)))
    figure, (axes,) = canvas(run, max(6.0, 1.6 * len(names)), 3.2)
    found = [result.estimates[f"{name}.probability"] for name in names]
    axes.errorbar(at, [each.value for each in found], [each.error for each in found], fmt="o", ms=4,
                  color=SIDE_COLOURS[0], ecolor=INK, label="measured")  # fmt: skip
    axes.plot(at, np.atleast_1d(columns(run, "forecast")[0]), "_", ms=18, color=SIDE_COLOURS[1], label="believed")
    axes.set(xticks=at, xticklabels=names, xlabel="link", ylabel="heralds per attempt", xlim=(-0.5, len(names) - 0.5))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylim(bottom=0)
    legend_above(axes, 2)
    return figure
