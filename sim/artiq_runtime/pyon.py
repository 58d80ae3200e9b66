"""PYON, the text in which ARTIQ writes arguments, datasets and descriptions of runs.

Two dialects exist. Version 2 (sipyco since July 2025) is JSON in which {"__jsonclass__": [name, arguments]} stands for
what JSON lacks; it is what `encode` writes by default. Version 1 (the sipyco that ARTIQ 8's own lock file names) is
Python's literal syntax with the names true, false, null, nan, inf and a few constructors such as nparray(shape, dtype,
data). `decode` reads both. Nothing is evaluated: version 1 is parsed with `ast`, only known constructors are applied.
"""

import ast
import base64
import json
import math
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from atomlink.errors import brief

_CLASS_KEY = "__jsonclass__"
# What Python, numpy and their parsers raise for text that is not what it should be.
_SPOILED = (TypeError, KeyError, ValueError, AttributeError, IndexError, ArithmeticError, SyntaxError, RecursionError,
            MemoryError)  # fmt: skip

_SCALARS = tuple(
    getattr(np, name)
    for name in (
        "bool_", "bytes_", "str_", "void", "timedelta64", "datetime64",
        "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
    )
)


def encode(x: Any, pretty: bool = False, version: int = 2) -> str:
    """Return the PYON text of `x`; `version` says which dialect, `pretty` spreads version 2 over lines.

    Raises TypeError for a type that PYON cannot write.
    """
    if version == 1:
        return _text_v1(x)
    layout: dict[str, Any] = {"indent": 4} if pretty else {"separators": (",", ":")}
    return json.dumps(_wrap(x), default=_class_entry, **layout)


def decode(s: str) -> Any:
    """Return the object that PYON text of either dialect stands for; raise ValueError if the text is neither."""
    try:
        return json.loads(s, object_hook=_from_entry)
    except (json.JSONDecodeError, RecursionError):
        return _decode_v1(s)


def is_version_1(s: str) -> bool:
    """Return whether PYON text can only be of the old dialect."""
    try:
        json.loads(s)
    except (ValueError, RecursionError):
        return True
    return False


# Version 2: JSON with class entries.


class _Wrapped:
    """A tuple or a dict with other keys than strings, hidden from json, which would change its type."""

    def __init__(self, name: str, data: list[Any]) -> None:
        self.name = name
        self.data = data


def _wrap(x: Any) -> Any:
    if isinstance(x, dict):
        if not all(isinstance(key, str) for key in x):
            return _Wrapped("dict", [[_wrap(key), _wrap(value)] for key, value in x.items()])
        if _CLASS_KEY in x:
            raise TypeError(f"A dict with the key {_CLASS_KEY!r} is not PYON encodable; rename the key")
        return {key: _wrap(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_wrap(item) for item in x]
    if isinstance(x, tuple):
        return _Wrapped("tuple", [_wrap(item) for item in x])
    return x


def _class_entry(x: Any) -> dict[str, list[Any]]:
    if isinstance(x, _Wrapped):
        return {_CLASS_KEY: [x.name, [x.data]]}
    encoder = _ENCODERS.get(type(x))
    if encoder is None:
        raise TypeError(f"`{x!r}`: Object of type `{type(x).__name__}` is not PYON encodable")
    name, arguments = encoder
    return {_CLASS_KEY: [name, arguments(x)]}


def _from_entry(entry: dict[str, Any]) -> Any:
    if _CLASS_KEY not in entry:
        return entry
    try:
        name, arguments = entry[_CLASS_KEY]
        return _DECODERS[name](*arguments)
    except _SPOILED as error:
        raise ValueError(
            f"{brief(entry)} is not PYON ({type(error).__name__}: {error}); "
            f"the types it knows are {', '.join(_DECODERS)}"
        ) from error


def _base64(data: Any) -> str:
    return base64.b64encode(data).decode()


def _array_arguments(x: np.ndarray) -> list[Any]:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"`{x!r}`: masked arrays are not PYON encodable; their mask would be lost")
    if x.dtype.hasobject:
        raise TypeError(f"`{x!r}`: numpy arrays with object dtype are not PYON encodable")
    return [list(x.shape), x.dtype.str, _base64(np.ascontiguousarray(x).data)]


def _array(shape: Any, dtype: str, data: str | bytes) -> np.ndarray:
    # A copy, because an array on a bytes object cannot be written to.
    return np.frombuffer(base64.b64decode(data), dtype).reshape(shape).copy()


def _fraction(numerator: int, denominator: int = 1) -> Fraction:
    # Of integers only: Fraction("1e999999999") would be worked out for hours.
    if type(numerator) is not int or type(denominator) is not int:
        raise TypeError("a Fraction is written with two integers")
    return Fraction(numerator, denominator)


