"""Arrays of the core device, where they differ from NumPy's.

Both operands are brought to the type of the result's elements, and nothing looks for a division by zero. Measured
with ARTIQ 8's compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import numbers as nb
from .exceptions import new_exception
from .sequences import Range, out_of_bounds

Array = np.ndarray[Any, Any]


def get_number(items: Array, index: Any) -> Any:
    """Return an element of an array as a plain number; `index` may be a tuple."""
    return _checked(items, index)[index].item()


def get_row(items: Array, index: Any) -> Any:
    """Return a part of an array with fewer dimensions."""
    return _checked(items, index)[index]


def put_number(value: Any, items: Array, index: Any) -> None:
    """Set an element of an array; the value comes first, because it is evaluated first."""
    _checked(items, index)[index] = value


def _checked(items: Array, index: Any) -> Array:
    for i, n in zip(index if isinstance(index, tuple) else (index,), items.shape, strict=False):
        if not -n <= i < n:
            raise out_of_bounds(i, n)
    return items


def new_array(items: Any, dtype: str) -> Array:
    """Return an array of nested lists, which must be rectangular."""
    plain, shape = _nested(items), []
    level = plain
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    _check_rectangular(plain, shape)
    with np.errstate(all="ignore"):
        wide = "float64" if dtype.startswith("int") and _has_float(plain) else dtype.replace("32", "64")
        made = np.array(plain, dtype=wide)
        return made.astype(dtype, copy=False).reshape(shape)


def _nested(items: Any) -> Any:
    if isinstance(items, np.ndarray):
        return items.tolist()
    return [_nested(item) for item in items] if isinstance(items, list | range | Range) else items


def _has_float(items: Any) -> bool:
    return any(map(_has_float, items)) if isinstance(items, list) else isinstance(items, float)


def _check_rectangular(items: Any, shape: list[int]) -> None:
    for item in items if len(shape) > 1 else ():
        if len(item) != shape[1]:
            text = "arrays must be rectangular (lengths were {0} vs. {1})"
            raise new_exception(ValueError, text, len(item), shape[1])
        _check_rectangular(item, shape[1:])


def array_op(op: str, dtype: str, a: Any, b: Any) -> Array:
    """Return the elementwise result of an operator, whose elements are of type `dtype`."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.shape != b.shape:
        raise ValueError("operands could not be broadcast together")
    a, b = _as(a, dtype), _as(b, dtype)
    with np.errstate(all="ignore"):
        made: Array = _OPERATORS[op](a, b)
    return made


def _as(value: Any, dtype: str) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(dtype, copy=False)
    if dtype == "float64":
        return float(value)
    return np.int64(value) if dtype == "int64" else np.int32(nb.wrap32(value))


def _each(function: Callable[[Any, Any], Any], wrap: Callable[[int], int] | None = None) -> Callable[[Any, Any], Array]:
    """Return an operator that is carried out number by number."""

    def apply(a: Any, b: Any) -> Array:
        left, right = np.broadcast_arrays(a, b)
        pairs = zip(left.reshape(-1).tolist(), right.reshape(-1).tolist(), strict=True)
        return np.array([function(x, y) for x, y in pairs], dtype=left.dtype).reshape(left.shape)

    return apply


def _by_kind(whole: Callable[[Any, Any], Any], floating: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Array]:
    integer, real = _each(whole), _each(floating)
    return lambda a, b: (real if np.asarray(a).dtype.kind == "f" else integer)(a, b)


_OPERATORS: dict[str, Callable[[Any, Any], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mult": np.multiply,
    "Div": np.true_divide,
    "FloorDiv": _by_kind(nb.unchecked_floordiv, nb.unchecked_floatfloordiv),
    "Mod": _by_kind(nb.unchecked_mod, nb.unchecked_floatmod),
    "Pow": _by_kind(nb.intpow, nb.power),
}


def array_negative(a: Array) -> Array:
    """Return zero minus every element."""
    return a.dtype.type(0) - a


def matmul(dtype: str, a: Array, b: Array) -> Any:
    """Return the matrix product, every sum taken from the first product to the last; a number for two vectors."""
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    left, right = a.reshape(1, -1) if a.ndim == 1 else a, b.reshape(-1, 1) if b.ndim == 1 else b
    if left.shape[1] != right.shape[0]:
        text = "inner dimensions for matrix multiplication do not match ({0} vs. {1})"
        raise new_exception(ValueError, text, left.shape[1], right.shape[0])
    total = np.zeros((left.shape[0], right.shape[1]), dtype=dtype)
    with np.errstate(all="ignore"):
        for k in range(left.shape[1]):
            total = total + left[:, k : k + 1] * right[k : k + 1, :]
    if a.ndim == b.ndim == 1:
        return total[0, 0].item()
    return total.reshape(-1) if 1 in (a.ndim, b.ndim) else total


def as_floats(a: Array) -> Array:
    """Return an array's elements as floats."""
    return a.astype("float64", copy=False)
