"""What is known of an expression before the kernel runs: its value, or the interval it lies in.

A kernel sees the attributes of host objects as they were when it started. Those that no kernel of the program writes,
and that hold objects or are kernel invariants, are therefore constants, and arithmetic on constants is done once.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from . import numbers as nb
from .functions import Function
from .types import Func, Instance, Module, Type, has_var, is_, width

Known = tuple[Any] | None
_FLOAT_OPS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: nb.truediv,
    ast.FloorDiv: nb.floatfloordiv,
    ast.Mod: nb.floatmod,
    ast.Pow: nb.power,
}
_INT_OPS = _FLOAT_OPS | {
    ast.FloorDiv: nb.floordiv,
    ast.Mod: nb.mod,
    ast.Pow: nb.intpow,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.BitXor: lambda a, b: a ^ b,
}


class Knowledge:
    """What is known in one function, given what is known of its `self` and arguments."""

    def __init__(self, function: Function, given: dict[str, Known], written: set[tuple[Instance, str]]) -> None:
        self.function, self.given, self.written = function, given, written

    def of(self, node: Any) -> Known:
        """Return the value of an expression in a tuple, None where it is not known."""
        value = self._raw(node)
        if value is not None and getattr(node, "co", None) is not None and is_("float", node.co) and is_("int", node.t):
            return (float(value[0]),)
        if value is not None and getattr(node, "co", None) is not None and is_("int", node.co):
            return (plain(value[0], node.co),)
        return value

    def _raw(self, node: Any) -> Known:
        typ = getattr(node, "t", None)
        if isinstance(node, ast.Constant):
            return (node.value,) if typ is None or has_var(typ) else (plain(node.value, typ),)
        if hasattr(node, "host"):
            return (plain(node.host[0], node.t),)
        if isinstance(node, ast.Name):
            return self.given.get(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.IfExp):
            test = self.of(node.test)
            decided = test is not None and isinstance(test[0], bool | int | float)
            return self.of(node.body if test[0] else node.orelse) if test is not None and decided else None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.of(node.operand)
            typ = node.t  # type: ignore[attr-defined]
            if inner is None or has_var(typ):
                return None
            return (0.0 - inner[0],) if is_("float", typ) else (_fit(-inner[0], typ),)
        return None

    def _attribute(self, node: Any) -> Known:
        owner = self.of(node.value)
        typ = node.value.t.find()
        if owner is None or isinstance(node.t.find(), Func) and node.t.find().kind in ("method", "kernel", "rpc"):
            return None
        if isinstance(typ, Module) or isinstance(typ, Instance) and typ.constructor:
            return (plain(getattr(owner[0], node.attr), node.t),)
        if not isinstance(typ, Instance) or (typ, node.attr) in self.written:
            return None
        if isinstance(node.t.find(), Instance) or node.attr in typ.invariants:
            value = getattr(owner[0], node.attr)
            if isinstance(value, list) or is_("array", node.t):
                return None
            return (plain(value, node.t),)
        return None

    def _binary(self, node: Any) -> Known:
        left, right = self.of(node.left), self.of(node.right)
        if left is None or right is None or has_var(node.t):
            return None
        table = _FLOAT_OPS if is_("float", node.t) else _INT_OPS if is_("int", node.t) else {}
        op = table.get(type(node.op))
        if op is None:
            return None
        if is_("float", node.t):
            left, right = (float(left[0]),), (float(right[0]),)
        try:
            return (_fit(op(left[0], right[0]), node.t),)
        except (ArithmeticError, ValueError):
            return None  # it is raised when the kernel gets there

    def interval(self, node: Any) -> tuple[int, int]:
        """Return bounds of an integer expression."""
        known = self.of(node)
        if known is not None and isinstance(known[0], int):
            return known[0], known[0]
        lo, hi = limits(node.t)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "now_mu":
            return -(2**62), 2**62
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            masks = [self.interval(side) for side in (node.left, node.right)]
            tops = [top for low, top in masks if low >= 0]
            if tops:
                return 0, min(tops)
        if isinstance(node, ast.IfExp):
            a, b = self.interval(node.body), self.interval(node.orelse)
            return min(a[0], b[0]), max(a[1], b[1])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            top = self.interval(node.right)
            if top[0] > 0:
                return 0, top[1] - 1
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            low, high = arithmetic(node.op, self.interval(node.left), self.interval(node.right))
            if lo <= low and high <= hi:
                return low, high
        return lo, hi


def limits(typ: Type) -> tuple[int, int]:
    """Return the range of an integer type (bool counts as 0, 1)."""
    if not is_("int", typ):
        return 0, 1
    return (nb.MIN64, nb.MAX64) if width(typ) == 64 else (nb.MIN32, nb.MAX32)


def arithmetic(op: Any, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Return bounds of a sum, difference or product."""
    if isinstance(op, ast.Add):
        return a[0] + b[0], a[1] + b[1]
    if isinstance(op, ast.Sub):
        return a[0] - b[1], a[1] - b[0]
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def plain(value: Any, typ: Type) -> Any:
    """Return a host value as kernels hold it: NumPy scalars become plain numbers, integers fit their width."""
    if is_("int", typ):
        return _fit(int(value), typ)
    if is_("float", typ):
        return float(value)
    if is_("bool", typ):
        return bool(value)
    return value


def _fit(value: Any, typ: Type) -> Any:
    if not is_("int", typ):
        return value
    return nb.wrap64(value) if width(typ) == 64 else nb.wrap32(value)
