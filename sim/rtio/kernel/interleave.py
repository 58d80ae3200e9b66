"""`with interleave`: the statements of several branches, submitted in order of time.

Only delays that are known before the kernel runs can be interleaved, and only calls that move the cursor by nothing.
What a kernel makes of it differs from `with parallel` in the order of submission alone. Source: what ARTIQ 8's delay
estimator and interleaver accept.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .errors import KernelError
from .functions import Function
from .sequences import device_range
from .types import Func

Item = tuple[str, Any]  # ("code", statement) | ("delay", mu) | ("set", (target, value))
_ARGUMENT = "call cannot be interleaved because an argument cannot be statically evaluated"
_UNPROVEN = (
    "it is not possible to interleave this function call within a 'with interleave:' statement because the compiler"
    " could not prove that the same function would always be called"
)


class Delays:
    """Find out whether code moves the cursor."""

    def __init__(self) -> None:
        self._seen: dict[int, bool] = {}

    def moves(self, node: Any) -> bool:
        """Say whether a statement or expression may move the cursor."""
        return any(self._call_moves(n) for n in ast.walk(node) if isinstance(n, ast.Call))

    def _call_moves(self, node: Any) -> bool:
        typ = node.func.t.find()
        if not isinstance(typ, Func):
            return False
        if typ.kind == "builtin":
            return typ.info in ("delay", "delay_mu")
        if typ.kind == "method":
            typ = typ.info[1]
        return typ.kind == "kernel" and self._function_moves(typ.info)

    def _function_moves(self, function: Function) -> bool:
        if id(function) not in self._seen:
            self._seen[id(function)] = False  # what a recursion adds is found where it starts
            self._seen[id(function)] = any(self.moves(stmt) for stmt in function.node.body)
        return self._seen[id(function)]


class Interleaving:
    """One `with interleave` of a function; `mu` evaluates the argument of delay or delay_mu, None where it cannot."""

    def __init__(self, function: Function, mu: Callable[[Any], int | None], value: Callable[[Any], Any]) -> None:
        self.function, self._mu, self._value = function, mu, value
        self._delays = Delays()

    def merged(self, node: ast.With) -> list[Item]:
        """Return what happens in order of submission, and the delays between."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return | ast.Break | ast.Continue) and not _in_loop(node, inner):
                raise self.error(node, "cannot interleave this 'with interleave:' statement")
        single = len(node.body) == 1
        branches = [self._items(stmt, single) for stmt in node.body]
        times = [0] * len(branches)
        out: list[Item] = []
        done = 0
        while any(branches):
            ends = [times[i] + (b[0][1] if b[0][0] == "delay" else 0) if b else None for i, b in enumerate(branches)]
            chosen = min((end, i) for i, end in enumerate(ends) if end is not None)[1]
            item = branches[chosen].pop(0)
            if item[0] == "delay":
                times[chosen] += item[1]
                out.append(("delay", times[chosen] - done))
                done = times[chosen]
            else:
                out.append(item)
        return out

    def error(self, node: Any, reason: str) -> KernelError:
        """Return the error that refuses the source at `node`."""
        return self.function.error(node, reason)

    def _items(self, stmt: Any, single: bool) -> list[Item]:
        if isinstance(stmt, ast.With):
            if getattr(stmt, "context", None) == "sequential":
                return [item for inner in stmt.body for item in self._items(inner, single)]
            raise self.error(stmt, "with statement cannot be interleaved")
        if not self._delays.moves(stmt):
            return [("code", stmt)]
        for kind, name in ((ast.If, "if"), (ast.While, "while"), (ast.Try, "try")):
            if isinstance(stmt, kind):
                raise self.error(stmt, f"{name} statement cannot be interleaved")
        if isinstance(stmt, ast.For):
            return self._unrolled(stmt, single)
        if isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Call):
            return [self._delay(stmt.value, stmt, single)]
        raise self.error(stmt, _UNPROVEN)

    def _delay(self, node: Any, stmt: ast.stmt, single: bool) -> Item:
        typ = node.func.t.find()
        if typ.kind != "builtin":
            if single:
                return "code", stmt
            raise self.error(node, _UNPROVEN)
        duration = self._mu(node)
        if duration is None or any(isinstance(n, ast.UnaryOp) for n in ast.walk(node.args[0])):
            raise self.error(node, _ARGUMENT)
        if duration == 0:  # less than a machine unit: nothing to interleave, but the cursor moves as it is rounded
            return "code", stmt
        return "delay", duration

    def _unrolled(self, stmt: ast.For, single: bool) -> list[Item]:
        call = stmt.iter
        bounds: list[Any] = [self._value(arg) for arg in call.args] if isinstance(call, ast.Call) else [None]
        if None in bounds or getattr(stmt.iter, "func", None) is None:
            raise self.error(stmt, "for statement cannot be interleaved because iteration count is indeterminate")
        start, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1) if len(bounds) == 2 else bounds
        out: list[Item] = []
        for value in device_range(start, stop, step):
            out.append(("set", (stmt.target, value)))
            out += [item for inner in stmt.body for item in self._items(inner, single)]
        return out


def _in_loop(block: ast.With, jump: ast.AST) -> bool:
    """Say whether a jump only leaves a loop inside the block."""
    loops = [n for n in ast.walk(block) if isinstance(n, ast.For | ast.While)]
    return not isinstance(jump, ast.Return) and any(jump in ast.walk(loop) for loop in loops)
