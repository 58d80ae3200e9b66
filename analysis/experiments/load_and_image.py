"""Loading and survival of an image. Twin of experiments/atoms/load_and_image.py.

A shot has three images of each node: after a push-out, after one try to load what is empty, and once more. The share of
empty traps that the try filled, and the share of atoms that an image leaves in their trap; an atom is there where an
image has more counts than the believed threshold. Errors: binomial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import schema
from analysis.estimates import Estimate, binomial
from analysis.figures import ACCENT, colour, legend_above, panel_each, styled
from analysis.load import Run
from analysis.result import Result
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDED = ("images.counts", "images.present", "images.threshold")
BEFORE, LOADED, AGAIN = range(3)  # the images of a shot


def analyse(run: Run) -> Result:
    """Return by node the share of tries that loaded, and of atoms that survived an image, where there were any."""
    schema.require(run.datasets, NEEDED, "the analysis of loading")
    present = np.asarray(run.datasets["images.present"])
    if not len(present):
        raise DataError(f"Run {run.label} has no image: let the experiment take one shot at least.")
    estimates: dict[str, Estimate] = {}
    for k, node in enumerate(run.nodes):
        before, loaded, again = (present[:, image, k] for image in (BEFORE, LOADED, AGAIN))
        for name, seen in (("loaded", loaded[before == 0]), ("survived", again[loaded == 1])):
            if len(seen):
                estimates[f"{node}.{name}"] = binomial(int(seen.sum()), len(seen), f"share of {len(seen)}, binomial")
    return Result("Loading and images", estimates)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the counts of the images after loading, and the threshold."""
    figure, panels = panel_each(run, 9.6, 3.0, len(run.nodes))
    counts, threshold = np.asarray(run.datasets["images.counts"]), run.datasets["images.threshold"]
    edges = np.linspace(-0.5, max(int(counts[:, LOADED].max()), 1) + 0.5, 60).tolist()
    for k, (axes, node) in enumerate(zip(panels, run.nodes, strict=True)):
        axes.hist(counts[:, LOADED, k], edges, color=colour(k), label=f"{node}, after loading")
        axes.axvline(threshold[k], color=ACCENT, lw=1.0, label=f"threshold {threshold[k]:g}")
        axes.set(yscale="log", ylim=(0.5, None), xlabel="counts in an image", ylabel="images" if k == 0 else "")
        legend_above(axes, 2)
    return figure
