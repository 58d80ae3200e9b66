"""When the control light has to go off. Twin of experiments/memory/control_delay.py.

Clicks at the read-out against the time of the edge: a lopsided peak with a flat top, taken as a Gaussian near its top.
Too early, the rest of the photon finds an absorbing cloud; too late, its front is out already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import stored_photons
from analysis.load import Run
from analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(run: Run) -> Result:
    """Return the best setting, the efficiency there, and the noise per read-out."""
    return stored_photons.peak(run, "Control delay", "t_off", "s", "t_control_off_s", lopsided=True)


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the setting with the fit, and those that leaked before the read-out."""
    return stored_photons.figure(run, result, "t_off", "control light off after first light", "s",
                                 more={"before the read-out": "leaked"})  # fmt: skip
