"""What a person watches while a run goes on: ARTIQ's own applets, opened over `ccb`, and the datasets they draw.

    Scan(self, axes, plots=(mean_curve("n1", "amplitude", ("p_w", 0)),))    # a scan publishes after each row
    live = Live(self, (Plot("pairs", "number", lambda done: {"value": done["pairs"][-1]}),))
    live.open()
    live.publish({"pairs": [3, 17]})

A plot takes the columns measured so far (name: list, a row each) and returns the datasets of its kind. Their names are
`live.CLASS.PLOT.PART`, without blanks: the dashboard splits an applet's command at them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from analysis import fits

Columns = Mapping[str, Sequence[Any]]
Column = str | tuple[str, int]  # a column, or one entry of a column whose rows are lists: that of node i
Floats = npt.NDArray[np.float64]
Kind = Literal["xy", "hist", "image", "number"]

# By kind: applet, the dataset it must have, those it takes as --NAME, and whether it can have a title.
_APPLETS: dict[str, tuple[str, str, tuple[str, ...], bool]] = {
    "xy": ("plot_xy", "y", ("x", "error"), True),
    "hist": ("plot_hist", "y", ("x",), True),  # x: edges, one more than y
    "image": ("image", "img", (), False),
    "number": ("big_number", "value", (), False),
}


@dataclass(frozen=True)
class Plot:
    """One applet: its name, its kind, and what it draws: by kind y, x, error; y, x; img; value.

    `title` may hold a dataset, dots as slashes: "{live/Calibrate/now}". ARTIQ's applets label no axis; so the title
    says what a curve is `about`: (what y is, the column that is x). One that is `fitted` has a part `fit`, too: the
    fitted y at each x, or nothing.
    """

    name: str
    kind: Kind
    of: Callable[[Columns], Mapping[str, Any]]
    title: str = ""
    about: tuple[str, str] | None = None
    fitted: bool = False


class Live:
    """The applets of one run."""

    def __init__(self, experiment: Any, plots: Sequence[Plot], units: Mapping[str, str] | None = None) -> None:
        self._units = dict(units or {})  # of columns
        self._experiment = experiment
        self._class = type(experiment).__name__
        self.plots = tuple(plots)

    def open(self) -> None:
        """Ask every dashboard to show the applets, in a group named after the experiment."""
        for plot in self.plots:
            title = plot.title or self._title(plot)
            name = f"{self._class} {plot.name}".strip()
            command = self.command(plot, title)
            self._experiment.get_device("ccb").issue("create_applet", name, command, group=self._class)

    def _title(self, plot: Plot) -> str:
        named = f"RID {self._experiment.scheduler.rid} {self._class} {plot.name}".strip()
        if plot.about is None:
            return named
        y, x = plot.about
        unit = self._units.get(x, "")
        return f"{named}: {y} against {x}" + (f" ({unit})" if unit else "")

    def command(self, plot: Plot, title: str) -> str:
        """Return the command of an applet as the dashboard takes it."""
        applet, first, options, titled = _APPLETS[plot.kind]
        options += ("fit",) * plot.fitted
        words = [f"${{artiq_applet}}{applet}", self.key(plot, first)]
        words += [f"--{option} {self.key(plot, option)}" for option in options]
        return " ".join(words) + (f' --title "{title}"' if titled else "")

    def key(self, plot: Plot, part: str) -> str:
        """Return the name of a dataset."""
        return ".".join(filter(None, ("live", self._class, re.sub(r"\W+", "_", plot.name), part)))

    def publish(self, columns: Columns) -> None:
        """Broadcast what the applets draw."""
        for plot in self.plots:
            for part, value in plot.of(columns).items():
                self._experiment.set_dataset(self.key(plot, part), value, broadcast=True, archive=False)


def column(columns: Columns, which: Column) -> list[Any]:
    """Return a column, or one entry of each of its rows."""
    if isinstance(which, str):
        return list(columns[which])
    name, i = which
    return [row[i] for row in columns[name]]


# -- curves


def share_curve(
    name: str, axis: str, shares: tuple[Column, Column], fit: Callable[[], Any] | None = None
) -> Plot:
    """Return the plot of a share, columns (successes, trials), against an axis.

    `fit`: what returns the newest fit (`curve(x)`) or None, if there is to be one.
    """

    def of(columns: Columns) -> dict[str, Any]:
        x, y, error = share_points(columns[axis], column(columns, shares[0]), column(columns, shares[1]))
        if fit is None:
            return {"y": y, "x": x, "error": error}
        newest = fit()
        return {"y": y, "x": x, "error": error, "fit": np.empty(0) if newest is None else newest.curve(x)}

    return Plot(name, "xy", of, about=("share", axis), fitted=fit is not None)


def share_points(x: Sequence[Any], k: Sequence[Any], n: Sequence[Any]) -> tuple[Floats, Floats, Floats]:
    """Return x, share and Jeffreys error, rows of equal x added up; x without trials is left out."""
    at, hits, trials = (np.asarray(column, dtype=float) for column in (x, k, n))
    some = trials > 0
    if not some.any():
        return np.empty(0), np.empty(0), np.empty(0)
    points = fits.shares(at[some], hits[some], trials[some])
    return points.x, points.y, points.error


def mean_curve(name: str, axis: str, which: Column) -> Plot:
    """Return the plot of a column's mean against an axis; a row may hold a list of readings."""

    def of(columns: Columns) -> dict[str, Any]:
        x = np.asarray(columns[axis], dtype=float)
        readings = np.asarray(column(columns, which), dtype=float).reshape(len(x), -1)
        at = np.unique(x)
        each = [readings[x == value].ravel() for value in at]
        error = [float(np.std(r, ddof=1) / np.sqrt(len(r))) if len(r) > 1 else 0.0 for r in each]
        return {"y": np.array([np.mean(r) for r in each]), "x": at, "error": np.array(error)}

    return Plot(name, "xy", of, about=(which if isinstance(which, str) else which[0], axis))


