"""Lists, tuples, strings and ranges of the core device, where they differ from Python's.

Measured with ARTIQ 8's compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .exceptions import new_exception
from .numbers import floordiv


def device_range(start: int, stop: int, step: int) -> range:
    """Return what the device's loop over a range of three arguments runs over."""
    n = floordiv(stop - start, step)
    return range(start, start + n * step, step) if n > 0 else range(start, start, step)


class Range:
    """A range as a value: it keeps its end, and has (stop - start) // step elements, fewer than none perhaps."""

    __slots__ = ("start", "step", "stop")

    def __init__(self, start: int, stop: int, step: int) -> None:
        self.start, self.stop, self.step = start, stop, step

    def length(self) -> int:
        """Return what len() says."""
        return floordiv(self.stop - self.start, self.step)

    def __iter__(self) -> Iterator[int]:
        return iter(device_range(self.start, self.stop, self.step))

    def __getitem__(self, index: int) -> int:
        n = self.length()
        mapped = index + n if index < 0 else index
        if not 0 <= mapped < n:
            raise out_of_bounds(index, n)
        return self.start + mapped * self.step

    def __contains__(self, value: int) -> bool:
        return self.start <= value < self.stop and (value - self.start) % self.step == 0

    def __bool__(self) -> bool:
        return self.length() != 0


def up_to(stop: int) -> Range:
    """Return range(stop)."""
    return Range(0, stop, 1)


def length(items: Any) -> int:
    """Return len(items): of a string in bytes."""
    if isinstance(items, str):
        return len(items.encode())
    return items.length() if isinstance(items, Range) else len(items)


def out_of_bounds(index: int, n: int) -> BaseException:
    """Return what an index out of range raises."""
    return new_exception(IndexError, "index {0} out of bounds 0:{1}", index, n)


def get(items: Any, index: int) -> Any:
    """Return items[index]."""
    try:
        return items[index]
    except IndexError:
        pass  # raised below, where no other exception is being handled
    raise out_of_bounds(index, length(items))


def put(value: Any, items: Any, index: int) -> None:
    """Set items[index]; the value comes first, because it is evaluated first."""
    if not -len(items) <= index < len(items):
        raise out_of_bounds(index, len(items))
    items[index] = value


def _bound(n: int, index: int, end: bool) -> int:
    """Return a slice's bound counted from the start; the device refuses those out of range."""
    mapped = index + n if index < 0 else index
    if not (0 <= mapped <= n if end else 0 <= mapped < n):
        raise out_of_bounds(index, n)
    return mapped


def _slice(items: Any, lower: int | None, upper: int | None, step: int | None) -> slice:
    n = len(items)
    start = _bound(n, 0 if lower is None else lower, False)
    stop = n if upper is None else _bound(n, upper, True)
    if step == 0:
        raise ValueError("step cannot be zero")
    if step is not None and step < 0:
        return slice(start, stop, step) if start > stop else slice(0, 0, 1)
    return slice(start, stop, step)


def get_slice(items: Any, lower: int | None, upper: int | None, step: int | None) -> Any:
    """Return items[lower:upper:step]: a copy of a list, a view of an array."""
    return items[_slice(items, lower, upper, step)]


def put_slice(value: Any, items: Any, lower: int | None, upper: int | None, step: int | None) -> None:
    """Set items[lower:upper:step], which never changes the length; of an array, nothing is set."""
    where = range(*_slice(items, lower, upper, step).indices(len(items)))
    if isinstance(items, np.ndarray):
        return
    for k, i in enumerate(where):
        items[i] = get(value, k)


def unpack(items: list[Any], n: int) -> list[Any]:
    """Return the list, whose length must be `n`."""
    if len(items) != n:
        raise new_exception(ValueError, "list must be {0} elements long to decompose", len(items))
    return items


def repeat(items: list[Any], n: int) -> list[Any]:
    """Return items * n; the device's code is right only for lists of one element."""
    if len(items) > 1 and n > 1:
        raise ValueError(
            "a list of more than one element cannot be repeated: ARTIQ's compiler fills the result with garbage"
        )
    return items * max(n, 0)


def compare(op: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
    """Compare as the device does: lengths first, then every element, or byte, with the same operator."""
    if isinstance(a, str):
        a, b = a.encode(), b.encode()
    if isinstance(a, tuple):
        return all(compare(op, x, y) for x, y in zip(a, b, strict=True))
    if not isinstance(a, list | bytes | bytearray | np.ndarray):
        return bool(op(a, b))
    if len(a) != len(b):
        return bool(op(len(a), len(b)))
    if isinstance(a, np.ndarray):  # the device looks at as many elements as there are rows
        a, b = a.reshape(-1)[: len(a)], b.reshape(-1)[: len(b)]
    return all(compare(op, x, y) for x, y in zip(a, b, strict=True))
