"""Kernel sources and the names in them.

Which names are local follows ARTIQ: targets of assignments, loops, `with ... as`, `except ... as`, nested functions and parameters; an
augmented assignment alone binds nothing. Anything else is a name of the language (`PRELUDE`), or of the host.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from .errors import KernelError
from .types import Exc, Func, Type

_BUILTINS = (
    "bool int float str bytes bytearray list range int32 int64 len round abs min max "
    "delay now_mu delay_mu at_mu rtio_log core_log subkernel_await subkernel_preload subkernel_send subkernel_recv"
).split()
PRELUDE: dict[str, Type] = {name: Func("builtin", name, name) for name in _BUILTINS}
PRELUDE |= {name: Func("context", name, name) for name in ("parallel", "interleave", "sequential")}
PRELUDE |= {name: Func("builtin", name, "decorator") for name in ("kernel", "subkernel", "portable", "rpc")}
PRELUDE |= {
    cls.__name__: Exc(cls, True) for cls in (Exception, IndexError, ValueError, ZeroDivisionError, RuntimeError)
}


class _BreakPrefix(ast.NodeTransformer):
    """Move a method's source back to its place in the file."""

    def __init__(self, lines: int, columns: int) -> None:
        self.lines, self.columns = lines, columns

    def generic_visit(self, node: Any) -> Any:
        if hasattr(node, "lineno"):
            node.lineno += self.lines
            node.col_offset += self.columns
            if node.end_lineno is not None:
                node.end_lineno += self.lines
                node.end_col_offset += self.columns
        return super().generic_visit(node)


def parse_function(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the syntax tree of a function's source, with the line numbers of its file."""
    filename = function.__code__.co_filename
    linecache.checkcache(filename)
    try:
        lines, first = inspect.getsourcelines(function)
    except OSError:
        raise KernelError(
            f"the source of kernel {function.__qualname__} cannot be found; it must be in a file that still exists",
            filename,
            function.__code__.co_firstlineno,
        ) from None
    source = "".join(lines)
    text = textwrap.dedent(source)
    indent = len(lines[0]) - len(lines[0].lstrip())
    node = ast.parse(text).body[0]
    if not isinstance(node, ast.FunctionDef):
        raise KernelError("lambdas cannot be used as kernel functions", filename, first)
    _BreakPrefix(first - 1, indent).visit(node)
    return node


def host_names(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what the names of a function that are not its own refer to on the host."""
    closure = inspect.getclosurevars(function).nonlocals
    return {**function.__globals__, **closure} if closure else function.__globals__


def _targets(node: Any) -> Iterator[str]:
    """Yield the names that an assignment to `node` binds."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Tuple | ast.List):
        for elt in node.elts:
            yield from _targets(elt)


def local_names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that a function's statements bind, in the order in which they appear."""
    for stmt in body:
        if isinstance(stmt, ast.Assign):
            for target in stmt.targets:
                yield from _targets(target)
        elif isinstance(stmt, ast.For):
            yield from _targets(stmt.target)
        elif isinstance(stmt, ast.With):
            for item in stmt.items:
                yield from _targets(item.optional_vars)
        elif isinstance(stmt, ast.FunctionDef):
            yield stmt.name
            continue
        elif isinstance(stmt, ast.Try):
            for handler in stmt.handlers:
                if handler.name:
                    yield handler.name
                yield from local_names(handler.body)
        for field in ("body", "orelse", "finalbody"):
            yield from local_names(getattr(stmt, field, []))
