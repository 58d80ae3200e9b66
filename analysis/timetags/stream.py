"""Hold time tags and say what a stream of them must be: integer picoseconds that never go back.

Picoseconds in int64 reach 106 days; a float64 would lose the last digits after 2.5 hours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analysis import masked
from atomlink.errors import DataError

TimeArray = npt.NDArray[np.int64]
ChannelArray = npt.NDArray[np.uint8]


class Tags(NamedTuple):
    """Hold clicks of several channels, merged in time: time_ps, int64, shape (n,); channel, uint8, shape (n,)."""

    time_ps: TimeArray
    channel: ChannelArray

    def of(self, channel: int) -> TimeArray:
        """Return the times of one channel in ps, int64."""
        return self.time_ps[self.channel == channel]


def times(name: str, values: Any) -> TimeArray:
    """Return `values` as int64 ps, shape (n,); raise DataError where they are no times or go back."""
    array = integers(name, values)
    refuse_going_back(name, array)
    return array


def integers(name: str, values: Any) -> TimeArray:
    """Return `values` as int64 ps, shape (n,), in whatever order."""
    masked.refuse(name, values)
    array = np.asarray(values)
    if array.size == 0 and array.ndim == 1:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"Argument `{name}` must be integer picoseconds of shape (n,), but is {array.dtype} of shape "
                        f"{array.shape}: round to ps, as `(t_s * 1e12).round().astype('int64')`.")
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"Argument `{name}` has a tag of {array.max()} ps, but 2^63 - 1 is the last: subtract the "
                        "start of the run.")
    return array.astype(np.int64, copy=False)


def refuse_going_back(name: str, array: TimeArray) -> None:
    """Raise DataError where a tag is before the one in front of it."""
    back = array[1:] < array[:-1]
    if back.any():
        first = int(np.argmax(back))
        raise DataError(f"Argument `{name}` must not go back in time, but tag {first + 1} ({array[first + 1]} ps) is "
                        f"before tag {first} ({array[first]} ps): sort the stream.")


def channels(values: Any, n: int) -> ChannelArray:
    """Return `values` as uint8, shape (n,); one channel number stands for n of it."""
    masked.refuse("channel", values)
    array = np.asarray(values)
    if array.ndim == 0:
        array = np.broadcast_to(array, (n,))
    if array.shape != (n,):
        raise DataError(f"Argument `channel` must be one number or {n}, one per tag, but has shape {array.shape}.")
    if array.dtype == np.uint8:
        return array
    if n and (not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 255):
        raise DataError(f"Argument `channel` must be integers in [0, 255], but is {array.dtype}, from {array.min()} to "
                        f"{array.max()}.")
    return array.astype(np.uint8)


def positive(name: str, value: float) -> float:
    """Return `value` where it is a finite number > 0; raise DataError otherwise."""
    if not (np.isfinite(value) and value > 0):
        raise DataError(f"Argument `{name}` must be > 0 ps, but is {value}.")
    return value
