"""T2 of qubits stored under XY8 while one is measured. Twin of experiments/atoms/register_ramsey.py.

After a last pi/2 pulse an atom that has kept its phase is left, after -pi/2 it is pushed out. Both halves of the shots
together: the share in which a qubit is where its phase should bring it is 1/2 + C/2 exp(-t/T2); losses of atoms make C
smaller and have no part in the 1/2. One T2 is fitted to all qubits that wait (those measured midway are gone or known),
so loss from the trap counts as its rate: 1/T = 1/T2 + 1/lifetime. The qubit at the port was in a superposition: half of
the measurements midway must see it. Predicted: exp(-t/T2) with the believed T2. Fit: binomial maximum likelihood.
Source: D. Bluvstein et al., Nature 604, 451 (2022), for stored qubits under decoupling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import bounded, fits
from analysis.estimates import Estimate, binomial
from analysis.figures import ACCENT, PALE, canvas, colour, legend_above, styled
from analysis.load import Run
from analysis.models import DECAY
from analysis.result import Result, columns
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "coherence"


def points(run: Run) -> dict[str, fits.Points]:
    """Return the share of shots with the phase kept against the wait: of each qubit beside the port's."""
    t, kept, n = columns(run, "t_wait", "kept", "n")
    table = np.atleast_2d(np.asarray(kept))
    return {f"qubit {k}": fits.shares(t, table[:, k], n) for k in range(1, table.shape[1])}


def together(run: Run) -> fits.Points:
    """Return the same of all these qubits as one."""
    t, kept, n = columns(run, "t_wait", "kept", "n")
    table = np.atleast_2d(np.asarray(kept))[:, 1:]
    return fits.shares(t, table.sum(axis=1), np.asarray(n) * table.shape[1])


def analyse(run: Run) -> Result:
    """Return T2, the contrast at once, each qubit's share over all waits, and what the measurement midway saw."""
    node = str(run.datasets["scan.node"])
    estimates: dict[str, Estimate] = {}
    seen, n = columns(run, "seen_midway", "n")
    if int(run.datasets["scan.measure_midway"]):
        estimates["seen_midway"] = binomial(int(np.sum(seen)), int(np.sum(n)), "share of measurements")
    kept = np.atleast_2d(np.asarray(columns(run, "kept")[0]))
    for k in range(1, kept.shape[1]):
        estimates[f"kept_{k}"] = binomial(int(kept[:, k].sum()), int(np.sum(n)), "share of shots, all waits")
    try:
        fit = fits.fit(DECAY, together(run), unit_x="s", fixed={"offset": 0.5}, relative_error=0.5)
    except fits.FitRefused as error:
        return Result("Register coherence", estimates, refusals={NAME: str(error)})
    estimates |= {"t2_storage_s": fit["decay"], "contrast": bounded.share(2 * fit["amplitude"])}
    updates = {belief(node, "t2_storage_s"): fit["decay"]}
    return Result("Register coherence", estimates, updates=updates, fits={NAME: fit})


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the coherence of each qubit and of all against the wait, with fit and prediction."""
    picture, (axes,) = canvas(run, 9.6, 3.8)
    for k, (name, data) in enumerate(points(run).items()):
        axes.errorbar(data.x, 2 * data.y - 1, 2 * data.error, fmt="o", ms=4, color=colour(k), elinewidth=1, label=name)
    data = together(run)
    fine = np.linspace(0, float(data.x.max()), 300)
    fit = result.fits.get(NAME)
    if fit is not None:
        axes.plot(fine, 2 * fit.curve(fine) - 1, color=ACCENT, lw=1.2, label=f"fit: T2 = {fit['decay'].quantity()}")
    believed = run.belief(belief(str(run.datasets["scan.node"]), "t2_storage_s"))
    if believed is not None:
        axes.plot(fine, np.exp(-fine / believed), color=PALE, lw=1.1, ls="--", label=f"believed: T2 = {believed:g} s")
    axes.set(xlabel="from the first π/2 pulse to the last (s)", ylabel="coherence", ylim=(-0.15, 1.1))
    axes.axhline(0, color=PALE, lw=0.8)
    legend_above(axes, 3)
    return picture
