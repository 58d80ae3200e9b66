"""Arithmetic of the core device, where it differs from Python's.

Kernel integers are Python ints kept within their width, floats are floats. Integers wrap, `//` truncates, `%` is
Python's, rounding goes half away from zero, a range has (stop - start) // step elements. Measured with ARTIQ 8's
compiler.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MIN32, MAX32 = -(2**31), 2**31 - 1
MIN64, MAX64 = -(2**63), 2**63 - 1


def wrap32(value: int) -> int:
    """Return the 32-bit integer that the device makes of `value`."""
    return ((value + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def wrap64(value: int) -> int:
    """Return the 64-bit integer that the device makes of `value`."""
    return ((value + 0x8000000000000000) & 0xFFFFFFFFFFFFFFFF) - 0x8000000000000000


def floordiv(a: int, b: int) -> int:
    """Return a / b, truncated towards zero."""
    if b == 0:
        raise ZeroDivisionError("cannot divide by zero")
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def mod(a: Any, b: Any) -> Any:
    """Return a % b with the sign of b."""
    if b == 0:
        raise ZeroDivisionError("cannot divide by zero")
    return a % b


def truediv(a: float, b: float) -> float:
    """Return a / b."""
    if b == 0:
        raise ZeroDivisionError("cannot divide by zero")
    return a / b


def floatfloordiv(a: float, b: float) -> float:
    """Return floor(a / b); Python's own `//` rounds only once and gives other values."""
    if b == 0:
        raise ZeroDivisionError("cannot divide by zero")
    q = a / b
    return float(math.floor(q)) if math.isfinite(q) else q


def intpow(a: int, b: int) -> int:
    """Return a ** b by way of a double, as the device does; 0 for a negative exponent unless |a| is 1."""
    return truncate(power(float(a), float(b)))


def power(a: float, b: float) -> float:
    """Return a ** b of floats, with infinities and NaN in place of Python's exceptions."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        return math.inf if a == 0 else math.nan


def lshift32(a: int, b: int) -> int:
    """Return a << b in 32 bits."""
    return 0 if _amount(b) >= 32 else wrap32(a << b)


def lshift64(a: int, b: int) -> int:
    """Return a << b in 64 bits."""
    return 0 if _amount(b) >= 64 else wrap64(a << b)


def rshift(a: int, b: int) -> int:
    """Return a >> b; the sign is kept."""
    return a >> min(_amount(b), 63)


def _amount(b: int) -> int:
    if b < 0:
        raise ValueError("shift amount must be nonnegative")
    return b


def truncate(value: float) -> int:
    """Return the integer part of a float; refuse what no 64-bit integer holds: the device's result is undefined."""
    if not -9.3e18 < value < 9.3e18:
        raise OverflowError(f"{value!r} does not fit a 64-bit integer; on the device the result would be undefined")
    return int(value)


def truncate32(value: float) -> int:
    """Return the integer part of a float, which must fit 32 bits."""
    result = truncate(value)
    if not MIN32 <= result <= MAX32:
        raise OverflowError(f"{value!r} does not fit a 32-bit integer; on the device the result would be undefined")
    return result


def round_away(value: float) -> int:
    """Return the nearest integer, half away from zero."""
    whole = truncate(value)
    rest = value - whole
    return whole + 1 if rest >= 0.5 else whole - 1 if rest <= -0.5 else whole


def rint(value: float) -> float:
    """Return the nearest integral float, half away from zero."""
    return math.copysign(float(round_away(value)), value) if abs(value) < 2**52 else value


def device_range(start: int, stop: int, step: int) -> range:
    """Return the range that the device makes of its three arguments."""
    n = floordiv(stop - start, step)
    return range(start, start + n * step, step) if n > 0 else range(start, start, step)


def get(items: Any, index: int) -> Any:
    """Return items[index]."""
    try:
        return items[index]
    except IndexError:
        raise IndexError(f"index {index} out of bounds 0:{len(items)}") from None


def put(items: Any, index: int, value: Any) -> None:
    """Set items[index]."""
    try:
        items[index] = value
    except IndexError:
        raise IndexError(f"index {index} out of bounds 0:{len(items)}") from None


def get_number(items: Any, index: Any) -> Any:
    """Return an element of an array as a plain number; `index` may be a tuple."""
    return _checked(items, index)[index].item()


def get_row(items: Any, index: Any) -> Any:
    """Return a part of an array with fewer dimensions."""
    return _checked(items, index)[index]


def put_number(items: Any, index: Any, value: Any) -> None:
    """Set an element of an array."""
    _checked(items, index)[index] = value


def _checked(items: Any, index: Any) -> Any:
    for i, length in zip(index if isinstance(index, tuple) else (index,), items.shape, strict=False):
        if not -length <= i < length:
            raise IndexError(f"index {i} out of bounds 0:{length}")
    return items


def _bound(length: int, index: int, end: bool) -> int:
    """Return a slice's bound counted from the start; the device refuses those out of range."""
    mapped = index + length if index < 0 else index
    if not (0 <= mapped <= length if end else 0 <= mapped < length):
        raise IndexError(f"index {index} out of bounds 0:{length}")
    return mapped


def _slice(items: Any, lower: int | None, upper: int | None, step: int | None) -> slice:
    length = len(items)
    start = _bound(length, 0 if lower is None else lower, False)
    stop = length if upper is None else _bound(length, upper, True)
    if step == 0:
        raise ValueError("step cannot be zero")
    if step is not None and step < 0:
        return slice(start, stop, step) if start > stop else slice(0, 0, 1)
    return slice(start, stop, step)


def get_slice(items: Any, lower: int | None, upper: int | None, step: int | None) -> Any:
    """Return items[lower:upper:step]: a copy of a list, a view of an array."""
    return items[_slice(items, lower, upper, step)]


def put_slice(items: Any, lower: int | None, upper: int | None, step: int | None, value: Any) -> None:
    """Set items[lower:upper:step], which never changes the length."""
    where = range(*_slice(items, lower, upper, step).indices(len(items)))
    for k, i in enumerate(where):
        items[i] = get(value, k)


def unpack(items: list[Any], n: int) -> list[Any]:
    """Return the list, whose length must be `n`."""
    if len(items) != n:
        raise ValueError(f"list must be {len(items)} elements long to decompose")
    return items


def repeat(items: list[Any], n: int) -> list[Any]:
    """Return items * n; the device's code is right only for lists of one element."""
    if len(items) > 1 and n > 1:
        raise ValueError(
            "a list of more than one element cannot be repeated: ARTIQ's compiler fills the result with garbage"
        )
    return items * max(n, 0)


def array_floordiv(a: Any, b: Any) -> Any:
    """Return the elementwise quotient, truncated for integers, rounded down for floats."""
    if np.any(np.asarray(b) == 0):
        raise ZeroDivisionError("cannot divide by zero")
    quotient = np.true_divide(a, b)
    if np.result_type(a, b).kind == "f":
        return np.floor(quotient)
    return np.where((np.asarray(a) < 0) == (np.asarray(b) < 0), np.abs(a) // np.abs(b), -(np.abs(a) // np.abs(b)))


def order_lists(op: Any, a: list[Any], b: list[Any]) -> bool:
    """Compare two lists as the device does: lengths first, then every element with the same operator."""
    if len(a) != len(b):
        return bool(op(len(a), len(b)))
    return all(op(x, y) for x, y in zip(a, b, strict=True))


def order_tuples(op: Any, a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Compare two tuples as the device does: every element with the same operator."""
    return all(op(x, y) for x, y in zip(a, b, strict=True))
