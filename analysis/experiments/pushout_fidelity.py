"""Push-out: time constant of F = 2, loss of F = 1. Twin of experiments/atoms/pushout_fidelity.py.

Survival of F = 2 falls as amplitude exp(-t/tau); that of F = 1 stays, but for what preparation left in F = 2 and what
the light pumps. Fidelity is that of the longest pulse: half the sum of F = 2 gone and F = 1 kept.
Fit: binomial maximum likelihood. Where the pulses reach a multiple of 100 tau, the loss of F = 1 shows as a slope, and
what a pulse of the believed length costs becomes a belief: the budget of a link's fidelity rests on it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis import fits, scan_figures
from analysis.estimates import Estimate, binomial
from analysis.load import Run
from analysis.models import DECAY
from analysis.result import Result, shares_by_node
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EMPTIED = 8.0  # time constants after which nothing is left in F = 2
LONG = 100.0  # time constants that a scan must reach for the loss of F = 1 to be a slope


def points(run: Run, state: str) -> dict[str, fits.Points]:
    """Return the share of atoms left against the length of the light, by node; `state` is f1 or f2."""
    return shares_by_node(run, "t_pushout", state)


def analyse(run: Run) -> Result:
    """Return the time constant, and at the longest pulse the shares and the fidelity."""
    found, refusals = fits.fit_each(DECAY, points(run, "f2"), unit_x="s", fixed={"offset": 0.0})
    estimates: dict[str, Estimate] = {f"{node}.tau_s": fit["decay"] for node, fit in found.items()}
    for node in run.nodes:
        left, kept = _longest(points(run, "f2")[node]), _longest(points(run, "f1")[node])
        estimates |= {f"{node}.f2_left": left, f"{node}.f1_kept": kept, f"{node}.fidelity": 0.5 * (1 - left + kept)}
    updates = _updates(run, found)
    notes = tuple(f"{node}: this scan does not tell what the push-out costs an atom in F = 1, and its belief stays. "
                  f"Scan pulses up to {LONG * fit['decay'].value * 1e3:.2g} ms or longer."
                  for node, fit in found.items() if belief(node, "p_pushout_f1") not in updates)  # fmt: skip
    return Result("Push-out fidelity", estimates, updates, found, refusals, notes)


def _updates(run: Run, found: dict[str, fits.Fit]) -> dict[str, Estimate]:
    """Return what a pulse costs an atom in F = 1, where pulses far longer than those that empty F = 2 tell."""
    out = {}
    for node, gone in found.items():
        t_s, data = run.belief(belief(node, "t_pushout_s")), points(run, "f1")[node]
        late = data.x > EMPTIED * gone["decay"].value
        if t_s is None or not late.any() or data.x.max() < LONG * gone["decay"].value:
            continue
        assert data.successes is not None and data.trials is not None
        kept = fits.shares(data.x[late], data.successes[late], data.trials[late])
        try:
            decay = fits.fit(DECAY, kept, unit_x="s", fixed={"offset": 0.0})["decay"]
        except fits.FitRefused:
            continue
        lost = -math.expm1(-float(t_s) / decay.value)
        out[belief(node, "p_pushout_f1")] = replace(decay, value=lost, error=lost * decay.error / decay.value, unit="")
    return out


def figure(run: Run, result: Result) -> Figure:
    """Draw what is left of both states."""
    series = {f"{node}, F = 2": (data, result.fits.get(node)) for node, data in points(run, "f2").items()}
    series |= {f"{node}, F = 1": (data, None) for node, data in points(run, "f1").items()}
    return scan_figures.scan(run, series, "push-out light", "share of atoms left", "s")


def _longest(points: fits.Points) -> Estimate:
    assert points.successes is not None and points.trials is not None
    return binomial(int(points.successes[-1]), int(points.trials[-1]), "at the longest pulse")
