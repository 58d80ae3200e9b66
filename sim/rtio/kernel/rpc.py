"""Crossing from a kernel to the host and back: conversion of arguments, return values and attributes.

Arguments arrive on the host as numpy.int32 and numpy.int64; lists of 32-bit integers hold Python ints, arrays keep
their dtype. What an RPC returns is checked against its annotation. Source: behaviour of ARTIQ 8's kernel protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from .made import dtype
from .numbers import wrap32, wrap64
from .sequences import Range
from .types import BOOL, FLOAT, Type, is_, n_dims, width

Convert = Callable[[Any], Any]


class RPCReturnValueError(ValueError):
    """A remote procedure returned a value of another type than it declares."""


def _same(value: Any) -> Any:
    return value


def to_host(typ: Type) -> Convert:
    """Return the function that turns a kernel value of type `typ` into what the host receives."""
    typ = typ.find()
    if is_("int", typ):
        return np.int64 if width(typ) == 64 else np.int32
    if is_("tuple", typ):
        parts = [to_host(arg) for arg in typ.args]
        return lambda value: tuple([part(v) for part, v in zip(parts, value, strict=True)])
    if is_("list", typ):
        elt = typ.args[0].find()
        if is_("int", elt) and width(elt) == 64:
            return lambda value: [np.int64(v) for v in value]
        if is_("int", elt) or is_("float", elt) or is_("bool", elt):
            return list
        part = to_host(elt)
        return lambda value: [part(v) for v in value]
    if is_("array", typ):
        return lambda value: value.copy()
    if is_("range", typ):
        return lambda value: range(value.start, value.stop, value.step)
    if is_("bytearray", typ):
        return bytes
    if is_("float", typ):
        return float
    return _same


def to_kernel(typ: Type) -> Convert:
    """Return the function that turns a host value, known to be of type `typ`, into the kernel's own."""
    typ = typ.find()
    if is_("int", typ):
        wrap = wrap64 if width(typ) == 64 else wrap32
        return lambda value: wrap(int(value))
    if is_("float", typ):
        return float
    if is_("bool", typ):
        return bool
    if is_("tuple", typ):
        parts = [to_kernel(arg) for arg in typ.args]
        return lambda value: tuple([part(v) for part, v in zip(parts, value, strict=True)])
    if is_("list", typ):
        part = to_kernel(typ.args[0])
        return lambda value: [part(v) for v in value]
    if is_("array", typ):
        kind = dtype(typ) if type(typ.args[0].find()) is Type else None
        return lambda value: np.array(value, dtype=kind)
    if is_("range", typ):
        return lambda value: Range(value.start, value.stop, value.step)
    if is_("str", typ):
        return str
    return _same


_NAMES = {
    "NoneType": "None",
    "bool": "bool",
    "float": "float",
    "bytes": "bytes",
    "bytearray": "bytearray",
}
_CLASSES = {"NoneType": type(None), "bool": bool, "float": float, "bytes": bytes, "bytearray": bytearray}


def returned(typ: Type, function: Any) -> Convert:
    """Return the function that checks what an RPC returned and makes it a kernel value."""
    check = _checker(typ.find())
    convert = to_kernel(typ)

    def receive(root: Any) -> Any:
        wrong = check(root)
        if wrong is not None:
            value, expected = wrong
            raise RPCReturnValueError(
                f"type mismatch: cannot serialize {value!r} as {expected} ({function} has returned {root})"
            )
        return convert(root)

    return receive


def _checker(typ: Type) -> Callable[[Any], tuple[Any, str] | None]:
    """Return a function that finds what does not fit a type: the value and the name of what it should have been."""
    if is_("int", typ):
        return _int_checker(width(typ) or 32)
    if is_("tuple", typ):
        parts = [_checker(arg.find()) for arg in typ.args]
        n = len(parts)

        def check_tuple(value: Any) -> tuple[Any, str] | None:
            if not isinstance(value, tuple) or len(value) != n:
                return value, f"tuple of {n}"
            return next((w for part, v in zip(parts, value, strict=True) if (w := part(v)) is not None), None)

        return check_tuple
    if is_("list", typ):
        return _list_checker(typ)
    if is_("array", typ):
        n = n_dims(typ)
        return lambda value: (
            (value, "numpy.ndarray")
            if not isinstance(value, np.ndarray)
            else (value, f"{n}-dimensional numpy.ndarray")
            if value.ndim != n
            else None
        )
    if is_("range", typ):
        bound = _checker(typ.args[0].find())
        return lambda value: (
            next((w for v in (value.start, value.stop, value.step) if (w := bound(v)) is not None), None)
            if isinstance(value, range)
            else (value, "range")
        )
    if is_("str", typ):
        return lambda value: None if isinstance(value, str) and "\0" not in value else (value, "str")
    if typ.name in _CLASSES:
        cls, name = _CLASSES[typ.name], _NAMES[typ.name]
        return lambda value: None if isinstance(value, cls) else (value, name)
    return lambda value: None


def _int_checker(bits: int) -> Callable[[Any], tuple[Any, str] | None]:
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    kinds = (int, np.int32) if bits == 32 else (int, np.int32, np.int64)
    return lambda value: None if isinstance(value, kinds) and lowest <= value <= highest else (value, f"{bits}-bit int")


def _list_checker(typ: Type) -> Callable[[Any], tuple[Any, str] | None]:
    """Return the check of a list; ARTIQ packs lists of numbers at once, and takes whatever can be packed."""
    elt = typ.args[0].find()
    part = _checker(elt)
    code = "d" if elt is FLOAT else None if not is_("int", elt) else "q" if width(elt) == 64 else "l"

    def check(value: Any) -> tuple[Any, str] | None:
        if not isinstance(value, list):
            return value, "list"
        if elt is BOOL:
            bytes(value)
        elif code == "d":
            struct.pack(f"<{len(value)}d", *value)
        elif code is not None:
            _pack_integers(value, code, width(elt) or 32)
        else:
            return next((w for v in value if (w := part(v)) is not None), None)
        return None

    return check


def _pack_integers(value: list[Any], code: str, bits: int) -> None:
    try:
        struct.pack(f"<{len(value)}{code}", *value)
    except struct.error:
        pass
    else:
        return
    raise RPCReturnValueError(f"type mismatch: cannot serialize {value!r} as {bits}-bit integer list")
