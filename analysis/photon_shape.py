"""Arrival, length and detectors of each node's photon. Twin of experiments/photons/photon_shape.py.

Mean and rms width are those of the clicks, dark ones taken off. The share of clicks in H detectors is 1/2 for an atom
whose photon is entangled with it, whatever the fibre does to polarisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.arrivals import arrivals
from analysis.estimates import Estimate, binomial
from analysis.figures import SIDE_COLOURS, canvas, styled
from analysis.load import Run
from analysis.result import Result
from atomlink.heralds import Role

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BIN = 10  # bins of 1 ns drawn as one


def analyse(run: Run) -> Result:
    """Return arrival, width, clicks per attempt and share of H of each node's photon."""
    estimates: dict[str, Estimate] = {}
    for node in run.nodes:
        found = arrivals(run, node)
        estimates |= {
            f"{node}.t_mean_s": found.mean(),
            f"{node}.t_rms_s": found.width(),
            f"{node}.clicks_per_attempt": found.per_attempt,
            f"{node}.share_h": binomial(int(found.counts[_h_detectors(run)].sum()), found.clicks, "H clicks/clicks"),
        }
    return Result("Photon shape", estimates=estimates)


def _h_detectors(run: Run) -> list[int]:
    return [k for k, role in enumerate(run.detectors) if Role.of(role).polarisation == "h"]


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw clicks against time for both nodes."""
    figure, panels = canvas(run, 9.6, 3.0, columns=2)
    for axes, node, colour in zip(panels, run.nodes, SIDE_COLOURS, strict=False):
        found = arrivals(run, node)
        bins = len(found.time_s) // BIN
        counts = found.counts[:, : bins * BIN].sum(axis=0).reshape(bins, BIN).sum(axis=1)
        edges = found.time_s[0] - 0.5e-9 + BIN * 1e-9 * np.arange(bins + 1)
        axes.stairs(counts, edges * 1e9, color=colour, fill=True, label=f"{node}, {found.clicks} clicks")
        axes.set(xlabel="time after the excitation edge (ns)", ylabel=f"clicks in {BIN} ns")
        axes.legend(loc="upper right")
    return figure
