"""The photon that a cavity should send: the model to which a histogram of arrivals is fitted.

A Raman pulse of constant Rabi frequency, with the rise of its AOM, drives the atom in the cavity; what leaks out of it
is the photon. The equations are those of `sim.physics.emission` (C. K. Law, J. Eberly, PRL 76, 1055 (1996)). Length of
the pulse and width of the cavity are beliefs, coupling and rise those of the design; fitted are number, first light and
Rabi frequency. Good for a cavity on resonance; chi2 says whether it is one.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from analysis import fits
from analysis.arrivals import Arrivals
from analysis.fits import Fit, FitRefused
from analysis.load import Run
from analysis.models import Model, Start
from atomlink.at_port import belief

Floats = npt.NDArray[np.float64]

COUPLING_RAD_S = 2 * math.pi * 10e6   # of the design's cavity
DECAY_RAD_S = 2 * math.pi * 3.03e6    # of the Rb-87 5P3/2 amplitude: D. A. Steck, Rubidium 87 D Line Data
RISE_S = 25e-9                        # of the AOM, 0 to full amplitude
WIDTH_RAD_S = 2 * math.pi * 2.75e6    # where no belief says otherwise
STEP_S, LONGEST_S = 2e-9, 3e-6        # of the grid on which the photon is worked out
BIN_S = 20e-9                         # of the histogram that is fitted
FEWEST_BINS = 8


def fit_photon(run: Run, node: str, found: Arrivals) -> Fit | None:
    """Return the fit of a node's arrivals, y in clicks per s; None where too few bins or no fit converge."""
    pulse_s = float(run.belief(belief(node, "t_excitation_s")) or 0.0)
    width_hz = run.belief(belief(node, "f_kappa_hz"))
    width_rad_s = 2 * math.pi * float(width_hz) if width_hz else WIDTH_RAD_S
    bin_s = float(found.time_s[1] - found.time_s[0]) if len(found.time_s) > 1 else BIN_S
    merged = max(1, round(BIN_S / bin_s))
    bins = len(found.time_s) // merged
    if bins < FEWEST_BINS or not 0 < pulse_s < LONGEST_S:
        return None
    counts = found.counts.sum(axis=0)[: bins * merged].reshape(bins, merged).sum(axis=1)
    times = found.time_s[: bins * merged].reshape(bins, merged).mean(axis=1)
    model = photon(pulse_s, width_rad_s, merged * bin_s)
    dark_per_s = max(found.dark_per_bin / bin_s, 1e-3 / (merged * bin_s))  # a Poisson model must stay > 0
    try:
        return fits.fit(model, fits.counts(times, counts, merged * bin_s), unit_x="s", fixed={"dark": dark_per_s},
                        judged=False)  # fmt: skip
    except FitRefused:
        return None


def photon(pulse_s: float, width_rad_s: float, bin_s: float) -> Model:
    """Return the model of clicks per s, averaged over a bin about each time after the excitation edge."""
    grid = np.arange(0.0, min(2.5 * pulse_s + 0.2e-6, LONGEST_S), STEP_S)

    @functools.lru_cache(maxsize=8)
    def come(rabi: float) -> Floats:  # share of the photon that has come
        return np.concatenate([[0.0], np.cumsum(_shape(grid, rabi, pulse_s, width_rad_s))[:-1] * STEP_S])

    def rate(t: Floats, clicks: float, first_light: float, rabi: float, dark: float) -> Floats:
        begin, end = (np.interp(t - first_light + side * bin_s / 2, grid, come(rabi)) for side in (-1, 1))
        return clicks * (end - begin) / bin_s + dark

    def start(t: Floats, y: Floats, error: Floats) -> dict[str, Start]:
        total = float(y.sum() * (t[1] - t[0]))
        mean = float(t @ y / y.sum()) if total > 0 else float(t.mean())
        return {"clicks": (total, 0.0, math.inf), "first_light": (mean - 0.28 * pulse_s, t[0] - pulse_s, t[-1]),
                "rabi": (10e6, 1e6, 50e6), "dark": (0.0, 0.0, math.inf)}  # fmt: skip

    units = {"clicks": "1", "first_light": "x", "rabi": "1/x", "dark": "y"}
    return Model("photon of a cavity", rate, start, units, key="first_light", located=("first_light",))


def _shape(grid: Floats, rabi_hz: float, pulse_s: float, width_rad_s: float) -> Floats:
    """Return the photon's probability per s on the grid; its integral is 1."""
    from sim.physics.emission import propagate

    envelope = np.clip(grid / RISE_S, 0, 1) * np.clip((pulse_s + RISE_S - grid) / RISE_S, 0, 1)
    amplitudes = propagate(grid, 2 * math.pi * rabi_hz * envelope, 0.0, COUPLING_RAD_S, width_rad_s, DECAY_RAD_S, 0.0)
    leaks = np.abs(amplitudes[:, 2]) ** 2
    return leaks / max(float(leaks.sum()) * STEP_S, 1e-30)
