"""How strong the control light has to be. Twin of experiments/memory/control_power.py.

Clicks at the read-out against the amplitude: a lopsided peak between the amplitudes where the photon does not fit into
the window (weak) and not into the cloud (strong), taken as a Gaussian near its top. The best amplitude depends on when
the light goes off: a later edge wants a weaker light, along a ridge that is nearly flat.
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
    return stored_photons.peak(run, "Control power", "a_control", "", "a_control", lopsided=True)


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the setting with the fit."""
    return stored_photons.figure(run, result, "a_control", "DDS amplitude of the control light")
