"""Draw the budget of a link run: time in shares, fidelity as it shrinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.budget import Budget, Part
from analysis.figures import ACCENT, INK, PALE, canvas, legend_above, styled
from analysis.load import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def parts(run: Run, found: Budget, time: tuple[Part, ...]) -> Figure:
    """Draw lab time per part (s) and the fidelity after each imperfection: bars predicted, dots measured."""
    figure, (left, right) = canvas(run, 9.6, 3.0, 1, 2, share=False)
    _time(left, [part for part in time if part.name != "lab time"])
    _fidelity(right, found.fidelity)
    return figure


def _time(axes: Axes, time: list[Part]) -> None:
    y = np.arange(len(time))
    axes.barh(y, [part.predicted or 0.0 for part in time], 0.5, color=PALE, label="predicted")
    measured = [(part.measured.value, k) for k, part in enumerate(time) if part.measured]
    if measured:
        axes.plot(*zip(*measured, strict=True), "o", ms=4, color=ACCENT, label="measured")
    axes.set(yticks=y, yticklabels=[part.name for part in time], xlabel="lab time (s)")
    axes.invert_yaxis()
    legend_above(axes, 2)


def _fidelity(axes: Axes, steps: tuple[Part, ...]) -> None:
    y = np.arange(len(steps))
    axes.barh(y, [step.predicted or 0.0 for step in steps], 0.5, color=PALE, label="predicted")
    measured = [(step.measured, k) for k, step in enumerate(steps) if step.measured is not None]
    if measured:
        axes.errorbar([found.value for found, _ in measured], [k for _, k in measured],
                      xerr=[found.error for found, _ in measured], fmt="o", ms=4, color=ACCENT, ecolor=INK,
                      label="measured")  # fmt: skip
    known = [value for step in steps for value in (step.predicted, step.measured and step.measured.value) if value]
    axes.set(yticks=y, yticklabels=[step.name for step in steps], xlim=(min(known) - 0.05, 1.02),
             xlabel="fidelity with this imperfection and those above it")  # fmt: skip
    axes.invert_yaxis()
    legend_above(axes, 2)
