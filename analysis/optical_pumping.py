"""Time constant and share of optical pumping. Twin of experiments/atoms/optical_pumping.py.

The share that was pumped rises as p - amplitude exp(-t/tau): the slower of two rates rules (repump empties F = 1,
pumping empties F = 2), the faster one only at the start, so points well below the time constant are best left out.
p falls short of one by what leaks out of the dark state, and by atoms that six excitations did not turn. Fit: binomial
maximum likelihood.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis import fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import DECAY
from analysis.result import Result, columns

NODES = ("alice", "bob")
TIME_CONSTANTS = 5.0  # of the pumping in an attempt: 0.7 % short of the end


def points(run: Run) -> dict[str, fits.Points]:
    """Return the share pumped against the length of the pumping light, by node."""
    t, n = columns(run, "t_pump", "n")
    return {node: fits.shares(t, columns(run, f"bright_{node}")[0], n) for node in NODES}


def analyse(run: Run) -> Result:
    """Return time constant and pumped share; a node whose fit is refused has none."""
    found, refusals = fits.fit_each(DECAY, points(run), unit_x="s")
    return Result(
        "Optical pumping",
        estimates={f"{node}.tau_s": fit["decay"] for node, fit in found.items()}
        | {f"{node}.pumped": fit["offset"] for node, fit in found.items()},
        updates={f"param.{node}.t_pump_s": _time(fit["decay"]) for node, fit in found.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw the pumped share against the length of the light."""
    series = {node: (data, result.fits.get(node)) for node, data in points(run).items()}
    return scan_figures.scan(run, series, "pumping light", "share pumped", "s")


def _time(tau: Estimate) -> Estimate:
    return Estimate(TIME_CONSTANTS * tau.value, TIME_CONSTANTS * tau.error, tau.n, "five time constants", "s")
