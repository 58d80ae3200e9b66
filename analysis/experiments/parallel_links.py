"""Heralding on several links at once. Twin of experiments/network/parallel_links.py.

A rate is heralds per second of blocks of attempts, recooling and looks at the atoms included, loading left out: links
that go side by side share these. The gain is the sum of the rates side by side over the mean of the rates alone, which
is what the links give in turns; it is the number of links where they do not disturb one another, and attempts of all
take equally long. Whether one disturbs another the herald probabilities per attempt say, whatever the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.counted_links import Counted, counted, links_of
from analysis.estimates import Estimate
from analysis.figures import INK, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.result import Result
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def alone_and_together(run: Run) -> tuple[list[Counted], list[Counted]]:
    """Return what the links gave alone, and side by side; DataError where there is nothing to compare."""
    alone, together = counted(run, turns=2)
    if not all(each.heralds for each in (*alone, *together)):
        raise DataError(f"Run {run.label} has a link without heralds, must have one at least of each, alone and beside "
                        "the others: take more shots.")  # fmt: skip
    return alone, together


def analyse(run: Run) -> Result:
    """Return rates and herald probabilities alone and side by side, and what going side by side gains."""
    alone, together = alone_and_together(run)
    estimates: dict[str, Estimate] = {}
    for name, one, beside in zip(links_of(run), alone, together, strict=True):
        estimates[f"{name}.rate_alone"], estimates[f"{name}.rate_together"] = one.rate, beside.rate
        ratio = beside.probability / one.probability
        estimates[f"{name}.probability_ratio"] = Estimate(ratio.value, ratio.error, beside.heralds,
                                                          "per attempt, side by side over alone")  # fmt: skip
    total = sum((each.rate for each in together[1:]), together[0].rate)
    turns = sum((each.rate for each in alone[1:]), alone[0].rate) / float(len(alone))
    gain = total / turns
    estimates["gain"] = Estimate(gain.value, gain.error, total.n, "rate side by side over that in turns")
    return Result(f"{len(alone)} links side by side", estimates=estimates)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw every link's rate, alone and side by side."""
    alone, together = alone_and_together(run)
    figure, (axes,) = canvas(run, 7.0, 3.2)
    at = np.arange(len(alone))
    for shift, colour, what, found in ((-0.1, SIDE_COLOURS[0], "alone", alone),
                                       (0.1, SIDE_COLOURS[1], "side by side", together)):  # fmt: skip
        rates = [each.rate for each in found]
        axes.errorbar(at + shift, [rate.value for rate in rates], [rate.error for rate in rates], fmt="o", ms=4,
                      color=colour, ecolor=INK, label=what)  # fmt: skip
    axes.set(xticks=at, xticklabels=links_of(run), xlim=(-0.5, len(alone) - 0.5), xlabel="link",
             ylabel="heralds per second,\nloading left out")  # fmt: skip
    axes.set_ylim(bottom=0)
    legend_above(axes, 2, title=f"rates together, side by side over in turns: {result.estimates['gain'].number()}",
                 alignment="left")  # fmt: skip
    return figure
