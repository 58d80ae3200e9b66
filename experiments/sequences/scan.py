"""Scan one or several arguments: order, repeats, refinement, pauses, progress, live plot, and every point kept at once.

    class MyScan(EnvExperiment):
        def build(self):
            self.scan = Scan(self, (Axis("t_mw", Scannable(...), "s", "Microwave pulse"),), shares=("bright", "n"))
        def run(self):
            self.scan.run(self.measure, self.nodes.init, self.nodes.close)
        def measure(self, point):                 # point.t_mw, self.scan.shots -> one row
            return {"bright": ..., "n": ...}
        def analyze(self):
            self.result = conclude(self, self.scan)

A row is one call of `measure`: what was scanned and what came out, appended to the journal and to the columns `scan.*`
before the next call. Points of equal x are added up by the analysis, so repeats are simply more rows, and a long
measurement without axes is split into rows: what a run has when it ends early are whole rows.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from artiq.language.core import TerminationRequested
from artiq.language.environment import BooleanValue, HasEnvironment, NumberValue
from artiq.language.scan import MultiScanManager, Scannable

from atomlink.errors import DataError, UsageError, brief
from drivers.progress import Progress
from experiments.sequences.filing import ending
from experiments.sequences.live import Column, Live, Plot, column, share_curve, share_map, share_points
from experiments.sequences.live_fit import LiveFits
from experiments.sequences.recorder import stopped
from experiments.sequences.rows import Rows

Shares = tuple[Column, Column] | Mapping[str, tuple[Column, Column]]
MOST_POINTS = 1_000_000  # of all axes together; more are a slip, and fill the memory
MAX_REPEATS = 50  # of one point, where a target error is not met
ORDER_SEED = 1  # the same order each time: same arguments, same datasets


@dataclass(frozen=True)
class Axis:
    """What is scanned: the argument's name (`t_mw`), the scan, the unit of its values (SI), and a tooltip."""

    name: str
    scannable: Scannable
    unit: str = ""
    tooltip: str = ""


def by_node(names: Sequence[str], successes: str, trials: str, trials_too: bool = False) -> Shares:
    """Return the shares of each node: entry i of the column `successes`, and of `trials` where `trials_too`."""
    return {name: ((successes, i), (trials, i) if trials_too else trials) for i, name in enumerate(names)}


class Point:
    """One point of a scan: an attribute for each axis."""

    def __init__(self, names: Sequence[str], values: Sequence[float]) -> None:
        self.coordinates = dict(zip(names, values, strict=True))
        self.__dict__.update(self.coordinates)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Point has no axis {name!r}; it has {', '.join(self.coordinates) or 'none'}.")


