"""Threshold and fidelity of an image. Twin of experiments/atoms/imaging_histogram.py.

The counts of the first image are a mixture of two levels, no atom and one atom; the threshold makes the mean of the two
error probabilities smallest. Survival is the share of atoms seen in the first image that the second one sees too: it
contains losses during the first image, and both errors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analysis.estimates import Estimate, binomial
from analysis.figures import ACCENT, INK, colour, legend_above, panel_each, styled
from analysis.histograms import Levels, two_levels
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def counts(run: Run, node: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of the first and of the second images, both of shape (shots,)."""
    first, second = columns(run, ("first", node), ("second", node))
    return np.ravel(first), np.ravel(second)


def levels(run: Run) -> dict[str, Levels]:
    """Return the two levels of each node's counts. The light's noise broadens neither: two Poisson laws."""
    return {node: two_levels(counts(run, node)[0]) for node in run.nodes}


def analyse(run: Run) -> Result:
    """Return threshold, levels, fidelity, filling and survival of each node."""
    found = levels(run)
    thresholds = {node: _threshold(level) for node, level in found.items()}
    estimates: dict[str, Estimate] = {}
    for node, level in found.items():
        first, second = counts(run, node)
        bright = first > level.threshold
        estimates |= {
            f"{node}.threshold": thresholds[node],
            f"{node}.dark": level.dark,
            f"{node}.bright": level.bright,
            f"{node}.fidelity": level.fidelity,
            f"{node}.filling": binomial(int(bright.sum()), len(first)),
            f"{node}.survival": binomial(int((bright & (second > level.threshold)).sum()), int(bright.sum())),
        }
    updates = {belief(node, "image_threshold"): threshold for node, threshold in thresholds.items()}
    return Result("Imaging histogram", estimates=estimates, updates=updates)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the counts of every node with the fitted levels and the threshold."""
    found = levels(run)
    figure, panels = panel_each(run, 9.6, 3.2, len(found))
    for k, (axes, (node, level)) in enumerate(zip(panels, found.items(), strict=True)):
        first, _ = counts(run, node)
        edges = np.linspace(-0.5, first.max() + 0.5, 80)
        axes.hist(first, edges.tolist(), color=colour(k), label=node)
        expected = np.diff(level.share_up_to(edges)) * len(first)
        axes.stairs(expected, edges, color=INK, lw=1.0, label="two Poisson levels and losses")
        axes.axvline(level.threshold, color=ACCENT, lw=1.0, label=f"threshold {level.threshold:g}")
        axes.set(yscale="log", ylim=(0.5, None), xlabel="counts in an image", ylabel="images")
        legend_above(axes, 2)
    return figure


def _threshold(level: Levels) -> Estimate:
    """Return the threshold; it lies at the foot of the dark level, and half of that one's spread changes little."""
    tolerance = math.hypot(2 * level.dark.error, 0.5 * math.sqrt(level.dark.value))
    return Estimate(level.threshold, tolerance, level.dark.n, "least mean error of two levels", "counts")
