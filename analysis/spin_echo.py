"""T2 from a spin echo. Twin of experiments/atoms/spin_echo.py.

The half turn undoes what is constant within a shot; the rest decays as exp(-t/T2). The last axis turns with f_offset,
so the share left is offset + amplitude cos(2 pi f_offset t + phase) exp(-t/T2), f_offset known. Source: E. L. Hahn,
Phys. Rev. 80, 580 (1950). Fit: binomial maximum likelihood.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from analysis import fits, scan_figures
from analysis.load import Run
from analysis.models import Floats, Model, Start
from analysis.result import Result, columns

NODES = ("alice", "bob")


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


def points(run: Run) -> dict[str, fits.Points]:
    """Return the share of atoms left against the wait, by node."""
    t, n = columns(run, "t_wait", "n")
    return {node: fits.shares(t, columns(run, f"bright_{node}")[0], n) for node in NODES}


def analyse(run: Run) -> Result:
    """Return T2 of each node; a node whose fit is refused has none."""
    model = replace(ECHO, constants={"frequency": float(columns(run, "f_offset")[0])})
    found, refusals = fits.fit_each(model, points(run), unit_x="s", relative_error=0.5)
    times = {node: fit["decay"] for node, fit in found.items()}
    return Result(
        "Spin echo",
        estimates={f"{node}.t2_s": value for node, value in times.items()}
        | {f"{node}.contrast": 4 * fit["amplitude"] for node, fit in found.items()},
        updates={f"param.{node}.t2_s": value for node, value in times.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw the fringes of both nodes."""
    series = {node: (data, result.fits.get(node)) for node, data in points(run).items()}
    return scan_figures.scan(run, series, "from the first pulse to the last", "share of atoms left", "s")