class Scan(HasEnvironment):
    """The arguments of a scan, its points, and the loop over them.

    `shares`: columns of a row that make the plotted share, (successes, trials), or a dict of such pairs by series name
    (`by_node`); the target error holds for each of them. `plots`: what else is shown while the scan runs (`live.py`);
    may be set until `run`. Without axes the scan is one point, measured `repeats` times.
    """

    def __init__(self, experiment: Any, *arguments: Any, **keywords: Any) -> None:
        self.experiment = experiment
        super().__init__(experiment, *arguments, **keywords)

    def build(
        self,
        axes: Sequence[Axis] = (),
        shares: Shares | None = None,
        shots: int = 40,
        repeats: int = 1,
        plots: Sequence[Plot] = (),
    ) -> None:
        self.axes = tuple(axes)
        self.plots = tuple(plots)
        self.shares: dict[str, tuple[Column, Column]] = (
            {"": shares} if isinstance(shares, tuple) else dict(shares or {})
        )
        self.core = self.get_device("core")
        self.scheduler = self.get_device("scheduler")
        if not hasattr(self.experiment, "scheduler"):  # journal and history ask it for the run's number
            self.experiment.scheduler = self.scheduler
        self.scans = [self.get_argument(axis.name, axis.scannable, "Scan", axis.tooltip) for axis in self.axes]
        self._request_arguments(shots, repeats)

    def _request_arguments(self, shots: int, repeats: int) -> None:
        whole = {"precision": 0, "scale": 1, "step": 1, "type": "int"}
        self.shots = self.get_argument("shots", NumberValue(shots, min=1, max=10**6, **whole), "Statistics",
                                       "Shots in one row.")  # fmt: skip
        self.repeats = self.get_argument("repeats", NumberValue(repeats, min=1, max=10**4, **whole), "Statistics",
                                         "Rows for each point.")  # fmt: skip
        self.target_error = 0.0
        self.shuffle, self.refine = False, 0
        if self.shares:
            self.target_error = self.get_argument(
                "target_error", NumberValue(0.0, precision=4, step=0.01, min=0.0, max=0.5), "Statistics",
                f"Repeat each point until its share has this error, at most {MAX_REPEATS} times; 0: no.")  # fmt: skip
        if self.axes:
            self.shuffle = self.get_argument("shuffle", BooleanValue(False), "Scan", "Take the points in random order.")
        if len(self.axes) == 1 and self.shares:
            self.refine = self.get_argument(
                "refine", NumberValue(0, min=0, max=1000, **whole), "Scan",
                "Points to add where the curve changes most.")  # fmt: skip
        self.apply = self.get_argument("apply", BooleanValue(False), "Result",
                                       "Let the result become what the lab believes (parameter store).")  # fmt: skip

    def prepare(self) -> None:
        """Lay out the points; UsageError for a scan without points or with a value that cannot be."""
        points = 1
        for axis, scan in zip(self.axes, self.scans, strict=True):
            points *= _length(scan)
            if points > MOST_POINTS:
                raise UsageError(f"Scan {axis.name} makes {points:,} points, must be {MOST_POINTS:,} at most together")
            check_values(axis, list(scan))
        names = [axis.name for axis in self.axes]
        manager = MultiScanManager(*zip(names, self.scans, strict=True))
        grid = [tuple(float(getattr(point, name)) for name in names) for point in manager] if names else [()]
        if self.shuffle:
            random.Random(ORDER_SEED).shuffle(grid)
        self.points = [Point(names, values) for values in grid]
        if self.refine and len(set(grid)) < 2:
            raise UsageError(f"Scan {names[0]} has one point, must have two or more to refine: add points or refine=0")

    def run(self, measure: Callable[[Point], Mapping[str, Any]], begin: Callable[[], Any], end: Callable[[], Any],
            run_level: Mapping[str, Any] | None = None) -> bool:  # fmt: skip
        """Measure every point; return whether all were. `begin` before and after a pause, `end` before it and last.

        What there is is kept when the run is asked to stop or `measure` raises.
        """
        self.rows = Rows(self.experiment, {**self._described(), **(run_level or {})}, self._units())
        self.fits = LiveFits(self.experiment)
        self.live = Live(self.experiment, (*self._share_plots(), *self.plots), self._units())
        self.live.open()
        self.complete = False
        self.missed: list[str] = []  # points whose target error was not met
        each = 1 if self.target_error else self.repeats  # rows of a point, where that is known before
        total = (len(self.points) + self.refine) * each
        try:
            begin()
            with Progress(total, "points" if each == 1 else "rows") as progress:
                for done, point in enumerate(self._all_points()):
                    self._pause_if_due(begin, end)
                    for repeat in self._measure_point(point, measure, begin, end):
                        progress.update(done * each + min(repeat, each))
            self.complete = True
        except (TerminationRequested, KeyboardInterrupt):
            print(stopped(len(self.rows), 0 if self.target_error else total, "rows"))
        finally:
            with ending(end):
                self.rows.archive(self.complete)
        if self.missed:
            print(
                f"Not as exact as asked: after {self._most_rows()} rows each, {len(self.missed)} of {total} points "
                f"do not have the error {self.target_error:g}: {', '.join(self.missed)}; take more shots a row."
            )
        return self.complete

    def _measure_point(self, point: Point, measure: Callable[[Point], Mapping[str, Any]], begin: Callable[[], Any],
                       end: Callable[[], Any]) -> Iterator[int]:  # fmt: skip
        """Take the rows of a point; yield how many it has after each."""
        for repeat in range(self._most_rows()):
            if repeat:
                self._pause_if_due(begin, end)
            self.rows.add({**point.coordinates, **measure(point)})
            self._show()
            yield repeat + 1
            if self.target_error and repeat + 1 >= self.repeats and self._error(point) <= self.target_error:
                return
        if self.target_error:
            at = ", ".join(f"{name} = {value:g}" for name, value in point.coordinates.items())
            self.missed.append(f"{at or 'the only one'} has {self._error(point):.2g}")

    def _show(self) -> None:
        """Let the applets draw what there is, curves with their newest fit."""
        if self._fitted():
            self.fits.look(self.rows)
        self.live.publish(self.rows.columns)

    def show_result(self, fits: Mapping[str, Any]) -> None:
        """Let the applets draw the curves once more, with the fits of the result: those of all rows."""
        if self._fitted() and len(self.rows):
            self.fits.take(fits)
            self.live.publish(self.rows.columns)

    def _fitted(self) -> bool:
        return len(self.axes) == 1 and bool(self.shares)

    def _most_rows(self) -> int:
        """Return how many rows one point has at most."""
        return max(self.repeats, MAX_REPEATS) if self.target_error else int(self.repeats)

    def _pause_if_due(self, begin: Callable[[], Any], end: Callable[[], Any]) -> None:
        """Let others run; TerminationRequested comes from here."""
        if self.scheduler.check_pause():
            end()
            self.core.comm.close()
            self.scheduler.pause()
            begin()

    def _all_points(self) -> Iterator[Point]:
        yield from self.points
        for _ in range(self.refine):
            yield Point([self.axes[0].name], [self._where_it_changes()])

    def _where_it_changes(self) -> float:
        """Return the middle of the interval in which the curve is known worst: wide, and steep beyond its noise."""
        name = self.axes[0].name
        curves = [share_points(*(column(self.rows.columns, c) for c in (name, *pair))) for pair in self.shares.values()]
        x = curves[0][0]
        if len(x) < 2:
            raise DataError(f"Scan {name} has {len(x)} points with a trial, must have two or more to refine: look at "
                            "what is counted, or choose refine=0.")  # fmt: skip
        width = np.diff(x) / np.ptp(x)
        loss = np.zeros(len(width))
        for _, y, error in curves:
            size = max(float(np.ptp(y)), 1e-9)
            rise = np.maximum(np.abs(np.diff(y)) - np.hypot(error[1:], error[:-1]), 0) / size
            loss = np.maximum(loss, np.hypot(width, rise) * width)
        k = int(np.argmax(loss))
        return float(x[k] + x[k + 1]) / 2

    def _error(self, point: Point) -> float:
        """Return the largest standard error of this point's shares."""
        here = [all(self.rows.columns[name][i] == value for name, value in point.coordinates.items())
                for i in range(len(self.rows))]  # fmt: skip
        worst = 0.0
        for pair in self.shares.values():
            k, n = (sum(v for v, ok in zip(column(self.rows.columns, c), here, strict=True) if ok) for c in pair)
            worst = max(worst, math.sqrt((k + 0.5) * (n - k + 0.5) / (n + 2)) / (n + 1))
        return worst

    def _described(self) -> dict[str, Any]:
        return {"scan.axes": ",".join(axis.name for axis in self.axes), "scan.shots": int(self.shots)}

    def _units(self) -> dict[str, str]:
        return {axis.name: axis.unit for axis in self.axes}

    def _share_plots(self) -> list[Plot]:
        """Return what shows the shares: curves of one axis, images of two."""
        names = [axis.name for axis in self.axes]
        if len(names) == 1:
            return [
                share_curve(series, names[0], pair, partial(self.fits.of, series))
                for series, pair in self.shares.items()
            ]
        if len(names) == 2:
            return [share_map(series, (names[0], names[1]), pair) for series, pair in self.shares.items()]
        return []


def check_values(axis: Axis, values: Sequence[Any]) -> None:
    """Refuse a scan without points, with a value that is not finite, or out of the range of its argument."""
    if not values:
        raise UsageError(f"Scan {axis.name} has no points, must have at least one: check its number of points or step")
    low, high = axis.scannable.global_min, axis.scannable.global_max
    slack = 1e-9 * max((abs(v) for v in (low, high) if v is not None), default=0.0)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not _is_finite(value):
            said = f"Scan {axis.name} has the value {brief(value)}"
            raise UsageError(f"{said}, must be finite numbers in {axis.unit or '1'}")
        if (low is not None and value < low - slack) or (high is not None and value > high + slack):
            limits = f"{'-inf' if low is None else f'{low:g}'} … {'inf' if high is None else f'{high:g}'}"
            raise UsageError(f"Scan {axis.name} has the value {value:g}, must be in {limits} {axis.unit}".rstrip())


def _length(scan: Any) -> int:
    try:
        return len(scan)
    except (ValueError, TypeError):  # fewer than none, or no whole number: there are no points
        return 0


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (OverflowError, TypeError):  # beyond a float, complex
        return False
