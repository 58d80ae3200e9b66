"""Rejections that look at the types of single expressions, once all types are known.

What cannot go to the host, what cannot be compared, and array arithmetic inside `try`, on which ARTIQ's compiler fails.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from .errors import AssertionError
from .functions import Function
from .types import NONE, Exc, Func, Type, has_var, is_, is_numeric, width


def monomorphic(function: Function) -> None:
    """Check that every type was found, and that what goes to the host can go there; raise KernelError."""
    if has_var(function.ret):
        raise function.error(function.node, "the return type of this function cannot be fully inferred")
    for node in (node for stmt in function.node.body for node in ast.walk(stmt)):
        typ = getattr(node, "t", None)
        if isinstance(typ, Type) and (has_var(typ) or has_var(getattr(node, "co", None) or typ)):
            raise function.error(node, "the type of this expression cannot be fully inferred", f"it is {typ}")
        if isinstance(node, ast.Call) and _is_rpc(node):
            for arg in [*node.args, *(k.value for k in node.keywords)]:
                _check_sent(function, arg, arg.t)  # type: ignore[attr-defined]


def _is_rpc(node: Any) -> bool:
    typ = node.func.t.find()
    if isinstance(typ, Func) and typ.kind == "method":
        typ = typ.info[1]
    return isinstance(typ, Func) and typ.kind == "rpc"


def _check_sent(function: Function, node: Any, typ: Type) -> None:
    typ = typ.find()
    if isinstance(typ, Exc | Func) or is_("int", typ) and width(typ) == 8:
        raise function.error(
            node, f"type {typ.name if isinstance(typ, Exc) else typ} is not supported in remote procedure calls"
        )
    if is_("list", typ) or is_("tuple", typ):
        for arg in typ.args:
            _check_sent(function, node, arg)


def comparisons(function: Function) -> None:
    """Refuse comparisons of objects, functions and the like; raise KernelError."""
    for node in ast.walk(function.node):
        if isinstance(node, ast.Compare):
            operands: list[Any] = [node.left, *node.comparators]
            for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
                if isinstance(op, ast.Is | ast.IsNot):
                    continue
                other = right.t
                if isinstance(op, ast.In | ast.NotIn):
                    if is_("range", other):
                        continue
                    if _has_elements(left.t):
                        reason = "'in' can only look for numbers, and tuples of them"
                        raise AssertionError(reason, function.filename, left.lineno)
                    other = left.t
                if not _comparable(getattr(left, "co", None) or left.t, getattr(right, "co", None) or other):
                    raise function.error(left, "Custom object comparison is not supported")


def _has_elements(typ: Type) -> bool:
    typ = typ.find()
    listed = any(is_(kind, typ) for kind in ("list", "array", "str", "bytes", "bytearray"))
    return listed or is_("tuple", typ) and any(map(_has_elements, typ.args))


def _comparable(left: Type, right: Type) -> bool:
    left, right = left.find(), right.find()
    if left is NONE or is_("bool", left):
        return left is right
    if is_numeric(left):
        return is_numeric(right)
    if is_("tuple", left) and is_("tuple", right):
        return all(map(_comparable, left.args, right.args))
    if is_("list", left) or is_("array", left):
        return _comparable(left.args[0], left.args[0])
    return any(is_(kind, left) and is_(kind, right) for kind in ("str", "bytes", "bytearray"))


def array_operations(function: Function) -> None:
    """Refuse array arithmetic where an exception would be caught in the same function."""
    for node in _guarded(function.node.body, False):
        if _is_array_operation(node):
            reason = "array arithmetic cannot be inside 'try' or 'with' of the same function"
            raise AssertionError(reason, function.filename, getattr(node, "lineno", 0))


def _guarded(body: list[Any], inside: bool) -> Iterator[ast.AST]:
    """Yield the expressions and statements of which ARTIQ's code generator hands exceptions on to a handler."""
    for stmt in body:
        parts: list[tuple[list[Any], bool]] = []
        if isinstance(stmt, ast.Try):
            held = inside or bool(stmt.finalbody)
            parts = [(stmt.body, True), (stmt.orelse, inside), (stmt.finalbody, inside)]
            parts += [(handler.body, held) for handler in stmt.handlers]
        elif isinstance(stmt, ast.With):
            parts = [(stmt.body, inside or getattr(stmt, "context", None) is None)]
        elif isinstance(stmt, ast.If | ast.For | ast.While):
            parts = [(stmt.body, inside), (stmt.orelse, inside)]
        for inner, held in parts:
            yield from _guarded(inner, held)
        if inside and not isinstance(stmt, ast.FunctionDef):
            yield from _own_nodes(stmt)


def _own_nodes(stmt: ast.stmt) -> Iterator[ast.AST]:
    """Yield a statement and its expressions, not the statements in it."""
    yield stmt
    for child in ast.iter_child_nodes(stmt):
        if isinstance(child, ast.expr):
            yield from ast.walk(child)


def _is_array_operation(node: Any) -> bool:
    if is_("array", getattr(node, "co", None) or NONE):
        return True
    typ: Type = getattr(getattr(node, "target", node), "t", NONE)
    match node:
        case ast.AugAssign() | ast.UnaryOp(op=ast.USub()):
            return is_("array", typ)
        case ast.BinOp():
            return isinstance(node.op, ast.MatMult) or is_("array", typ)
        case ast.Call(func=func):
            called: Any = func.t.find()  # type: ignore[attr-defined]
            return isinstance(called, Func) and called.kind == "math" and is_("array", typ)
    return False
