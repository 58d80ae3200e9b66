"""How strong the control light has to be. Twin of experiments/memory/control_power.py.

Clicks at the read-out against the amplitude: a peak, taken as a Gaussian between the amplitudes where the photon does
not fit into the window (weak) and not into the cloud (strong).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import scan_figures, stored_photons
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
    memory = stored_photons.memory_of(run)
    series = {memory: (stored_photons.points(run, "a_control"), result.fits.get(memory))}
    return scan_figures.scan(run, series, "DDS amplitude of the control light", "clicks per attempt", "")
