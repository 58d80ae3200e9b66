"""Filling and loading time of a tweezer. Twin of experiments/atoms/tweezer_loading.py.

An empty tweezer that atoms enter at a rate r and leave by pair collisions fills as filling (1 - exp(-t/tau)); with
light-assisted collisions the filling stays below one. Source: N. Schlosser et al., PRL 89, 023005 (2002). Fit: binomial
maximum likelihood of offset + amplitude exp(-t/tau), with amplitude = -offset where nothing is there at t = 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import bounded, fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import DECAY
from analysis.result import Result, columns
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(run: Run) -> dict[str, fits.Points]:
    """Return the share of tries that loaded an atom against the loading time, by node."""
    t, n = columns(run, "t_loading", "n")
    return {node: fits.shares(t, columns(run, ("bright", node))[0], n) for node in run.nodes}


def analyse(run: Run) -> Result:
    """Return filling and loading time of each node."""
    data = points(run)
    found, refusals = fits.fit_each(DECAY, data, unit_x="s", relative_error=0.5)
    return Result(
        "Tweezer loading",
        estimates={f"{node}.filling": fit["offset"] for node, fit in found.items()}
        | {f"{node}.t_load_s": fit["decay"] for node, fit in found.items()},
        updates=_updates(run, found),
        fits=found,
        refusals=refusals,
    )


def _updates(run: Run, found: dict[str, fits.Fit]) -> dict[str, Estimate]:
    """Return how often a try of the believed length ends with an atom, which the budget of lab time rests on."""
    out = {}
    for node, fit in found.items():
        t_s = run.belief(belief(node, "t_loading_s"))
        if t_s is not None:
            loaded = replace(fit["offset"], value=float(fit.curve(np.array([float(t_s)]))[0]))
            out[belief(node, "p_loading")] = bounded.share(loaded)
    return out


def figure(run: Run, result: Result) -> Figure:
    """Draw the filling against loading time."""
    series = {node: (data, result.fits.get(node)) for node, data in points(run).items()}
    return scan_figures.scan(run, series, "loading time", "share of tries with an atom", "s")
