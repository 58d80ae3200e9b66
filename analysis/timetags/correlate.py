"""Correlate time tags: histogram of differences, continuous and pulsed g2.

Streams of independent clicks at rates r_a, r_b over T give (T - |tau|) r_a r_b dtau pairs of difference tau: that is
g2 = 1, the ends of the run included. Errors are Poissonian; a bin without a count has the error of one count.
Sources: R. Hanbury Brown, R. Q. Twiss, Nature 177, 27 (1956); for pulses C. Santori et al., Nature 419, 594 (2002),
who divide the peak at zero by the far ones, because blinking bunches the near ones.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.timetags.stream import TimeArray, positive, times
from atomlink.errors import DataError

FloatArray = npt.NDArray[np.float64]
Fill = Callable[[TimeArray, TimeArray, int, int, float, float, TimeArray], None]
# Differences with more bins, or beyond, are a slip of units.
_MOST_BINS = 100_000_000
_LONGEST_PS = 1 << 50


class Histogram(NamedTuple):
    """Counts of differences b - a: delay_ps, middle of each bin, float, shape (k,); counts, int64, shape (k,)."""

    delay_ps: FloatArray
    counts: TimeArray


@dataclass(frozen=True)
class ContinuousG2:
    """Hold g2(tau): delay_ps (middle of a bin), g2, error (one sigma) and counts, each of shape (k,)."""

    delay_ps: FloatArray
    g2: FloatArray
    error: FloatArray
    counts: TimeArray


@dataclass(frozen=True)
class PulsedG2:
    """Hold g2(0) of a pulsed source with its error (one sigma); counts, shape (2 m + 1,), of the peaks -m … m periods
    away; side, the mean of the far peaks.
    """

    g2: float
    error: float
    counts: TimeArray
    side: float


def histogram(a_ps: npt.ArrayLike, b_ps: npt.ArrayLike, window_ps: int, bin_ps: int) -> Histogram:
    """Count the differences b - a in [-window, window), all pairs; both streams int64, sorted.

    window_ps must be a multiple of bin_ps.
    """
    return _histogram(times("a_ps", a_ps), times("b_ps", b_ps), window_ps, bin_ps)


def continuous_g2(a_ps: npt.ArrayLike, b_ps: npt.ArrayLike | None, window_ps: int, bin_ps: int,
                  interval_ps: tuple[int, int] | None = None) -> ContinuousG2:
    """Return g2 of a source that shines all the time, in [-window, window).

    b_ps None: the autocorrelation of a, without the pairs of a tag with itself. interval_ps: start and end of the run;
    None: the first and the last tag. Rates must not drift much over the run: slow changes bunch.
    """
    a = _some("a_ps", a_ps)
    b = a if b_ps is None else _some("b_ps", b_ps)
    start, end = interval_ps or (min(a[0], b[0]), max(a[-1], b[-1]))
    if not start <= min(a[0], b[0]) <= max(a[-1], b[-1]) <= end or end - start <= window_ps:
        raise DataError(f"Argument `interval_ps` must hold all tags and be longer than the window, but is {start} to "
                        f"{end}, the tags {min(a[0], b[0])} to {max(a[-1], b[-1])}, the window {window_ps}: take a "
                        "longer run or a shorter window.")
    delay, counts = _histogram(a, b, window_ps, bin_ps)
    pairs = len(a) * len(b)
    if b_ps is None:
        counts[len(counts) // 2] -= len(a)
        pairs -= len(a)
    if not pairs:
        raise DataError("Argument `a_ps` has one tag, but an autocorrelation needs two: take a longer run.")
    expected = pairs * bin_ps * (end - start - np.abs(delay)) / float(end - start) ** 2
    return ContinuousG2(delay, counts / expected, np.sqrt(np.maximum(counts, 1)) / expected, counts)


def peaks(a_ps: npt.ArrayLike, b_ps: npt.ArrayLike, period_ps: float, half_window_ps: int, most: int,
          delay_ps: int = 0) -> TimeArray:
    """Count the differences b - a within half_window of delay + k period, for k from -most to most.

    int64, shape (2 most + 1,). period_ps may have a fraction: lasers do not know picoseconds.
    """
    return _peaks(times("a_ps", a_ps), times("b_ps", b_ps), period_ps, half_window_ps, most, delay_ps)


def pulsed_g2(a_ps: npt.ArrayLike, b_ps: npt.ArrayLike, period_ps: float, half_window_ps: int,
              far: tuple[int, int] = (5, 20), delay_ps: int = 0) -> PulsedG2:
    """Return g2(0) of a pulsed source: the peak at delay_ps over the mean of the peaks far[0] … far[1] periods away.

    Peaks of either side count. half_window_ps: half the width of a peak, at most half a period.
    """
    a, b = _some("a_ps", a_ps), _some("b_ps", b_ps)
    first, last = far
    if not 1 <= first <= last:
        raise DataError(f"Argument `far` must be two numbers of periods, 1 <= first <= last, but is {far}.")
    counts = _peaks(a, b, period_ps, half_window_ps, last, delay_ps)
    steps = np.abs(np.arange(-last, last + 1))
    # Fewer pairs of pulses lie k periods apart than none.
    pulses = (max(a[-1], b[-1]) - min(a[0], b[0])) / period_ps
    side = counts[steps >= first]
    total = int(side.sum())
    if not total or pulses <= last:
        raise DataError(f"There are {total} coincidences {first} to {last} periods away in {pulses:.0f} pulses, but g2 "
                        "is the ratio to them: take a longer run, or correct `period_ps` and `delay_ps`.")
    mean = total / float((1 - steps[steps >= first] / pulses).sum())
    zero = int(counts[last])
    error = math.hypot(math.sqrt(max(zero, 1)) / mean, zero / mean / math.sqrt(total))
    return PulsedG2(zero / mean, error, counts, mean)


def _histogram(a: TimeArray, b: TimeArray, window_ps: int, bin_ps: int) -> Histogram:
    window, width = _integer("window_ps", window_ps), _integer("bin_ps", bin_ps)
    if window % width or window > _LONGEST_PS or 2 * window // width > _MOST_BINS:
        raise DataError(f"Argument `window_ps` must be a multiple of `bin_ps` ({width}), at most {_MOST_BINS // 2} "
                        f"bins and {_LONGEST_PS} ps, but is {window}.")
    counts = np.zeros(2 * window // width, dtype=np.int64)
    _filler()(a, b, -window, window, float(width), float(width), counts)
    return Histogram(width * (np.arange(len(counts), dtype=np.float64) + 0.5) - window, counts)


def _peaks(a: TimeArray, b: TimeArray, period_ps: float, half_window_ps: int, most: int, delay_ps: int) -> TimeArray:
    period, half = positive("period_ps", period_ps), _integer("half_window_ps", half_window_ps)
    if 2 * half > period or (most + 1) * period > _LONGEST_PS:
        raise DataError(f"Argument `half_window_ps` must be at most half a period ({period / 2} ps), but is {half}; "
                        f"{most} periods must be shorter than {_LONGEST_PS} ps.")
    # The fraction of a ps by which the first peak is early goes into all: they keep their distances.
    low = math.floor(delay_ps - most * period) - half
    counts = np.zeros(2 * most + 1, dtype=np.int64)
    _filler()(a, b, low, math.ceil(low + 2 * most * period + 2 * half), float(period), 2.0 * half, counts)
    return counts


def _integer(name: str, value: int) -> int:
    if positive(name, value) != int(value):
        raise DataError(f"Argument `{name}` must be whole picoseconds, but is {value}.")
    return int(value)


def _some(name: str, values: npt.ArrayLike) -> TimeArray:
    array = times(name, values)
    if not len(array):
        raise DataError(f"Argument `{name}` has no tags, but g2 divides by their rate: is the channel right?")
    return array


@functools.cache
def _filler() -> Fill:
    """Return the compiled walk, or the one with numpy where numba is not installed."""
    try:
        from analysis.timetags._compiled import fill
    except ImportError:
        return fill_with_numpy
    compiled: Fill = fill
    return compiled


def fill_with_numpy(a: TimeArray, b: TimeArray, low: int, high: int, step: float, width: float,
                    counts: TimeArray) -> None:
    """Do what `_compiled.fill` does, by binary search; a few times slower."""
    for begin in range(0, len(a), 1 << 20):
        floor = a[begin : begin + (1 << 20)] + low
        first, last = np.searchsorted(b, floor), np.searchsorted(b, floor + (high - low))
        at = np.flatnonzero(first < last)
        while len(at):
            offset = b[first[at]] - floor[at]
            k = (offset / step).astype(np.int64)
            k = k[(k < len(counts)) & (offset - k * step < width)]
            counts += np.bincount(k, minlength=len(counts))
            first[at] += 1
            at = at[first[at] < last[at]]
