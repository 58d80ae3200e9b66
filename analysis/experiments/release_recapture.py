"""The temperature of an atom from release and recapture. Twin of experiments/atoms/release_recapture.py.

An atom that is released flies freely and is caught if its energy in the restored trap is below zero; how many are
depends on the time off, their temperature, and the trap (depth, waist, wavelength as believed):
    share = kept x recaptured(t, T),   kept: what survives cooling and imaging, at most 1
`recaptured` is worked out by `sim.physics.recapture` for ATOMS thermal atoms at each temperature of a grid, the same
random numbers for all, and interpolated; its own noise, 1/(2 sqrt(ATOMS)) = 0.5 %, is below that of the shots. The
temperature goes with depth: a belief that is off by a per cent makes it wrong by about as much.
Source: C. Tuchendler, A. M. Lance, A. Browaeys, Y. R. P. Sortais, P. Grangier, PRA 78, 033425 (2008). Fit: binomial
maximum likelihood. Atoms are Rb-87.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from analysis import fits, scan_figures
from analysis.load import Run
from analysis.models import Floats, Model, Start
from analysis.result import Result, shares_by_node
from atomlink.at_port import belief
from atomlink.errors import DataError
from sim.physics.recapture import recapture_probability
from sim.physics.species import RB87
from sim.physics.trap import Trap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ATOMS = 10_000
TIMES = 25  # of the grid
TEMPERATURES = 20
COLDEST, HOTTEST = 1e-3, 0.2  # of the trap's depth: the grid of temperatures


def analyse(run: Run) -> Result:
    """Return the temperature of each node's atom."""
    found: dict[str, fits.Fit] = {}
    refusals: dict[str, str] = {}
    for node, points in shares_by_node(run, "t_release").items():
        try:
            found[node] = fits.fit(model(trap(run, node), float(points.x.max())), points, unit_x="s")
        except fits.FitRefused as error:
            refusals[node] = str(error)
    if not found:
        raise fits.FitRefused("; ".join(f"{node}: {why}" for node, why in refusals.items()))
    return Result(
        "Release and recapture",
        estimates={f"{node}.temperature_k": fit["temperature"] for node, fit in found.items()},
        fits=found,
        refusals=refusals,
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw the share recaptured against the time off."""
    series = {node: (data, result.fits.get(node)) for node, data in shares_by_node(run, "t_release").items()}
    return scan_figures.scan(run, series, "trap off", "share of atoms recaptured", "s")


def trap(run: Run, node: str) -> Trap:
    """Return the trap as it was believed to be; DataError where the file does not say."""
    values = [run.belief(belief(node, f"trap_{name}")) for name in ("depth_k", "waist_m", "wavelength_m")]
    if any(value is None for value in values):
        raise DataError(f"The file has no `param.{node}.trap_depth_k`, `…waist_m`, `…wavelength_m`: the temperature of "
                        f"{node} needs them.")  # fmt: skip
    return Trap(*(float(value) for value in values))


@functools.cache
def model(trap: Trap, longest_s: float) -> Model:
    """Return the model for one trap and times up to `longest_s`."""
    times = np.linspace(0.0, max(longest_s, 1e-6), TIMES)
    grid = trap.depth_k * np.geomspace(COLDEST, HOTTEST, TEMPERATURES)
    table = np.array([recapture_probability(np.random.default_rng(1), trap, RB87.mass_kg, float(t), times, ATOMS)
                      for t in grid])  # fmt: skip
    caught = RegularGridInterpolator((np.log(grid), times), table, method="linear")

    def share(x: Floats, kept: float, temperature: float) -> Floats:
        at = np.clip(np.log(temperature), np.log(grid[0]), np.log(grid[-1]))
        return np.asarray(kept * caught(np.stack([np.full(np.shape(x), at), np.clip(x, 0.0, times[-1])], axis=-1)))

    def start(x: Floats, y: Floats, _error: Floats) -> dict[str, Start]:
        costs = [float(np.sum((share(x, float(y.max()), float(t)) - y) ** 2)) for t in grid]
        return {"kept": (float(y.max()), 0.0, 1.0),
                "temperature": (float(grid[int(np.argmin(costs))]), float(grid[0]), float(grid[-1]))}  # fmt: skip

    return Model("release and recapture", share, start, {"kept": "y", "temperature": "K"}, key="temperature")
