"""Where the memory is on two-photon resonance. Twin of experiments/memory/control_detuning.py.

Clicks at the read-out against the frequency of the control light: the transparency window, as wide as
sqrt(ln 2) Omega^2/(Gamma sqrt(OD)), taken as a Gaussian.
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
    return stored_photons.peak(run, "Control detuning", "f_control", GAUSSIAN, "Hz", "f_control_hz")


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the setting with the fit."""
    memory = stored_photons.memory_of(run)
    series = {memory: (stored_photons.points(run, "f_control"), result.fits.get(memory))}
    return scan_figures.scan(run, series, "frequency of the control AOM", "clicks per attempt", "Hz")
