"""Rejections that are not about types: variables not always set, missing returns, values that outlive their memory.

All three follow what ARTIQ 8's compiler accepts. A list, array or comprehension made in a function lives until the
function returns, so it can be neither returned nor stored in anything older.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from .errors import KernelError
from .functions import Function
from .scope import own_statements
from .types import NONE, Func, Type, allocated

State = frozenset[str] | None  # names that are set for sure; None where control never arrives
FOREVER = 0  # region of what no function's end frees; otherwise the depth of the function whose end does


def check(function: Function) -> None:
    """Check one kernel function and those nested in it; raise KernelError."""
    Escape(function).run()
    check_flow(function)


def check_flow(function: Function) -> None:
    """Check the control flow of one kernel function and those nested in it."""
    Flow(function).run()
    for inner in function.nested:
        check_flow(inner)


def terminates(stmt: Any) -> bool:
    """Say whether control never goes on after a statement, as ARTIQ's code generator sees it."""
    if isinstance(stmt, ast.Return | ast.Raise | ast.Break | ast.Continue):
        return True
    if isinstance(stmt, ast.With) and getattr(stmt, "context", None) == "sequential":
        return any(terminates(inner) for inner in stmt.body)
    return False


class Flow:
    """Follow control through a function and the names that are set."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.locals = list(function.env)
        self.breaks: list[list[State]] = []
        self.closures = bool(function.nested)
        self.dead_end: KernelError | None = None

    def run(self) -> None:
        """Check the function."""
        function = self.function
        end = self.block(function.node.body, frozenset(p.name for p in function.params))
        if end is not None and function.ret.find() is not NONE:
            raise function.error(function.node, f"this function must return a value of type {function.ret} explicitly")
        if self.dead_end is not None:
            raise self.dead_end

    def block(self, body: list[ast.stmt], state: State) -> State:
        """Return what is set after a block."""
        for stmt in body:
            if state is None:
                return None
            state = self.statement(stmt, state)
        return state

    def statement(self, node: Any, state: frozenset[str]) -> State:
        """Return what is set after a statement."""
        method = getattr(self, "flow_" + type(node).__name__, None)
        if method is not None:
            result: State = method(node, state)
            return result
        for child in ast.iter_child_nodes(node):
            self.read(child, state)
        return state

    def read(self, node: Any, state: frozenset[str], bound: frozenset[str] = frozenset()) -> None:
        """Check the names that an expression reads."""
        if isinstance(node, ast.Name):
            if (
                isinstance(node.ctx, ast.Load)
                and node.id not in state
                and node.id in self.function.env
                and node.id not in bound
            ):
                raise self.function.error(node, f"variable '{node.id}' is not always initialized here")
            return
        if isinstance(node, ast.ListComp):
            bound = bound | {n.id for n in ast.walk(node.generators[0].target) if isinstance(n, ast.Name)}
        for child in ast.iter_child_nodes(node):
            self.read(child, state, bound)
        if self.closures and isinstance(node, ast.Call) and _is_call(node):
            for name in self.locals:
                if name not in state:
                    raise self.function.error(
                        node, f"variable '{name}' can be captured in a closure uninitialized here"
                    )

    def set(self, target: Any, state: frozenset[str]) -> frozenset[str]:
        """Return what is set after an assignment to `target`."""
        if isinstance(target, ast.Name):
            return state | {target.id}
        if isinstance(target, ast.Tuple | ast.List):
            for elt in target.elts:
                state = self.set(elt, state)
            return state
        self.read(target, state)
        return state

    def flow_Assign(self, node: ast.Assign, state: frozenset[str]) -> State:
        self.read(node.value, state)
        if isinstance(node.value, ast.BinOp):
            self._closed_over([t for t in node.targets if isinstance(t, ast.Name)], node.value)
        for target in node.targets:
            state = self.set(target, state)
        return state

    def _closed_over(self, targets: list[Any], value: ast.expr) -> None:
        """Refuse arithmetic on a variable of an outer function that is stored in that variable."""
        read = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
        for target in targets:
            if target.id in self.function.nonlocals and target.id in read:
                raise self.function.error(
                    target,
                    f"nonlocal variable '{target.id}' cannot take arithmetic on itself: ARTIQ's compiler fails on it",
                )

    def flow_AugAssign(self, node: ast.AugAssign, state: frozenset[str]) -> State:
        target = node.target
        if isinstance(target, ast.Name):
            self._closed_over([target], ast.Name(id=target.id, ctx=ast.Load()))
        if isinstance(target, ast.Name) and target.id in self.function.env and target.id not in state:
            raise self.function.error(target, f"variable '{target.id}' is not always initialized here")
        self.read(node.value, state)
        return self.set(target, state)

    def flow_FunctionDef(self, node: ast.FunctionDef, state: frozenset[str]) -> State:
        for default in node.args.defaults:
            self.read(default, state)
        return state | {node.name}

    def flow_Return(self, node: ast.Return, state: frozenset[str]) -> State:
        if node.value is not None:
            self.read(node.value, state)
        return None

    def flow_Raise(self, node: ast.Raise, state: frozenset[str]) -> State:
        if node.exc is not None:
            self.read(node.exc, state)
        return None

    def flow_Break(self, node: ast.Break, state: frozenset[str]) -> State:
        self.breaks[-1].append(state)
        return None

    def flow_Continue(self, node: ast.Continue, state: frozenset[str]) -> State:
        return None

    def flow_If(self, node: ast.If, state: frozenset[str]) -> State:
        self.read(node.test, state)
        return meet([self.block(node.body, state), self.block(node.orelse, state)])

    def flow_While(self, node: ast.While, state: frozenset[str]) -> State:
        self.read(node.test, state)
        return self._loop(node, state, state)

    def flow_For(self, node: ast.For, state: frozenset[str]) -> State:
        self.read(node.iter, state)
        return self._loop(node, self.set(node.target, state), state)

    def _loop(self, node: Any, inside: frozenset[str], after: frozenset[str]) -> State:
        self.breaks.append([])
        self.block(node.body, inside)
        end = self.block(node.orelse, after)
        return meet([end, *self.breaks.pop()])

    def flow_With(self, node: Any, state: frozenset[str]) -> State:
        for item in node.items:
            self.read(item.context_expr, state)
            if item.optional_vars is not None:
                state = self.set(item.optional_vars, state)
        if getattr(node, "context", None) == "parallel":
            return self._parallel(node, state)
        return self.block(node.body, state)

    def _parallel(self, node: Any, state: frozenset[str]) -> State:
        for stmt in node.body:
            if terminates(stmt) and self.dead_end is None:
                self.dead_end = self.function.error(
                    stmt,
                    "a statement of 'with parallel' cannot end in a jump: ARTIQ's compiler fails on it",
                )
            after = self.statement(stmt, state)
            # ARTIQ's code generator goes on after a statement that leaves the block.
            state = state if after is None else after
        return state

    def flow_Try(self, node: ast.Try, state: frozenset[str]) -> State:
        at_raise = self._first_raise(node.body, state)
        end = self.block(node.body, state)
        end = None if end is None else self.block(node.orelse, end)
        ends = [end]
        for handler in node.handlers:
            start = at_raise | {handler.name} if handler.name else at_raise
            ends.append(self.block(handler.body, start))
        out = meet(ends)
        if not node.finalbody:
            return out
        after = self.block(node.finalbody, at_raise)
        if out is None:  # ARTIQ's code generator goes on after a `finally`, even where every way before it returned
            return None if after is None else frozenset(self.function.env)
        return self.block(node.finalbody, out)

    def _first_raise(self, body: list[ast.stmt], state: frozenset[str]) -> frozenset[str]:
        """Return what is set where a block may first raise: before its first call, index or division."""
        for stmt in body:
            if any(isinstance(n, ast.Call | ast.Subscript | ast.BinOp | ast.Raise | ast.With) for n in ast.walk(stmt)):
                return state
            after = self.statement(stmt, state)
            if after is None:
                return state
            state = after
        return state


def _is_call(node: Any) -> bool:
    """Say whether a call is to a function: built-in functions are not calls to ARTIQ's analyses."""
    typ = node.func.t.find()
    return isinstance(typ, Func) and typ.kind != "builtin"


