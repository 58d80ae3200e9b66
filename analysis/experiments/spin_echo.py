"""T2 from a spin echo. Twin of experiments/atoms/spin_echo.py.

The half turn undoes what is constant within a shot; the rest decays as exp(-t/T2). The last axis turns with f_offset,
so the share left is offset + amplitude cos(2 pi f_offset t + phase) exp(-t/T2), f_offset known. Half of the atoms are
lost in preparing |0>, so the amplitude cannot exceed 1/4: where it does by chance, which makes T2 look too short, T2 is
fitted with it held there. T2 must be known to 30 %: a scan over less than T2 or of few shots does not determine it.
Source: E. L. Hahn, Phys. Rev. 80, 580 (1950). Fit: binomial maximum likelihood.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import bounded, fits, scan_figures
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.models import Floats, Model, Start
from analysis.result import Result, columns, shares_by_node
from atomlink.at_port import belief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_AMPLITUDE = 0.25


def echo(x: Floats, offset: float, amplitude: float, phase: float, decay: float, frequency: float) -> Floats:
    """Return fringes of a known frequency that decay exponentially."""
    return np.asarray(offset + amplitude * np.cos(2 * math.pi * frequency * x + phase) * np.exp(-x / decay))


def _start(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    return {
        "offset": (float(np.mean(y)), -math.inf, math.inf),
        "amplitude": (0.5 * float(np.ptp(y)), 0.0, math.inf),
        "phase": (0.0, -3 * math.pi, 3 * math.pi),
        "decay": (float(np.ptp(x)), float(np.ptp(x)) / 50, 1000 * float(np.ptp(x))),
    }


ECHO = Model("spin echo", echo, _start, {"offset": "y", "amplitude": "y", "phase": "rad", "decay": "x"}, key="decay")


def analyse(run: Run) -> Result:
    """Return T2 of each node; a node whose fit is refused has none."""
    model = replace(ECHO, constants={"frequency": float(columns(run, "f_offset")[0])})
    found, contrasts, refusals = _fit_each(model, shares_by_node(run, "t_wait"))
    times = {node: fit["decay"] for node, fit in found.items()}
    return Result(
        "Spin echo",
        estimates={f"{node}.t2_s": value for node, value in times.items()}
        | {f"{node}.contrast": contrasts[node] for node in found},
        updates={belief(node, "t2_s"): value for node, value in times.items()},
        fits=found,
        refusals=refusals,
    )


Fits = dict[str, fits.Fit]


def _fit_each(model: Model, series: dict[str, fits.Points]) -> tuple[Fits, dict[str, Estimate], dict[str, str]]:
    """Return fits, contrasts (of fits with a free amplitude) and refusals by node; FitRefused where no fit is left."""
    found, contrasts, refusals = Fits(), dict[str, Estimate](), dict[str, str]()
    for node, data in series.items():
        try:
            amplitude = fits.fit(model, data, unit_x="s", judged=False)["amplitude"]
            held = {"amplitude": LARGEST_AMPLITUDE} if amplitude.value > LARGEST_AMPLITUDE else {}
            found[node] = fits.fit(model, data, unit_x="s", fixed=held)
            contrasts[node] = bounded.share(4 * amplitude)
        except fits.FitRefused as error:
            refusals[node] = str(error)
    if not found:
        raise fits.FitRefused(" ".join(f"{node}: {why}" for node, why in refusals.items()))
    return found, contrasts, refusals


def figure(run: Run, result: Result) -> Figure:
    """Draw the fringes of both nodes."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "t_wait").items()}
    return scan_figures.scan(run, series, "from the first pulse to the last", "share of atoms left", "s")
