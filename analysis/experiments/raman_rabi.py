"""The Raman beams' pi time. Twin of experiments/atoms/raman_rabi.py.

An atom in |0> is rotated and pushed out if it is found in |1>: the share that is left is offset + amplitude
cos(2 pi f t), with amplitude and offset 1/4 at best (half of the atoms are lost in preparing |0>); the pi time is
1/(2 f). Fit: binomial maximum likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import fits, scan_figures
from analysis.estimates import half_period
from analysis.load import Run
from analysis.models import RABI
from analysis.result import Result, shares_by_node
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(run: Run) -> Result:
    """Return the pi times; a node whose fit is refused has none."""
    found, refusals = fits.fit_each(RABI, shares_by_node(run, "t_raman"), unit_x="s")
    times = {node: half_period(fit["frequency"]) for node, fit in found.items()}
    return Result(
        "Raman Rabi oscillation",
        estimates={f"{node}.t_raman_pi_s": time for node, time in times.items()}
        | {f"{node}.contrast": 4 * fit["amplitude"] for node, fit in found.items()},
        updates={belief(node, "t_raman_pi_s"): time for node, time in times.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw the oscillations of both nodes."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "t_raman").items()}
    return scan_figures.scan(run, series, "Raman pulse", "share of atoms left", "s")
