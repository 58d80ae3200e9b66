"""How strong the control light has to be. Twin of experiments/memory/control_power.py.

Clicks at the read-out against the amplitude: a peak, taken as a Gaussian between the amplitudes where the photon does
not fit into the window (weak) and not into the cloud (strong).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import stored_photons
from analysis.load import Run
from analysis.models import GAUSSIAN
from analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(run: Run) -> Result:
    """Return the best setting, the efficiency there, and the noise per read-out."""
    return stored_photons.peak(run, "Control power", "a_control", GAUSSIAN, "", "a_control")


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the setting with the fit."""
    return stored_photons.figure(run, result, "a_control", "DDS amplitude of the control light")
