"""Find coincidences of clicks in several channels, and how many of them chance makes.

A group opens with a click, holds all clicks up to `window` later, and the next click after that opens the next group:
every click belongs to one group, as in the heralding gateware. A group's pattern has bit k for channel k of the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.timetags.stream import Tags, TimeArray, channels, positive, times
from atomlink.errors import DataError


class Groups(NamedTuple):
    """Hold groups of clicks: time_ps of the first click, int64, shape (n,); pattern, int64, shape (n,)."""

    time_ps: TimeArray
    pattern: npt.NDArray[np.int64]


def groups(tags: Tags, window_ps: int, of: Sequence[int]) -> Groups:
    """Return the groups of clicks in the channels `of` (up to 62); a click `window_ps` after the first still counts."""
    time_ps = times("tags.time_ps", tags.time_ps)
    channel = channels(tags.channel, len(time_ps))
    window, bit = positive("window_ps", window_ps), _bits(of)
    bits = bit[channel]
    time_ps, bits = time_ps[bits > 0], bits[bits > 0]
    if not len(time_ps):
        return Groups(time_ps, bits)
    following = np.searchsorted(time_ps, time_ps + int(window), side="right").tolist()
    starts, at = [], 0
    while at < len(following):
        starts.append(at)
        at = following[at]
    return Groups(time_ps[starts], np.bitwise_or.reduceat(bits, starts))


def coincidences(tags: Tags, window_ps: int, of: Sequence[int]) -> TimeArray:
    """Return the times in ps of the groups in which every channel of `of` clicked; other channels are not asked."""
    found = groups(tags, window_ps, of)
    return found.time_ps[found.pattern == (1 << len(of)) - 1]


def count_patterns(tags: Tags, window_ps: int, of: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return how many groups have each pattern; int64, shape (2**len(of),), for up to 20 channels."""
    if len(of) > 20:
        raise DataError(f"Argument `of` must be at most 20 channels, for a table of patterns, but has {len(of)}.")
    return np.bincount(groups(tags, window_ps, of).pattern, minlength=1 << len(of))


def accidentals(counts: Sequence[int], window_ps: float, duration_ps: float,
                pattern: Sequence[bool] | None = None) -> float:
    """Return the mean number of groups of `pattern` that independent clicks make by chance.

    counts: clicks of each channel during duration_ps. pattern: which channels click (None: all); the others do not.
    Exact for Poisson streams of rates r, sum R: groups open at the rate R/(1 + R w); a group opened by i, which
    happens with probability r_i/R, has a click of j with 1 - exp(-r_j w). For two channels and R w << 1: 2 w r_1 r_2 T.
    """
    window, duration = positive("window_ps", window_ps), positive("duration_ps", duration_ps)
    if not len(counts) or min(counts) < 0:
        raise DataError(f"Argument `counts` must be a number of clicks >= 0 for each channel, but is {list(counts)}.")
    clicks = np.ones(len(counts), dtype=bool) if pattern is None else np.array(pattern, dtype=bool)
    if clicks.shape != (len(counts),) or not clicks.any():
        raise DataError(f"Argument `pattern` must say for each of {len(counts)} channels whether it clicks, one at "
                        f"least, but is {pattern}.")
    rates = np.array(counts, dtype=np.float64) / duration
    total = float(rates.sum())
    later = np.where(clicks, -np.expm1(-rates * window), np.exp(-rates * window))
    opened = [rates[i] * np.delete(later, i).prod() for i in np.flatnonzero(clicks)]
    return float(duration * sum(opened) / (1 + total * window))


def _bits(of: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the bit of each channel number, 0 for those not in `of`; int64, shape (256,)."""
    if not 1 <= len(of) <= 62 or len(set(of)) != len(of) or not all(0 <= channel <= 255 for channel in of):
        raise DataError(f"Argument `of` must be 1 to 62 different channels from 0 to 255, but is {list(of)}.")
    bit = np.zeros(256, dtype=np.int64)
    bit[list(of)] = 1 << np.arange(len(of))
    return bit
