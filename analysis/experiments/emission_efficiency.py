"""Photons per attempt against the excitation light, and the best amplitude. Twin of
experiments/photons/emission_efficiency.py.

An attempt of one node ends in one click with probability dark + (1 - dark) efficiency. Against the power x that the
amplitude a makes behind the AOM, x = sin^2(pi/2 a), the adiabatic Raman transfer empties the prepared state as
1 - exp(-k x); light that is too strong drives the atom faster than the cavity takes the photon, and costs some of it:
    efficiency = top (1 - exp(-k x))/sqrt(1 + overdrive (k x)^2)
The first factor is that of adiabatic emission (A. Kuhn, M. Hennrich, G. Rempe, PRL 89, 067901 (2002)), the second one
describes, it does not explain: with OVERDRIVE, against the integrated wavepackets of the design's cavity at 0.7 to 2
times its drive, efficiency is right to 1 % and the best amplitude to 0.03. Fit: binomial maximum likelihood; overdrive
is fitted only where the points ask for it. The best amplitude is the lowest with 99.9 % of the highest efficiency: a
little less light scatters less, but falling short by a tenth costs twice what a tenth too much does. Its error holds
these 0.03.

Attempts in which a second detector clicks are not counted; with one photon per attempt these need a dark click, and
what they take, 3/4 of `dark` of the photons (1e-4), is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import Floats, Model, Start
from analysis.result import Result, columns
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENOUGH = 0.999  # of the highest efficiency
OVERDRIVE = 1e-3  # of a cavity with g/2pi = 10 MHz, kappa/2pi = 2.75 MHz and a pulse of 0.5 us
MODEL_ERROR = 0.03  # of the best amplitude: what the description misses of the integrated wavepackets
ASKED_FOR = 9.0  # of chi2: three sigma
_FINE = np.linspace(0.01, 1.0, 991)


def power(amplitude: npt.ArrayLike) -> Floats:
    """Return the diffracted share of the light for a DDS amplitude; full scale saturates the modulator."""
    return np.asarray(np.sin(0.5 * np.pi * np.asarray(amplitude, dtype=float)) ** 2)


def _efficiency(x: Floats, dark: float, top: float, strength: float, overdrive: float) -> Floats:
    area = strength * power(x)
    return np.asarray(dark + (1 - dark) * top * -np.expm1(-area) / np.sqrt(1 + overdrive * area**2))


def _start(x: Floats, y: Floats, _error: Floats) -> dict[str, Start]:
    highest = max(float(y.max()), 1e-6)
    half = float(power(x[np.argmax(y >= 0.63 * highest)]))
    return {
        "dark": (0.0, 0.0, 1.0),
        "top": (highest, 0.0, 1.0),
        "strength": (1 / max(half, 1e-2), 0.05, 500.0),
        "overdrive": (1e-3, 0.0, 1.0),
    }


TRANSFER = Model("emission", _efficiency, _start,
                 {"dark": "y", "top": "y", "strength": "", "overdrive": ""}, key="strength")  # fmt: skip


def points(run: Run) -> dict[str, fits.Points]:
    """Return the share of attempts with one click against the amplitude, by node."""
    (x,) = columns(run, "amplitude")
    return {node: fits.shares(x, *columns(run, ("clicks", node), ("n", node))) for node in run.nodes}


def dark_chance(run: Run) -> float:
    """Return the believed chance that a dark click of any detector falls into the gate."""
    rate_hz, gate_s = run.belief(run.link.of_station("dark_rate_hz")), run.belief(run.link.of_station("t_gate_s"))
    return len(run.detectors) * float(rate_hz or 0.0) * float(gate_s or 0.0)


def analyse(run: Run) -> Result:
    """Return each node's best amplitude, the efficiency there and at the believed amplitude."""
    found: dict[str, fits.Fit] = {}
    refusals: dict[str, str] = {}
    for node, data in points(run).items():
        try:
            found[node] = _fit(data, dark_chance(run))
        except fits.FitRefused as error:
            refusals[node] = str(error)
    if not found:
        raise fits.FitRefused("; ".join(f"{node}: {why}" for node, why in refusals.items()))
    estimates: dict[str, Estimate] = {}
    updates: dict[str, Estimate] = {}
    for node, fit in found.items():
        best = _propagated(fit, _best_amplitude)
        best = replace(best, error=math.hypot(best.error, MODEL_ERROR))
        reached = _propagated(fit, lambda values: _without_dark(values, _best_amplitude(values)))
        estimates |= {f"{node}.a_excitation": best, f"{node}.efficiency_best": reached}
        believed = run.belief(belief(node, "a_excitation"))
        if believed is not None:
            estimates[f"{node}.efficiency"] = _efficiency_at(fit, float(believed))
        efficiency = run.link.of_channel(run.nodes.index(node), "efficiency")
        updates |= {belief(node, "a_excitation"): best, efficiency: reached}
    return Result("Emission efficiency", estimates=estimates, updates=updates, fits=found, refusals=refusals)


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the amplitude."""
    series = {node: (data, result.fits.get(node)) for node, data in points(run).items()}
    return scan_figures.scan(run, series, "DDS amplitude of the excitation beam", "clicks per attempt")


def _fit(data: fits.Points, dark: float) -> fits.Fit:
    """Return the fit with the design's overdrive, or with the points' own where that is so much better."""
    plain = {"dark": dark, "overdrive": OVERDRIVE}
    better = fits.fit(TRANSFER, data, fixed=plain, judged=False).chi2
    better -= fits.fit(TRANSFER, data, fixed={"dark": dark}, judged=False).chi2
    return fits.fit(TRANSFER, data, fixed=plain if better < ASKED_FOR else {"dark": dark})


def _efficiency_at(fit: fits.Fit, amplitude: float) -> Estimate:
    return _propagated(fit, lambda values: _without_dark(values, amplitude))


def _without_dark(values: dict[str, float], amplitude: float) -> float:
    return float(TRANSFER(amplitude, **{**values, "dark": 0.0}))


def _best_amplitude(values: dict[str, float]) -> float:
    curve = TRANSFER(_FINE, **{**values, "dark": 0.0})
    k = int(np.argmax(curve >= ENOUGH * curve.max()))
    if k == 0:
        return float(_FINE[0])
    share = (ENOUGH * curve.max() - curve[k - 1]) / (curve[k] - curve[k - 1])
    return float(_FINE[k - 1] + share * (_FINE[k] - _FINE[k - 1]))


def _propagated(fit: fits.Fit, function: Callable[[dict[str, float]], float]) -> Estimate:
    """Return a function of the fit's parameters with its error; these are kept where they have a meaning."""
    n = next(iter(fit.estimates.values())).n
    error = fit.error_of(lambda values: function({name: max(value, 1e-9) for name, value in values.items()}))
    return Estimate(function(fit.values), error, n, f"fit of {fit.model.name}")
