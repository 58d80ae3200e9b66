"""Pieces of the Python that kernels become."""

from __future__ import annotations

import ast
from typing import Any

from .types import Type, is_, width


def load(name: str) -> ast.expr:
    """Return an expression that reads a name."""
    return ast.Name(id=name, ctx=ast.Load())


def store(name: str) -> ast.expr:
    """Return a target that sets a name."""
    return ast.Name(id=name, ctx=ast.Store())


def constant(value: Any) -> ast.expr:
    """Return a constant."""
    return ast.Constant(value=value)


def call(func: ast.expr, *args: ast.expr) -> ast.expr:
    """Return a call."""
    return ast.Call(func=func, args=list(args), keywords=[])


def assign(target: ast.expr, value: ast.expr) -> ast.stmt:
    """Return an assignment."""
    return ast.Assign(targets=[target], value=value, type_comment=None)


def named(name: str, value: ast.expr) -> ast.expr:
    """Return an expression that also keeps its value under a name."""
    return ast.NamedExpr(target=ast.Name(id=name, ctx=ast.Store()), value=value)


def dtype(typ: Type) -> str:
    """Return the NumPy dtype of an array's elements, or of a number."""
    elt = typ.find().args[0].find() if is_("array", typ) else typ.find()
    if is_("int", elt):
        return f"int{width(elt)}"
    return "bool" if is_("bool", elt) else "float64"


_PLACED = (ast.stmt, ast.expr, ast.excepthandler, ast.keyword)


def place(made: Any, node: Any) -> None:
    """Copy a place to a node and to those below it that have none yet."""
    if hasattr(made, "lineno"):
        return
    if isinstance(made, _PLACED):
        made.lineno, made.col_offset = node.lineno, node.col_offset
        made.end_lineno, made.end_col_offset = node.end_lineno, node.end_col_offset
    for name in made._fields:
        field = getattr(made, name, None)
        for child in field if isinstance(field, list) else (field,):
            if isinstance(child, ast.AST):
                place(child, node)
