"""Arrival, length and detectors of each node's photon. Twin of experiments/photons/photon_shape.py.

Mean and rms width are those of the clicks, dark ones taken off. The share of clicks in H detectors is 1/2 for an atom
whose photon is entangled with it, whatever the fibre does to polarisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.arrivals import Arrivals, arrivals
from analysis.estimates import Estimate, binomial
from analysis.figures import INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.photon_model import fit_photon
from analysis.result import Result
from atomlink.heralds import Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BIN = 10  # bins of 1 ns drawn as one
CAPTION = ("Clicks against time after the excitation edge, with the photon of a cavity fitted to them: first light and "
           "Rabi frequency are free, cavity and length of the pulse as believed; grey: the level of dark clicks.")


def analyse(run: Run) -> Result:
    """Return arrival, width, clicks per attempt and share of H of each node's photon."""
    estimates: dict[str, Estimate] = {}
    for node in run.nodes:
        found = arrivals(run, node)
        estimates |= {
            f"{node}.t_mean_s": found.mean(),
            f"{node}.t_rms_s": found.width(),
            f"{node}.clicks_per_attempt": found.per_attempt,
        }
        if h := _h_detectors(run):  # a station that does not tell H from V has no share of H
            estimates[f"{node}.share_h"] = binomial(int(found.counts[h].sum()), found.clicks, "H clicks/clicks")
    return Result("Photon shape", estimates=estimates)


def _h_detectors(run: Run) -> list[int]:
    return [k for k, role in enumerate(run.detectors) if Role.of(role).polarisation == "h"]


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw clicks against time for each node, with the photon that its cavity should send."""
    return draw(run)[0]


def draw(run: Run) -> tuple[Figure, list[Axes]]:
    """Return the figure and the panel of each node; for the caller to draw more into."""
    figure, panels = canvas(run, 9.6, 3.4, columns=len(run.nodes))
    for axes, node, colour in zip(panels, run.nodes, SIDE_COLOURS, strict=False):
        found = arrivals(run, node)
        bins = len(found.time_s) // BIN
        counts = found.counts[:, : bins * BIN].sum(axis=0).reshape(bins, BIN).sum(axis=1)
        edges = found.time_s[0] - 0.5e-9 + BIN * 1e-9 * np.arange(bins + 1)
        axes.stairs(counts, edges * 1e9, color=colour, alpha=0.45, fill=True, label=f"{node}, {found.clicks} clicks")
        axes.axhline(BIN * found.dark_per_bin, color=PALE, lw=0.8)
        _draw_model(axes, run, node, found)
        axes.set(xlabel="time after the excitation edge (ns)")
        legend_above(axes, fontsize=7, handlelength=1.2)
    panels[0].set(ylabel=f"clicks in {BIN} ns", ylim=(0, None))
    return figure, panels


def _draw_model(axes: Axes, run: Run, node: str, found: Arrivals) -> None:
    fit = fit_photon(run, node, found)
    if fit is None:
        return
    time_s = np.linspace(found.time_s[0], found.time_s[-1], 500)
    width_s = BIN * float(found.time_s[1] - found.time_s[0])
    first, rabi = fit["first_light"].quantity(), fit["rabi"].quantity()
    said = f"a cavity's photon: Ω/2π {rabi},\nfirst light {first}, χ² {fit.chi2:.0f} of {fit.dof}"
    axes.plot(time_s * 1e9, fit.curve(time_s) * width_s, color=INK, lw=1.2, label=said)
