"""How full an array is before and after rearrangement. Twin of experiments/atoms/rearrangement.py.

Everything comes from images: a site holds an atom where its electrons exceed the threshold. Sites are counted over all
shots, with binomial errors; a run of k defect-free shots out of n gives its probability in the same way. Atoms that the
images miss or invent are part of these numbers; how many there are shows in the gap of the histogram: with peaks at m0,
m1 of widths s0, s1 (on their sides of the threshold), the threshold is (t - m0)/s0 and (m1 - t)/s1 widths away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import schema
from analysis.estimates import Estimate, binomial
from analysis.figures import ACCENT, canvas, styled
from analysis.load import Run
from analysis.result import Result
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDED = ("array.electrons", "array.target", "array.threshold", "array.moves", "array.t_move_s")
Bools = npt.NDArray[np.bool_]


def analyse(run: Run) -> Result:
    """Return filling, defect-free probability, losses and the distance of the threshold; DataError without a shot."""
    schema.require(run.datasets, NEEDED, "the analysis of a rearrangement")
    seen = _seen(run)
    first, last = seen[:, 0], seen[:, -1]
    targets = run.datasets["array.target"]
    filled = np.array([_inside(image, target) for image, target in zip(last, targets, strict=True)])
    sites = targets[:, 2] * targets[:, 3]
    lost = np.maximum(first.sum(axis=(1, 2)) - last.sum(axis=(1, 2)), 0)
    estimates = {
        "loaded": binomial(int(first.sum()), first.size, "sites with an atom in the first image"),
        "filled": binomial(int(filled.sum()), int(sites.sum()), "target sites with an atom in the last image"),
        "defect_free": binomial(int((filled == sites).sum()), len(sites), "shots without an empty target site"),
        "lost": binomial(int(lost.sum()), int(first.sum()), "atoms of the first image that the last one lacks"),
        "moves": _mean(run.datasets["array.moves"], "", "moves per shot"),
        "t_move": _mean(run.datasets["array.t_move_s"], "s", "time of the moves per shot"),
    }
    return Result("Rearrangement", estimates, notes=_notes(run))


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the last shot's sites, before and after, and the target."""
    from matplotlib.patches import Rectangle

    electrons = run.datasets["array.electrons"][-1]
    row, column, rows, columns = run.datasets["array.target"][-1]
    picture, panels = canvas(run, 9.6, 4.4, columns=2)
    names = (f"before, loaded {result.estimates['loaded'].number()}",
             f"after, filled {result.estimates['filled'].number()}")  # fmt: skip
    for axes, image, name in zip(panels, (electrons[0], electrons[-1]), names, strict=True):
        shown = axes.imshow(image, cmap="magma", vmin=0, vmax=float(np.percentile(electrons, 99)), origin="upper")
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), columns, rows, fill=False, ec=ACCENT, lw=1.2))
        axes.set(title=name, xlabel="column")
    panels[0].set(ylabel="row")
    picture.colorbar(shown, ax=panels, label="photo-electrons of a site", shrink=0.85)
    return picture


def _seen(run: Run) -> Bools:
    """Return where images show atoms, bool, shape (shots, images, rows, columns)."""
    electrons = np.asarray(run.datasets["array.electrons"])
    if not len(electrons):
        raise DataError(f"Run {run.label} has no shot: let it run for at least one.")
    return np.asarray(electrons > run.datasets["array.threshold"])


def _inside(image: Bools, target: npt.NDArray[np.int64]) -> int:
    row, column, rows, columns = target
    return int(image[row : row + rows, column : column + columns].sum())


def _mean(values: npt.NDArray, unit: str, source: str) -> Estimate:
    values = np.asarray(values, dtype=float)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Estimate(float(values.mean()), spread / len(values) ** 0.5, len(values), f"mean {source}", unit)


def _notes(run: Run) -> tuple[str, ...]:
    electrons, threshold = np.asarray(run.datasets["array.electrons"]), float(run.datasets["array.threshold"])
    dark, bright = electrons[electrons <= threshold], electrons[electrons > threshold]
    if len(dark) < 2 or len(bright) < 2:
        return ("All sites look alike: the images tell nothing about detection errors.",)
    widths = [(threshold - dark.mean()) / dark.std(), (bright.mean() - threshold) / bright.std()]
    return (f"The threshold of {threshold:g} electrons is {widths[0]:.1f} widths above the dark peak and "
            f"{widths[1]:.1f} below the bright one.",)  # fmt: skip
