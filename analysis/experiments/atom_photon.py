"""Correlations of each node's atom with its photon. Twin of experiments/photons/atom_photon.py.

Emission leaves (|0>H + |1>V)/sqrt 2. The detectors tell H from V, always in the same basis, so one correlation is seen
in full: E_k = <sigma_k Z>, atom along k = x, y, z, photon +1 for H and -1 for V. With H and V aligned E_z is the
visibility (1 if nothing is lost) and E_x = E_y = 0. A fibre that turns polarisation turns the vector (E_x, E_y, E_z)
with it, and leaves its length: that is the visibility, whatever the detectors see, angle the one between vector and z.
Correlations in a second basis of the photon (a Bell test) need detectors that turn; entanglement of the atoms, measured
over the link, shows these. Pumping, read-out and dark clicks reduce the length: nothing is corrected.
Source: B. B. Blinov, D. L. Moehring, L.-M. Duan, C. Monroe, Nature 428, 153 (2004).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analysis.estimates import Estimate, binomial
from analysis.figures import ACCENT, PALE, SIDE_COLOURS, canvas, styled
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.errors import DataError
from atomlink.heralds import Role

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = ("x", "y", "z")
NOTES = (
    "The photon is measured in one basis alone: classical pairs can be correlated as well, so this does not show "
    "entanglement. The link's pairs do.",
    "An angle between two directions is never negative: one of a few of its errors is compatible with 0.",
)


def correlation(run: Run, node: str, axis: str) -> Estimate:
    """Return <atom along the axis x photon>; DataError where nothing clicked."""
    roles = [Role.of(name).polarisation for name in run.detectors]
    counts = np.asarray(columns(run, (axis, node))[0], dtype=int).reshape(-1, len(roles), 2).sum(axis=0)
    if not counts.sum():
        raise DataError(f"Run {run.label} has no click of {node}: look at light, cavity and switch.")
    agree = sum(int(counts[k, 1 if role == "h" else 0]) for k, role in enumerate(roles))
    share = binomial(agree, int(counts.sum()), f"atom along {axis} and photon agree, binomial")
    return 2 * share - 1


def analyse(run: Run) -> Result:
    """Return the correlations of each node, the length of their vector, and its angle to z."""
    estimates: dict[str, Estimate] = {}
    for node in run.nodes:
        vector = [correlation(run, node, axis) for axis in AXES]
        estimates |= {f"{node}.e_{axis}": value for axis, value in zip(AXES, vector, strict=True)}
        estimates[f"{node}.visibility"] = _length(vector)
        estimates[f"{node}.angle"] = _angle(vector)
    return Result("Atom-photon correlations", estimates=estimates, notes=NOTES)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the correlations of every node beside those of a perfect pair."""
    figure, (axes,) = canvas(run, 9.6, 3.4)
    at = np.arange(len(AXES))
    for shift, node, colour in zip((-0.2, 0.2), run.nodes, SIDE_COLOURS, strict=False):
        found = [result.estimates[f"{node}.e_{axis}"] for axis in AXES]
        label = f"{node}, visibility {result.estimates[f'{node}.visibility'].number()}"
        axes.bar(at + shift, [e.value for e in found], 0.36, color=colour, yerr=[e.error for e in found],
                 error_kw={"elinewidth": 0.9}, label=label)  # fmt: skip
    axes.hlines([0.0, 0.0, 1.0], at - 0.4, at + 0.4, color=ACCENT, lw=1.1, label="(|0⟩H + |1⟩V)/√2")
    axes.axhline(0, color=PALE, lw=0.8)
    axes.set(xticks=at, xticklabels=[f"⟨σ{axis} Z⟩" for axis in AXES], ylim=(-1.05, 1.05),
             ylabel="correlation of atom and photon")  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    return figure


def _length(vector: list[Estimate]) -> Estimate:
    """Return the vector's length; what noise adds to its square is taken off."""
    noise = sum(e.error**2 for e in vector)
    square = sum(e.value**2 for e in vector) - noise
    if square <= 0:
        return Estimate(0.0, math.sqrt(noise), vector[0].n, "length of the vector, lost in its noise")
    length = math.sqrt(square)
    error = math.sqrt(sum((e.value * e.error) ** 2 for e in vector)) / length
    return Estimate(length, error, vector[0].n, "length of the vector")


def _angle(vector: list[Estimate]) -> Estimate:
    """Return the angle to z; it is never negative, so a small one means no more than its error."""
    x, y, z = vector
    side = math.hypot(x.value, y.value)
    across = math.hypot(x.value * x.error, y.value * y.error) / max(side, 1e-9)
    total = side**2 + z.value**2
    error = math.hypot(z.value * across, side * z.error) / max(total, 1e-9)
    return Estimate(math.atan2(side, z.value), error, z.n, "angle of the vector", "rad")
