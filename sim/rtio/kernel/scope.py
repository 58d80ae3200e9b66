"""Kernel sources and the names in them.

Which names are local follows ARTIQ: targets of assignments, loops, `with ... as`, `except ... as`, nested functions
and parameters; an augmented assignment alone binds nothing. Anything else is a name of the language (`PRELUDE`), or
of the host.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import KernelError
from .types import Exc, Func, Type

_BUILTINS = [
    "bool",
    "int",
    "float",
    "str",
    "bytes",
    "bytearray",
    "list",
    "range",
    "int32",
    "int64",
    "len",
    "round",
    "abs",
    "min",
    "max",
    "delay",
    "now_mu",
    "delay_mu",
    "at_mu",
    "rtio_log",
    "core_log",
    "subkernel_await",
    "subkernel_preload",
    "subkernel_send",
    "subkernel_recv",
]
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
    _check_syntax(node, filename)
    return node


def _check_syntax(function: ast.FunctionDef, filename: str) -> None:
    """Refuse what ARTIQ's parser, which reads the language of Python 3.6, does not know."""
    for node in ast.walk(function):
        if isinstance(node, ast.arguments) and (node.posonlyargs or node.kwonlyargs):
            kind = "/" if node.posonlyargs else "*"
            at = (node.posonlyargs or node.kwonlyargs)[0]
            reason = f"unexpected {kind}: positional-only and keyword-only arguments are not supported in kernels"
            raise KernelError(reason, filename, at.lineno, at.col_offset)


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


def own_statements(body: list[ast.stmt]) -> Iterator[Any]:
    """Yield the statements of a function, without those of functions nested in it."""
    for stmt in body:
        yield stmt
        if isinstance(stmt, ast.FunctionDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from own_statements(getattr(stmt, field, []))
        for handler in getattr(stmt, "handlers", []):
            yield from own_statements(handler.body)


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean ...?" for the closest of several names; empty where none is close."""
    best = max(set(names), key=lambda other: (_jaro_winkler(name, other), other), default="")
    close = best and _jaro_winkler(name, best) > 0 and _similarity(name, best) > 0.5
    return f"; did you mean '{best}'?" if close else ""


def _similarity(a: str, b: str) -> float:
    """Return twice the length of the longest common subsequence over the lengths' sum."""
    row = [0] * (len(b) + 1)
    for x in a:
        previous = 0
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], previous + 1 if x == y else max(row[j], row[j - 1])
    return 2 * row[-1] / (len(a) + len(b))


def _jaro_winkler(a: str, b: str) -> float:
    """Return the Jaro-Winkler similarity of two names (W. E. Winkler, 1990)."""
    reach = max(max(len(a), len(b)) // 2 - 1, 0)
    taken = [False] * len(b)
    matched = []
    for i, x in enumerate(a):
        for j in range(max(0, i - reach), min(len(b), i + reach + 1)):
            if not taken[j] and b[j] == x:
                taken[j] = True
                matched.append(x)
                break
    if not matched:
        return 0.0
    others = [y for y, used in zip(b, taken, strict=True) if used]
    m, swaps = len(matched), sum(x != y for x, y in zip(matched, others, strict=True)) // 2
    jaro = (m / len(a) + m / len(b) + (m - swaps) / m) / 3
    prefix = next((i for i, (x, y) in enumerate(zip(a[:4], b[:4], strict=False)) if x != y), min(4, len(a), len(b)))
    return jaro + 0.1 * prefix * (1 - jaro) if jaro > 0.7 else jaro
