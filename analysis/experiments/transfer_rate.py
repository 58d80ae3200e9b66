"""How fast excitation light empties the prepared state. Twin of experiments/atoms/transfer_rate.py.

Light of power x = sin^2(pi/2 a), with a the DDS amplitude, leaves exp(-r x (1 - CURVATURE x)) of the atoms in F = 2,
m = 0: r is the rate of a weak pulse, which the one-photon scheme rests on. The rest is spared by the push-out; so is a
constant part that pumping left in F = 1, and what fails in pumping and read-out scales all:
    share left = offset + amplitude (1 - exp(-r x (1 - CURVATURE x)))
CURVATURE describes: of integrated wavepackets of the design's cavity it makes r right to 0.3 % up to full power.
Fit: binomial maximum likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import fits, scan_figures
from analysis.experiments.emission_efficiency import power
from analysis.load import Run
from analysis.models import Floats, Model, Start
from analysis.result import Result, shares_by_node
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVATURE = 0.165  # of a cavity with g/2pi = 10 MHz, kappa/2pi = 2.75 MHz and a pulse of 0.5 us


def _left(x: Floats, offset: float, amplitude: float, rate: float) -> Floats:
    light = power(x)
    return np.asarray(offset - amplitude * np.expm1(-rate * light * (1 - CURVATURE * light)))


def _start(x: Floats, y: Floats, _error: Floats) -> dict[str, Start]:
    half = float(power(x[np.argmax(y >= 0.63 * y.max())]))
    return {"offset": (0.0, 0.0, 1.0), "amplitude": (float(y.max()), 0.0, 1.0),
            "rate": (1 / max(half, 1e-2), 0.05, 500.0)}  # fmt: skip


MODEL = Model("transfer", _left, _start, {"offset": "y", "amplitude": "y", "rate": "1"}, key="rate")


def analyse(run: Run) -> Result:
    """Return the rate of each node, and the share that light of full power takes; a refused fit has none."""
    found, refusals = fits.fit_each(MODEL, shares_by_node(run, "amplitude"))
    rates = {node: fit["rate"] for node, fit in found.items()}
    return Result(
        "Transfer rate",
        estimates={f"{node}.transfer_rate": rate for node, rate in rates.items()}
        | {f"{node}.taken": fit["amplitude"] for node, fit in found.items()},
        updates={belief(node, "transfer_rate"): rate for node, rate in rates.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw the share of atoms left against the amplitude."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "amplitude").items()}
    return scan_figures.scan(run, series, "DDS amplitude of the excitation beam", "share of atoms left")
