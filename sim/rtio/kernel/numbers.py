"""Arithmetic of the core device, where it differs from Python's.

Kernel integers are Python ints kept within their width, floats are floats. Integers wrap, `//` truncates, `%` is
Python's, rounding goes half away from zero, a negative number is zero minus it. Measured with ARTIQ 8's compiler;
lists, ranges and strings are in `sequences.py`, arrays in `arrays.py`.
"""

from __future__ import annotations

import math

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


def mod(a: int, b: int) -> int:
    """Return a % b with the sign of b."""
    if b == 0:
        raise ZeroDivisionError("cannot divide by zero")
    return a % b


def truediv(a: float, b: float) -> float:
    """Return a / b; the device's check for zero finds NaN, too."""
    if not (b < 0 or b > 0):
        raise ZeroDivisionError("cannot divide by zero")
    return a / b


def floatfloordiv(a: float, b: float) -> float:
    """Return floor(a / b); Python's own `//` rounds only once and gives other values."""
    return _floor(truediv(a, b))


def floatmod(a: float, b: float) -> float:
    """Return a % b with the sign of b; an exact multiple keeps the zero, and its sign, of C's fmod."""
    if not (b < 0 or b > 0):
        raise ZeroDivisionError("cannot divide by zero")
    rest = math.fmod(a, b) if math.isfinite(a) else math.nan
    return rest + b if rest != 0 and (b < 0) != (rest < 0) else rest


def unchecked_floordiv(a: int, b: int) -> int:
    """Return a / b as an augmented assignment does: nothing looks for zero, and what comes of it is undefined."""
    return floordiv(a, b) if b else 0


def unchecked_mod(a: int, b: int) -> int:
    """Return a % b as an augmented assignment does: nothing looks for zero, and what comes of it is undefined."""
    return a % b if b else a


def unchecked_truediv(a: float, b: float) -> float:
    """Return a / b as an augmented assignment does: infinity or NaN where b is zero."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def unchecked_floatfloordiv(a: float, b: float) -> float:
    """Return floor(a / b) as an augmented assignment does."""
    return _floor(unchecked_truediv(a, b))


def unchecked_floatmod(a: float, b: float) -> float:
    """Return a % b as an augmented assignment does: NaN where b is zero."""
    return floatmod(a, b) if b < 0 or b > 0 else math.nan


def _floor(q: float) -> float:
    return math.copysign(float(math.floor(q)), q) if math.isfinite(q) else q


def lesser(a: float, b: float) -> float:
    """Return min(a, b): the second where they do not compare."""
    return a if a < b else b


def greater(a: float, b: float) -> float:
    """Return max(a, b): the second where they do not compare."""
    return a if a > b else b


def magnitude(a: float) -> float:
    """Return abs(a), which leaves a negative zero alone."""
    return 0.0 - a if a < 0 else a


def nonzero(a: float) -> bool:
    """Say whether a float is true: NaN is not."""
    return a < 0 or a > 0


def intpow(a: int, b: int) -> int:
    """Return a ** b by repeated multiplication of doubles, as the device does."""
    value, factor, left = 1.0, float(a), abs(b)
    while left:
        if left & 1:
            value *= factor
        left >>= 1
        factor *= factor
    if b < 0:
        value = unchecked_truediv(1.0, value)
    return truncate(value)


def power(a: float, b: float) -> float:
    """Return a ** b of floats, with infinities and NaN in place of Python's exceptions."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a != 0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


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


def round_away32(value: float) -> int:
    """Return the nearest integer, half away from zero, which must fit 32 bits."""
    return truncate32(float(round_away(value)))


def rint(value: float) -> float:
    """Return the nearest integral float, half away from zero."""
    return math.copysign(float(round_away(value)), value) if abs(value) < 2**52 else value
