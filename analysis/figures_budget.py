"""Draw the budget of a link run: time in shares, fidelity as it shrinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.budget import Budget, Part
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, canvas, styled
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
    axes.barh(y + 0.2, [part.predicted or 0.0 for part in time], 0.36, color=SIDE_COLOURS[0], label="predicted")
    measured = [part.measured.value if part.measured else 0.0 for part in time]
    axes.barh(y - 0.2, measured, 0.36, color=SIDE_COLOURS[1], label="measured")
    axes.set(yticks=y, yticklabels=[part.name for part in time], xlabel="lab time (s)")
    axes.invert_yaxis()
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))


def _fidelity(axes: Axes, steps: tuple[Part, ...]) -> None:
    y = np.arange(len(steps))
    axes.barh(y, [step.predicted or 0.0 for step in steps], 0.5, color=PALE, label="predicted")
    for k, step in enumerate(steps):
        if step.measured is not None:
            axes.errorbar(step.measured.value, k, xerr=step.measured.error, fmt="o", ms=4, color=ACCENT, ecolor=INK,
                          label="measured" if k == len(steps) - 1 else None)  # fmt: skip
    known = [value for step in steps for value in (step.predicted, step.measured and step.measured.value) if value]
    axes.set(yticks=y, yticklabels=[step.name for step in steps], xlabel="fidelity", xlim=(min(known) - 0.05, 1.02))
    axes.invert_yaxis()
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
