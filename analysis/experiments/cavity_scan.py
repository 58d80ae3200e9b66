"""Resonance, linewidth and photons of each cavity. Twin of experiments/setup/cavity_scan.py.

A slow Raman pulse gives a photon with probability eta ~ 2C/(1 + 2C + (D/kappa)^2) at the cavity's detuning D: a
Lorentzian of half width kappa sqrt(1 + 2C), which holds as long as D/kappa stays of that size. Pulses of finite length
widen it (0.5 us by a sixth), so that the width bounds 2C from above. The share of dark clicks is the believed one.
Fit: binomial maximum likelihood. Source: H. Goto et al., PRA 99, 053843 (2019), for eta.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analysis import fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import LORENTZIAN
from analysis.result import Result, columns
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure



def points(run: Run) -> dict[str, fits.Points]:
    """Return clicks per attempt against the piezo's voltage, by node."""
    (volts,) = columns(run, "v_piezo")
    return {node: fits.shares(volts, *columns(run, ("clicks", node), ("n", node))) for node in run.nodes}


def analyse(run: Run) -> Result:
    """Return centre, linewidth, clicks per attempt at the centre, and the bound on 2C that follows."""
    found, refusals = fits.fit_each(LORENTZIAN, points(run), unit_x="V", fixed={"offset": dark(run)},
                                    start={"width": 10.0})  # fmt: skip
    estimates: dict[str, Estimate] = {}
    for node, fit in found.items():
        estimates |= {f"{node}.{name}": value for name, value in _of_node(run, node, fit).items()}
    return Result(
        "Cavity scan",
        estimates=estimates,
        updates={belief(node, "v_piezo_v"): fit["centre"] for node, fit in found.items()},
        fits=found,
        refusals=refusals,
        notes=("2C is a bound: the pulse's finite length widens the resonance, too.",),
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against voltage with both fits."""
    series: dict[str, Any] = {node: (data, result.fits.get(node)) for node, data in points(run).items()}
    return scan_figures.scan(run, series, "cavity piezo", "clicks per attempt", "V")


def dark(run: Run) -> float:
    """Return the believed share of attempts that end in a dark click."""
    (gate,) = columns(run, "t_gate_s")
    rate = run.belief(run.link.of_station("dark_rate_hz")) or 0.0
    return -math.expm1(-len(run.detectors) * float(rate) * float(gate))


def _of_node(run: Run, node: str, fit: fits.Fit) -> dict[str, Estimate]:
    width = fit["width"]
    out = {"v_centre_v": fit["centre"], "v_linewidth_v": _scaled(width, 2.0, "V")}
    out["clicks_per_attempt"] = fit["amplitude"]
    slope = float(run.belief(belief(node, "cavity_hz_per_v")) or 0.0)
    kappa = float(run.belief(belief(node, "f_kappa_hz")) or 0.0)
    if slope:
        out["f_linewidth_hz"] = _scaled(width, 2 * abs(slope), "Hz")
        ratio = width.value * abs(slope) / kappa if kappa else 0.0
        if ratio:
            error = 2 * ratio * width.error * abs(slope) / kappa
            out["two_c_at_most"] = Estimate(ratio**2 - 1, error, width.n, width.source)
    return out


def _scaled(estimate: Estimate, factor: float, unit: str) -> Estimate:
    return Estimate(estimate.value * factor, estimate.error * factor, estimate.n, estimate.source, unit)
