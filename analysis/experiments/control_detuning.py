"""Where the memory is on two-photon resonance. Twin of experiments/memory/control_detuning.py.

Clicks at the read-out against the frequency of the control light: the transparency window, as wide as
sqrt(ln 2) Omega^2/(Gamma sqrt(OD)), taken as a Gaussian.
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
    return stored_photons.peak(run, "Control detuning", "f_control", "Hz", "f_control_hz")


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the setting with the fit."""
    return stored_photons.figure(run, result, "f_control", "frequency of the control AOM", "Hz")