def meet(states: list[State]) -> State:
    """Return what is set where several paths meet."""
    arriving = [state for state in states if state is not None]
    return frozenset.intersection(*arriving) if arriving else None


class Escape:
    """Find values that would outlive the memory they are in."""

    def __init__(self, function: Function, outer: Escape | None = None) -> None:
        self.function, self.outer = function, outer
        self.depth: int = 1 if outer is None else outer.depth + 1
        arguments = {p.name for p in function.params}
        self.regions: dict[str, int | None] = {
            name: None if allocated(typ) and name not in arguments else FOREVER for name, typ in function.env.items()
        }

    def run(self) -> None:
        """Check every assignment and return of the function, in order, and the functions nested in it."""
        for node in own_statements(self.function.node.body):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.AugAssign):
                self._assign(node.target, node.value)
            elif isinstance(node, ast.FunctionDef):
                self.regions[node.name] = self.depth
                Escape(node.function, self).run()  # type: ignore[attr-defined]
            elif isinstance(node, ast.Return) and node.value is not None and self.region(node.value):
                raise self.function.error(node.value, "cannot return an allocated value that does not live forever")

    def _assign(self, target: Any, value: Any) -> None:
        region = self.region(value) or FOREVER
        for name in _names(target):
            scope = self._scope(name)
            if scope is None:
                continue
            if scope.regions[name] is None:
                scope.regions[name] = region
            older = scope.regions[name]
            assert older is not None
            if region != FOREVER and (older == FOREVER or older < region):
                raise self.function.error(value, "the assigned value does not outlive the assignment target")

    def _scope(self, name: str) -> Escape | None:
        """Return the function to which a name belongs, None for a name of the host."""
        scope: Escape | None = self
        while scope is not None and name not in scope.regions:
            scope = scope.outer
        return scope

    def region(self, node: Any) -> int | None:
        """Return the region of a value: FOREVER, or the depth of the function whose end frees it; None of a call's."""
        if isinstance(node, ast.Name):
            if isinstance(getattr(node, "host", (None,))[0], list | np.ndarray):
                return self.depth  # a list of the host's module is written out anew wherever it is named
            scope = self._scope(node.id)
            known = FOREVER if scope is None else scope.regions[node.id]
            return self.depth if known is None else known
        if isinstance(node, ast.Attribute | ast.Subscript):
            return self.region(node.value) if allocated(_type(node)) else FOREVER
        if isinstance(node, ast.List | ast.ListComp | ast.Lambda):
            return self.depth
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            return self.depth if allocated(_type(node)) else FOREVER
        if isinstance(node, ast.Call):
            return self.depth if _allocates(node) else FOREVER if _borrows(node) else None
        parts = _parts(node)  # of several, ARTIQ takes the first that is not a call's
        return next((region for part in parts if (region := self.region(part)) is not None), FOREVER)


def _parts(node: Any) -> list[Any]:
    """Return what an expression is one of, or made of."""
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    return node.elts if isinstance(node, ast.Tuple) else []


def _borrows(node: Any) -> bool:
    typ = node.func.t.find()
    return isinstance(typ, Func) and typ.kind == "syscall" and typ.name == "cache_get"


def _type(node: Any) -> Type:
    typ: Type = node.t
    return typ


def _allocates(node: Any) -> bool:
    typ = node.func.t.find()
    return isinstance(typ, Func) and typ.kind == "builtin" and typ.info in ("array", "make_array", "transpose")


def _names(target: Any) -> Iterator[str]:
    """Yield the names through which an assignment reaches its target."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Attribute | ast.Subscript):
        yield from _names(target.value)
    elif isinstance(target, ast.Tuple | ast.List):
        for elt in target.elts:
            yield from _names(elt)
