"""Time constant and share of optical pumping. Twin of experiments/atoms/optical_pumping.py.

The share that was pumped rises as p - amplitude exp(-t/tau): the slower of two rates rules (repump empties F = 1,
pumping empties F = 2), the faster one only at the start, so points well below the time constant are best left out.
p falls short of one by what leaks out of the dark state, and by atoms that six excitations did not turn. Fit: binomial
maximum likelihood; p as the interval below one (`bounded`). The share pumped after the time to believe in becomes a
belief, too: the budget of a link's fidelity rests on it.

In an attempt every further moment of pumping costs rate: the time to believe in makes most heralds per second, that is
(share pumped)^2/(pumping + rest of the attempt), squared because a herald needs both nodes. The maximum is flat (10 %
in time cost 1 % of rate), and lies at two to three time constants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar

from analysis import bounded, fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import DECAY
from analysis.result import Result, shares_by_node
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REST_S = 1.7e-6  # of an attempt, besides pumping: way of the photon 0.55, gate 0.9, dark times and overhead 0.2
LONGEST = 8.0  # time constants; 3e-4 short of the end


def analyse(run: Run) -> Result:
    """Return time constant and pumped share; a node whose fit is refused has none."""
    found, refusals = fits.fit_each(DECAY, shares_by_node(run, "t_pump"), unit_x="s")
    return Result(
        "Optical pumping",
        estimates={f"{node}.tau_s": fit["decay"] for node, fit in found.items()}
        | {f"{node}.pumped": bounded.share(fit["offset"]) for node, fit in found.items()},
        updates={belief(node, "t_pump_s"): best_time(fit) for node, fit in found.items()}
        | {belief(node, "p_pumped"): pumped_after(fit, best_time(fit).value) for node, fit in found.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw the pumped share against the length of the light."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "t_pump").items()}
    return scan_figures.scan(run, series, "pumping light", "share pumped", "s")


def best_time(fit: fits.Fit) -> Estimate:
    """Return the pumping time that makes most heralds per second, with the error that the fit's errors give it."""

    def best(values: Mapping[str, float]) -> float:
        tau_s = max(values["decay"], 0.1 * fit["decay"].value)
        return _best(tau_s, -values["amplitude"] / values["offset"])

    return Estimate(best(fit.values), fit.error_of(best), fit["decay"].n, "most heralds per second", "s")


def pumped_after(fit: fits.Fit, t_s: float) -> Estimate:
    """Return the share that is pumped after a time; the error is that of the share pumped in the end."""
    end = fit["offset"]
    after = float(fit.curve(np.array([t_s]))[0])
    return bounded.share(Estimate(after, end.error, end.n, f"fit of {fit.model.name}"))


def _best(tau_s: float, depth: float) -> float:
    """Return the best time for a share that rises as 1 - depth exp(-t/tau)."""

    def per_second(x: float) -> float:
        return -(max(1 - depth * math.exp(-x), 0.0) ** 2) / (x + REST_S / tau_s)

    return tau_s * float(minimize_scalar(per_second, bounds=(0.1, LONGEST), method="bounded").x)
