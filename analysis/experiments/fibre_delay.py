"""The delay of each node's photons. Twin of experiments/setup/fibre_delay.py.

delay = time by which a tenth of the photons have come - 0.204 t_wavepacket, the same time after first light. A tenth
and not the mean: light 10 % stronger makes the mean 14 ns earlier, but the first tenth 2 ns, and its statistical error
is a third. The ratio 0.204 to the mean t_wavepacket is that of the design's photon (pulse of 0.5 us, g/2pi = 10 MHz,
kappa/2pi = 2.75 MHz, integrated with the equations of C. K. Law, J. Eberly, PRL 76, 1055 (1996)).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.arrivals import arrivals
from analysis.estimates import Estimate
from analysis.experiments import photon_shape
from analysis.figures import ACCENT, INK, legend_above, styled
from analysis.load import Run
from analysis.result import Result
from atomlink.at_port import belief
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = ("Clicks against time after the excitation edge. Dotted: the time by which a tenth have come; red: the delay "
           "that follows from it; black: the photon of a cavity, fitted.")
EARLY = 0.1  # share of the photons whose coming is timed
EARLY_RATIO = 0.204  # time by which they have come over the mean time, both after first light


def analyse(run: Run) -> Result:
    """Return both delays and their difference."""
    delays = {node: _delay(run, node) for node in run.nodes}
    difference = delays[run.nodes[0]] - delays[run.nodes[1]]
    return Result(
        "Fibre delay matching",
        estimates={f"{node}.t_photon_s": delay for node, delay in delays.items()}
        | {"difference_s": replace(difference, source=" - ".join(run.nodes), unit="s")},
        updates={run.link.of_channel(k, "t_photon_s"): delay for k, delay in enumerate(delays.values())},
    )


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw clicks against time for each node, the time by which a tenth have come, and the delay found from it."""
    figure, panels = photon_shape.draw(run)
    for axes, node in zip(panels, run.nodes, strict=False):
        early, delay = arrivals(run, node).quantile(EARLY), result.estimates[f"{node}.t_photon_s"]
        axes.axvline(early.value * 1e9, color=INK, lw=0.9, ls=":", label=f"{EARLY:.0%} have come: {early.quantity()}")
        axes.axvline(delay.value * 1e9, color=ACCENT, lw=1.2, label=f"delay {delay.quantity()}")
        legend_above(axes, fontsize=7, handlelength=1.2)
    return figure


def _delay(run: Run, node: str) -> Estimate:
    believed = run.belief(belief(node, "t_wavepacket_s"))
    if believed is None:
        raise DataError(f"The file has no `param.{node}.t_wavepacket_s`: the delay of {node} needs it.")
    early = arrivals(run, node).quantile(EARLY)
    return Estimate(early.value - EARLY_RATIO * float(believed), early.error, early.n, early.source, "s")
