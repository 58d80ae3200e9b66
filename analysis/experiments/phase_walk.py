"""How fast the optical phase of a one-photon station walks. Twin of experiments/link/phase_walk.py.

The phase that a reading finds has gathered since the correction before: its variance is D t for a random walk, reading
noise taken off (`drivers.rtio.phase_lock`). D is the sum of the squares over that of the times, all waits together; its
error comes from the squares' own spread. A walk below nothing is nothing: the interval from 0 up (`bounded`). Waits
after which the phase went round are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import bounded, fits, scan_figures
from analysis.estimates import Estimate
from analysis.figures import ACCENT, styled
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FARTHEST_RAD2 = 0.7  # of a mean square; beyond, some went round by more than half a turn


def analyse(run: Run) -> Result:
    """Return the walk in rad^2/s, and the age of a reading at which it has made 0.1 rad of rms."""
    n, age_s, variance, spread, t_wait = columns(run, "n", "age_s", "variance", "spread", "t_wait")
    near = (variance <= FARTHEST_RAD2) & (n > 1)
    if not near.any():
        raise DataError(f"Run {run.label}: the phase went round in every wait: choose waits below {t_wait.min():g} s.")
    total_s = float((n * age_s)[near].sum())
    value = float((n * variance)[near].sum()) / total_s
    error = float(np.sqrt((n * spread**2)[near].sum())) / total_s
    free = Estimate(value, error, int(n[near].sum()), "squares over times of the readings")
    walk = -bounded.at_most(0.0, -free)
    left_out = [] if near.all() else [f"Waits after which the phase went round are left out: {np.sum(~near)} rows."]
    return Result("Phase walk", {"phase_walk_rad2_s": walk}, {run.link.of_station("phase_walk_rad2_s"): walk},
                  notes=tuple(left_out))  # fmt: skip


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the mean square of the phase that came in a wait, and the walk."""
    n, age_s, variance, spread = columns(run, "n", "age_s", "variance", "spread")
    points = fits.values(age_s, variance, np.maximum(spread / np.sqrt(n), 1e-9))
    figure = scan_figures.scan(run, {"readings": (points, None)}, "time since the correction", "phase squared (rad²)",
                               "s")  # fmt: skip
    (axes,) = figure.axes
    walk = result.estimates["phase_walk_rad2_s"]
    ends_s = np.array([0.0, 1.05 * float(points.x.max())])
    factor, _ = scan_figures.scaled("s", float(points.x.max()))
    axes.plot(ends_s * factor, walk.value * ends_s, color=ACCENT, lw=1.2, label=f"walk {walk.number()} rad²/s")
    axes.set(xlim=ends_s * factor, ylim=(0, None))
    axes.legend(loc="upper left")
    return figure