# -- maps and histograms


def share_map(name: str, axes: tuple[str, str], shares: tuple[Column, Column]) -> Plot:
    """Return the image of a share against two axes: the first to the right, the second down; NaN where not measured."""

    def of(columns: Columns) -> dict[str, Any]:
        at = [np.unique(np.asarray(columns[axis], dtype=float), return_inverse=True) for axis in axes]
        size = (len(at[0][0]), len(at[1][0]))
        cell = at[0][1].ravel() * size[1] + at[1][1].ravel()
        weights = (np.asarray(column(columns, which), dtype=float) for which in shares)
        k, n = (np.bincount(cell, weight, minlength=size[0] * size[1]) for weight in weights)
        return {"img": np.where(n > 0, k / np.maximum(n, 1), np.nan).reshape(size)}

    return Plot(name, "image", of)


def counts_histogram(name: str, which: Column, bins: int = 100) -> Plot:
    """Return the histogram of whole numbers that the rows hold; bins of a whole width, at most so many."""

    def of(columns: Columns) -> dict[str, Any]:
        values = np.asarray(column(columns, which)).ravel()
        low, high = int(values.min()), int(values.max())
        width = -(-(high - low + 1) // bins)
        edges = np.arange(low, high + width + 1, width) - 0.5
        return {"y": np.histogram(values, edges)[0], "x": edges}

    return Plot(name, "hist", of)


def summed_histogram(
    name: str, which: Column, first: float = 0.0, width: float = 1.0, merge: int = 1
) -> Plot:
    """Return the histogram that the rows hold (any shape, the last axis is bins), added up, `merge` bins drawn as one;
    the first bin begins at `first`.
    """

    def of(columns: Columns) -> dict[str, Any]:
        held = np.asarray(column(columns, which))
        counts = held.reshape(-1, held.shape[-1]).sum(axis=0)
        whole = np.pad(counts, (0, -len(counts) % merge)).reshape(-1, merge).sum(axis=1)
        return {"y": whole, "x": first + width * merge * np.arange(len(whole) + 1)}

    return Plot(name, "hist", of)