def _scalar(dtype: str, data: str | bytes) -> Any:
    return np.frombuffer(base64.b64decode(data), dtype)[0]


_ENCODERS: dict[type, tuple[str, Callable[[Any], list[Any]]]] = {
    complex: ("complex", lambda x: [x.real, x.imag]),
    bytes: ("bytes", lambda x: [_base64(x)]),
    set: ("set", lambda x: [[_wrap(item) for item in x]]),
    slice: ("slice", lambda x: [_wrap(x.start), _wrap(x.stop), _wrap(x.step)]),
    Fraction: ("Fraction", lambda x: [x.numerator, x.denominator]),
    np.ndarray: ("nparray", _array_arguments),
    **{scalar: ("npscalar", lambda x: [x.dtype.str, _base64(x.data)]) for scalar in _SCALARS},
}

_DECODERS: dict[str, Callable[..., Any]] = {
    "tuple": tuple,
    "dict": dict,
    "complex": complex,
    "bytes": base64.b64decode,
    "set": set,
    "slice": slice,
    "Fraction": _fraction,
    "OrderedDict": OrderedDict,
    "nparray": _array,
    "npscalar": _scalar,
}


# Version 1: Python's literal syntax.

_NAMES_V1 = {"null": None, "true": True, "false": False, "nan": math.nan, "inf": math.inf}
_CALLS_V1: dict[str, Callable[..., Any]] = {
    name: _DECODERS[name] for name in ("slice", "Fraction", "OrderedDict", "nparray", "npscalar")
}


def _decode_v1(s: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser's own, of text that is Python only by chance
            return _value_v1(ast.parse(s.strip(), mode="eval").body)
    except _SPOILED as error:
        raise ValueError(
            f"{s[:60]!r} is not PYON ({_reason(error)}); write a number, true or false, or a string in double quotes"
        ) from error


def _reason(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__


def _value_v1(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() as text):
            # The old dialect writes a character beyond 16 bits as JSON does, in two halves, which Python does not join.
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.Name(id=name) if name in _NAMES_V1:
            return _NAMES_V1[name]
        case ast.Tuple(elts=elts):
            return tuple(_value_v1(elt) for elt in elts)
        case ast.List(elts=elts):
            return [_value_v1(elt) for elt in elts]
        case ast.Set(elts=elts):
            return {_value_v1(elt) for elt in elts}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value_v1(key): _value_v1(value) for key, value in zip(keys, values, strict=True) if key}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS_V1:
            return _CALLS_V1[name](*(_value_v1(arg) for arg in args))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number_v1(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number_v1(operand)
        case ast.BinOp(op=ast.Add(), left=left, right=ast.Constant(value=complex() as imaginary)):
            return _number_v1(left) + imaginary
        case ast.BinOp(op=ast.Sub(), left=left, right=ast.Constant(value=complex() as imaginary)):
            return _number_v1(left) - imaginary
    raise ValueError(f"{ast.unparse(node)[:40]!r} is not a literal")


def _number_v1(node: ast.expr) -> Any:
    value = _value_v1(node)
    if isinstance(value, bool) or not isinstance(value, int | float | complex):
        raise TypeError(f"{value!r} is not a number")
    return value


def _text_v1(x: Any) -> str:
    if x is None or isinstance(x, bool):
        return {None: "null", True: "true", False: "false"}[x]
    if type(x) in (int, float, complex, bytes):
        return repr(x)
    if type(x) is str:
        return json.dumps(x)
    if type(x) is tuple:
        return "(" + _items_v1(x) + (", )" if len(x) == 1 else ")")
    if type(x) is list:
        return f"[{_items_v1(x)}]"
    if type(x) is set:  # an empty one reads back as a dict, as it does in sipyco
        return "{" + _items_v1(x) + "}"
    if type(x) is dict:
        return "{" + ", ".join(f"{_text_v1(key)}: {_text_v1(value)}" for key, value in x.items()) + "}"
    return _call_v1(x)


def _items_v1(x: Iterable[Any]) -> str:
    return ", ".join(_text_v1(item) for item in x)


def _call_v1(x: Any) -> str:
    if isinstance(x, np.ndarray):
        _, dtype, data = _array_arguments(x)
        return f'nparray({_text_v1(x.shape)}, "{dtype}", b"{data}")'
    if isinstance(x, _SCALARS):
        return f'npscalar("{x.dtype.str}", b"{_base64(x.data)}")'
    if type(x) is Fraction:
        return f"Fraction({x.numerator}, {x.denominator})"
    if type(x) is slice:
        return f"slice({', '.join(_text_v1(part) for part in (x.start, x.stop, x.step))})"
    raise TypeError(f"`{x!r}` ({type(x)}) is not PYON serializable")
