"""Arithmetic that kernels import: what RV32G has no instruction for, and the mathematical library.

Source of names: ARTIQ 8 firmware, ksupport/api.rs; of meanings: LLVM's compiler-rt, C99 annex F. Letters of a
signature are those of `Cpu.arguments`: its result, a colon, its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]
_MASK = (1 << 64) - 1


def functions() -> dict[str, tuple[str, Function]]:
    """Return signature and meaning of each function by name."""
    named: dict[str, tuple[str, Function]] = {
        "__muldi3": ("I:II", lambda a, b: a * b),
        "__divdi3": ("I:II", _divide),
        "__moddi3": ("I:II", lambda a, b: a - b * _divide(a, b) if b else a),
        "__udivdi3": ("I:II", lambda a, b: (a & _MASK) // (b & _MASK) if b else -1),
        "__umoddi3": ("I:II", lambda a, b: (a & _MASK) % (b & _MASK) if b else a),
        "__ashldi3": ("I:Ii", lambda a, n: a << (n & 63)),
        "__ashrdi3": ("I:Ii", lambda a, n: a >> (n & 63)),
        "__lshrdi3": ("I:Ii", lambda a, n: (a & _MASK) >> (n & 63)),
        "__floatdidf": ("f:I", float),
        "__fixdfdi": ("I:f", _to_integer),
        "__powidf2": ("f:fi", _power_of_integer),
        "atan2": ("f:ff", math.atan2),
        "copysign": ("f:ff", math.copysign),
        "fmod": ("f:ff", _or_nan(math.fmod)),
        "hypot": ("f:ff", math.hypot),
        "jn": ("f:if", _bessel("jn")),
        "yn": ("f:if", _bessel("yn")),
        "nextafter": ("f:ff", math.nextafter),
        "pow": ("f:ff", _power),
        "round": ("f:f", _half_away),
        "floor": ("f:f", lambda x: float(math.floor(x)) if math.isfinite(x) else x),
        "ceil": ("f:f", lambda x: float(math.ceil(x)) if math.isfinite(x) else x),
        "rint": ("f:f", lambda x: math.copysign(round(x), x) if math.isfinite(x) else x),
        "log": ("f:f", _logarithm(math.log)),
        "log10": ("f:f", _logarithm(math.log10)),
        "exp": ("f:f", _growing(math.exp)),
        "expm1": ("f:f", _growing(math.expm1)),
        "cosh": ("f:f", _growing(math.cosh)),
        "sinh": ("f:f", lambda x: math.copysign(_growing(math.sinh)(abs(x)), x)),
        "lgamma": ("f:f", _growing(math.lgamma)),
    }
    for name in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "erf", "erfc", "fabs", "sin", "sqrt",
                 "tan", "tanh"):  # fmt: skip
        named[name] = ("f:f", _or_nan(getattr(math, name)))
    for name in ("j0", "j1", "y0", "y1"):
        named[name] = ("f:f", _bessel(name))
    return named


def run_time() -> dict[str, tuple[str, Function]]:
    """Return the same for what Arm's run-time ABI adds; D is a float in integer registers."""
    named = functions()
    other = {"__aeabi_lmul": "__muldi3", "__aeabi_llsl": "__ashldi3", "__aeabi_llsr": "__lshrdi3",
             "__aeabi_lasr": "__ashrdi3"}  # fmt: skip
    return {name: named[same] for name, same in other.items()} | {
        "__aeabi_idiv": ("i:ii", _divide_word),
        "__aeabi_uidiv": ("i:uu", lambda a, b: a // b if b else 0),
        "__aeabi_idivmod": ("I:ii", lambda a, b: _with_rest(_divide_word(a, b), a, b)),
        "__aeabi_uidivmod": ("I:uu", lambda a, b: _with_rest(a // b if b else 0, a, b)),
        "__aeabi_d2lz": ("I:D", _to_integer),
        "__aeabi_l2d": ("D:I", float),
    }


def _with_rest(quotient: int, a: int, b: int) -> int:
    """Return quotient and remainder as two words of one number: one comes back in each register."""
    return (a - b * quotient) << 32 | quotient & 0xFFFFFFFF


def _divide_word(a: int, b: int) -> int:
    """Divide towards zero; by zero gives 0, as Arm's run time does."""
    return _divide(a, b) if b else 0


def _divide(a: int, b: int) -> int:
    """Divide towards zero; by zero gives −1, as the processor's own instruction."""
    if b == 0:
        return -1
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _to_integer(x: float) -> int:
    """Cut to 64 bits; what does not fit becomes the nearest that does."""
    if math.isnan(x):
        return 0
    return int(max(-(2.0**63), x)) if x < 2.0**63 else (1 << 63) - 1


def _power_of_integer(x: float, n: int) -> float:
    """Multiply repeatedly, in compiler-rt's order."""
    result, left = 1.0, abs(n)
    while True:
        if left & 1:
            result *= x
        left >>= 1
        if not left:
            break
        x *= x
    if n >= 0:
        return result
    return 1.0 / result if result else math.copysign(math.inf, result)


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        odd = y == math.floor(y) and y % 2 == 1
        return -math.inf if x < 0 and odd else math.inf
    except ValueError:
        if x == 0:  # to a negative power
            return math.copysign(math.inf, x) if y % 2 == 1 else math.inf
        return math.nan


def _half_away(x: float) -> float:
    """Round halves away from zero."""
    if not math.isfinite(x) or abs(x) >= 2.0**52:
        return x
    whole = math.floor(abs(x))
    return math.copysign(whole + (abs(x) - whole >= 0.5), x)


def _or_nan(function: Callable[..., float]) -> Function:
    """Give NaN outside of a function's domain, and infinity at a pole of atanh."""

    def of(*args: float) -> float:
        try:
            return function(*args)
        except (ValueError, OverflowError):
            pole = function is math.atanh and abs(args[0]) == 1
            return math.copysign(math.inf, args[0]) if pole else math.nan

    return of


def _logarithm(function: Callable[[float], float]) -> Function:
    return lambda x: -math.inf if x == 0 else math.nan if x < 0 else function(x)


def _growing(function: Callable[[float], float]) -> Function:
    """Give infinity where the result does not fit, or at a pole."""

    def of(x: float) -> float:
        try:
            return function(x)
        except (OverflowError, ValueError):
            return math.inf

    return of


def _bessel(name: str) -> Function:
    def of(*args: float) -> float:
        from scipy import special  # slow to import, and hardly ever wanted

        return float(getattr(special, name)(*args))

    return of
