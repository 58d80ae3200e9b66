"""The lifetime of an atom in its tweezer. Twin of experiments/atoms/trap_lifetime.py.

Survival falls as amplitude exp(-t/lifetime): losses at a constant rate, by collisions with what is left of the gas. The
amplitude is what survives loading and imaging; there is no offset, since no atom stays for ever. Fit: binomial maximum
likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import fits, scan_figures
from analysis.load import Run
from analysis.models import DECAY
from analysis.result import Result, shares_by_node

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(run: Run) -> Result:
    """Return lifetime and share kept at once; a node whose fit is refused has none."""
    points = shares_by_node(run, "t_hold")
    found, refusals = fits.fit_each(DECAY, points, unit_x="s", fixed={"offset": 0.0}, relative_error=0.5)
    return Result(
        "Trap lifetime",
        estimates={f"{node}.t_lifetime_s": fit["decay"] for node, fit in found.items()}
        | {f"{node}.kept": fit["amplitude"] for node, fit in found.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw survival against time in the dark."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "t_hold").items()}
    return scan_figures.scan(run, series, "time in the dark", "share of atoms left", "s")
