"""Precession frequency, field and T2* from Ramsey fringes. Twin of experiments/atoms/ramsey.py.

The second pulse's axis precesses at the believed frequency plus f_offset: the share left is offset + amplitude
cos(2 pi f t + phase) exp(-(t/T2*)^2) with f = f_offset + believed - true, provided that f_offset is larger than the
belief's error. Gaussian decay: quasi-static field noise. Source: N. F. Ramsey, Phys. Rev. 78, 695 (1950). Fit: binomial
maximum likelihood. What an echo leaves, exp(-t/T2) with the believed T2, is in the fitted decay, too: T2* is without
it, so that both together give back the fringes' 1/e time. It becomes a belief where the scan tells it to 10 %; a note
says where it does not, and where it cannot be told at all.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis import fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import RAMSEY
from analysis.result import Result, columns, shares_by_node
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DETERMINED = 0.1  # relative error up to which T2* becomes a belief
TOLD = 0.5  # relative error up to which T2* is an estimate
HZ_PER_GAUSS = 1.40e6  # m = -1, +1 of F = 1 in Rb-87: 2 x 0.70 MHz/G (D. A. Steck, Rubidium 87 D Line Data)


def analyse(run: Run) -> Result:
    """Return precession frequency, field, and T2* where the scan is long enough to tell."""
    found, refusals = fits.fit_each(RAMSEY, shares_by_node(run, "t_wait"), unit_x="s")
    larmor = {node: _larmor(run, node, fit["frequency"]) for node, fit in found.items()}
    estimates = {f"{node}.f_larmor_hz": value for node, value in larmor.items()}
    updates = {belief(node, "f_larmor_hz"): value for node, value in larmor.items()}
    notes = []
    for node, value in larmor.items():
        estimates[f"{node}.field_gauss"] = Estimate(
            value.value / HZ_PER_GAUSS, value.error / HZ_PER_GAUSS, value.n, value.source, "G"
        )
        decay = _t2_star(run, node, found[node]["decay"])
        if decay.error < TOLD * decay.value:
            estimates[f"{node}.t2_star_s"] = decay
        if decay.error < DETERMINED * decay.value:
            updates[belief(node, "t2_star_s")] = decay
        else:
            notes.append(_untold(run, node, decay))
    return Result("Ramsey fringes", estimates, updates, found, refusals, tuple(notes))


def figure(run: Run, result: Result) -> Figure:
    """Draw the fringes of both nodes."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "t_wait").items()}
    return scan_figures.scan(run, series, "wait between the pulses", "share of atoms left", "s")


def _untold(run: Run, node: str, decay: Estimate) -> str:
    """Return why T2* does not become a belief, and what to do."""
    (t_wait,) = columns(run, "t_wait")
    longest = Estimate(float(t_wait.max()), 0.0, unit="s").quantity()
    if decay.error < TOLD * decay.value:
        said = f"T2* is known to {decay.error / decay.value:.0%}, must be to {DETERMINED:.0%} to become a belief"
    else:
        said = f"waits up to {longest} see no decay that tells T2*"
    return f"{node}: {said}. Scan waits over as long as T2*, or take more shots."


def _t2_star(run: Run, node: str, decay: Estimate) -> Estimate:
    """Return T2* of fringes that fall to 1/e after `decay`: 1 = (decay/T2*)^2 + decay/T2."""
    t2_s = run.belief(belief(node, "t2_s"))
    rest = 1.0 if t2_s is None else 1 - decay.value / float(t2_s)
    if rest <= 0.1:  # the believed T2 cannot be: then all of the decay is taken for T2*
        return decay
    return replace(decay, value=decay.value / math.sqrt(rest), error=decay.error / math.sqrt(rest))


def _larmor(run: Run, node: str, fringes: Estimate) -> Estimate:
    believed, offset = columns(run, ("f_believed", node), "f_offset")
    return Estimate(float(believed + offset) - fringes.value, fringes.error, fringes.n, fringes.source, "Hz")
