"""Writing a typed kernel as Python: statements.

The result is a syntax tree with the line numbers of the kernel's own file. `with parallel` becomes assignments to the
cursor, calls go straight to the functions that they reach, and only what the types leave open is checked when the
kernel runs. Names that begin with `_K` are the engine's. Source of the semantics: ARTIQ 8's code generator, as
measured.
"""

from __future__ import annotations

import ast
from typing import Any

from .bursts import is_count, merged
from .codegen_try import Trying
from .functions import Function, Param
from .interleave import Interleaving
from .known import limits, plain
from .made import assign, call, constant, load, store
from .types import Func, is_

_INLINE_STATEMENTS = 8
_INLINE_DEPTH = 4


class Writer(Trying):
    """Write one function; `unit` hands out names for objects, functions and RPCs."""

    def function_def(self, name: str) -> ast.FunctionDef:
        """Return the whole function as a definition called `name`."""
        function = self.function
        kept = [p for p in function.params if p.name not in self.known.given]
        params = [p.name for p in kept]
        body = self._defaults(kept) if function.outer is None else []
        body += self.block(function.node.body)
        taken = sorted(function.nonlocals)
        if taken:
            body.insert(0, ast.Nonlocal(names=taken))
        # A call that does not name its callee leaves a default to it; one nested here has evaluated its own already.
        defaults = [
            load("_Kmissing") if function.outer is None else self.outer.expr(p.default[0]) for p in kept if p.default
        ]
        args = ast.arguments(
            posonlyargs=[], args=[ast.arg(arg=p) for p in params], kwonlyargs=[], kw_defaults=[], defaults=defaults
        )
        # Parsed, because the fields of a definition differ between Python's versions.
        made = ast.parse(f"def {name}(): pass").body[0]
        assert isinstance(made, ast.FunctionDef)
        made.args, made.body = args, body or [ast.Pass()]
        ast.copy_location(made, function.node)
        return ast.fix_missing_locations(made)

    def _defaults(self, params: list[Param]) -> list[ast.stmt]:
        """Return the statements that give arguments that were not passed their default values."""
        out: list[ast.stmt] = []
        for param in params:
            if param.default is not None:
                missing = ast.Compare(left=load(param.name), ops=[ast.Is()], comparators=[load("_Kmissing")])
                made = self.argument(param, param.default)
                out.append(ast.If(test=missing, body=[assign(store(param.name), made)], orelse=[]))
        return out

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Return the statements that carry out a block."""
        out: list[ast.stmt] = []
        for stmt in body:
            for made in self.statement(stmt):
                self.at(made, stmt)
                out.append(made)
        return merged(out, self.unit) if self.unit.engine.fast and self.depth == 0 else out

    def statement(self, node: Any) -> list[ast.stmt]:
        """Return the statements that carry out one statement."""
        method = getattr(self, "stmt_" + type(node).__name__)
        result: list[ast.stmt] = method(node)
        return result

    def stmt_Pass(self, node: ast.Pass) -> list[ast.stmt]:
        return [ast.Pass()]

    def stmt_Nonlocal(self, node: ast.Nonlocal) -> list[ast.stmt]:
        return []

    def stmt_Break(self, node: ast.Break) -> list[ast.stmt]:
        return [ast.Break()]

    def stmt_Continue(self, node: ast.Continue) -> list[ast.stmt]:
        return [ast.Continue()]

    def stmt_Return(self, node: ast.Return) -> list[ast.stmt]:
        return [ast.Return(value=None if node.value is None else self.expr(node.value))]

    def stmt_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        if isinstance(node.value, ast.Constant):
            return [ast.Pass()]
        if isinstance(node.value, ast.Call):
            direct = self.timeline(node.value)
            if direct is not None:
                return direct
            inlined = self.inline(node.value)
            if inlined is not None:
                first, value = inlined
                if value is not None and not isinstance(value, ast.Name | ast.Constant):
                    first = [*first, ast.Expr(value=value)]  # nobody wants the value, but computing it may do something
                return first or [ast.Pass()]
        return [ast.Expr(value=self.expr(node.value))]

    def stmt_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        inlined = self.inline(node.value) if isinstance(node.value, ast.Call) else None
        first, value = inlined or ([], None)
        if value is None:
            first, value = [], self.expr(node.value)
        if len(node.targets) == 1:
            return [*first, *self.assign_to(node.targets[0], value)]
        temp = self.temp()
        out = [*first, assign(store(temp), value)]
        for target in node.targets:
            out += self.assign_to(target, load(temp))
        return out

    def assign_to(self, target: Any, value: ast.expr) -> list[ast.stmt]:
        """Return the statements that assign a value."""
        if isinstance(target, ast.Name):
            return [assign(store(self.local(target.id)), value)]
        if isinstance(target, ast.Attribute):
            return [assign(ast.Attribute(value=self.expr(target.value), attr=target.attr, ctx=ast.Store()), value)]
        if isinstance(target, ast.Subscript):
            return [ast.Expr(value=self.put_item(target, value))]
        temps = [self.temp() for _ in target.elts]
        if isinstance(target, ast.List):
            value = self.helper("unpack", value, constant(len(temps)))
        out: list[ast.stmt] = [assign(ast.Tuple(elts=[store(t) for t in temps], ctx=ast.Store()), value)]
        for elt, temp in zip(target.elts, temps, strict=True):
            out += self.assign_to(elt, load(temp))
        return out

    def stmt_AugAssign(self, node: Any) -> list[ast.stmt]:
        if is_("array", node.target.t):
            return [ast.Expr(value=self.array_augmented(node))]
        right, typ = node.value, node.target.t
        if isinstance(node.target, ast.Name) and isinstance(right, ast.Call):
            first, value = self.inline(right) or ([], None)
            if value is not None:
                if not isinstance(value, ast.Name):
                    first, value = [*first, assign(store(name := self.temp()), value)], load(name)
                result: Any = ast.copy_location(value, right)
                result.t, result.co = right.t, getattr(right, "co", None)  # type: ignore[attr-defined]
                return [*first, *self.assign_to(node.target, self.binary(node, node.target, result, typ, True))]
        return self.assign_to(node.target, self.binary(node, node.target, right, typ, True))

    def stmt_If(self, node: ast.If) -> list[ast.stmt]:
        known = self.known.of(node.test)
        if known is not None and isinstance(known[0], bool | int | float | None):
            return self.block(node.body if known[0] else node.orelse) or [ast.Pass()]
        return [ast.If(test=self.truth(node.test), body=self.block(node.body), orelse=self.block(node.orelse))]

    def stmt_While(self, node: ast.While) -> list[ast.stmt]:
        counted = self.counted(node)
        if counted is not None:
            target, timeout, channel = counted
            count = load(self.unit.counting(channel, limits(target.t)[1]))
            return self.assign_to(target, call(count, self.expr(timeout), self.expr(target)))
        return [ast.While(test=self.truth(node.test), body=self.block(node.body), orelse=self.block(node.orelse))]

    def counted(self, node: ast.While) -> tuple[Any, Any, int] | None:
        """Return the total, the time-out and the channel of a loop that counts input events; None where it does not."""
        if not self.unit.engine.fast or not is_count(node, self.function):
            return None
        timeout, channel = node.test.left.args  # type: ignore[attr-defined]
        known = self.known.of(channel)
        return None if known is None else (node.body[0].target, timeout, known[0])  # type: ignore[attr-defined]

    def stmt_For(self, node: ast.For) -> list[ast.stmt]:
        body = self.block(node.body)
        if isinstance(node.target, ast.Name):
            target: Any = store(self.local(node.target.id))
        else:
            temp = self.temp()
            target = store(temp)
            body = [*self.assign_to(node.target, load(temp)), *body]
        loop = ast.For(
            target=target, iter=self.iterable(node.iter), body=body, orelse=self.block(node.orelse), type_comment=None
        )
        return [loop]

    def stmt_FunctionDef(self, node: Any) -> list[ast.stmt]:
        inner: Function = node.function
        given = {name: value for name, value in self.known.given.items() if name not in inner.env}
        return [type(self)(inner, self.unit, given, self).function_def(node.name)]

    # Time

    def stmt_With(self, node: Any) -> list[ast.stmt]:
        context = getattr(node, "context", None)
        if context == "sequential":
            return self.block(node.body)
        if context == "interleave":
            return self._interleave(node)
        if context is not None:
            return self._parallel(node)
        return self._managed(node, node.items)

    def _parallel(self, node: Any) -> list[ast.stmt]:
        """Start every statement at the block's start, end at the latest end; a jump out leaves the cursor alone."""
        start, end = self.temp(), self.temp()
        out: list[ast.stmt] = [assign(store(start), self.now())]
        for i, stmt in enumerate(node.body):
            if i:
                out.append(self.set_now(load(start)))
            out += self.block([stmt])
            if i == 0 and len(node.body) == 1:
                test = ast.Compare(left=self.now(), ops=[ast.Lt()], comparators=[load(start)])
                out.append(ast.If(test=test, body=[self.set_now(load(start))], orelse=[]))
                return out
            latest = load(start if i == 0 else end)
            later = ast.Compare(left=self.now(), ops=[ast.Gt()], comparators=[latest])
            out.append(assign(store(end), ast.IfExp(test=later, body=self.now(), orelse=latest)))
        out.append(self.set_now(load(end)))
        return out

    def _interleave(self, node: Any) -> list[ast.stmt]:
        """Submit what the branches do in order of time."""
        items = Interleaving(self.function, self._delay_of, self._constant).merged(node)
        out: list[ast.stmt] = []
        for kind, what in items:
            if kind == "set":
                out += self.assign_to(what[0], constant(what[1]))
            elif kind == "delay":
                target = ast.Attribute(value=load("_Kb"), attr="now", ctx=ast.Store())
                out.append(ast.AugAssign(target=target, op=ast.Add(), value=constant(what)))
            else:
                out += self.block([what])
        if len(node.body) == 1:
            return self.block(node.body)  # one branch is no interleaving, and its calls may move the cursor
        return out or [ast.Pass()]

    def _constant(self, node: Any) -> Any:
        known = self.known.of(node)
        return None if known is None else known[0]

    def _delay_of(self, node: Any) -> int | None:
        """Return the machine units of a call of delay or delay_mu, None where they are not a plain constant."""
        if any(isinstance(n, ast.Attribute) for n in ast.walk(node.args[0])):
            return None
        value = self._constant(node.args[0])
        if value is None:
            return None
        return self.unit.to_whole_mu(value) if node.func.t.find().info == "delay" else int(value)

    def _managed(self, node: Any, items: list[Any]) -> list[ast.stmt]:
        """Enter and leave the program's context managers; a jump out leaves without `__exit__`, as ARTIQ does."""
        out: list[ast.stmt] = []
        leaves: list[ast.stmt] = []
        for item in items:
            manager = item.context_expr
            known = self.known.of(manager)
            if known is None:
                temp = self.temp()
                out.append(assign(store(temp), self.expr(manager)))
            enter, leave = (
                self.method_call(manager, name, [] if known else [load(temp)], extra)
                for name, extra in (("__enter__", []), ("__exit__", [constant(None)] * 3))
            )
            if item.optional_vars is None:
                out.append(ast.Expr(value=enter))
            else:
                out += self.assign_to(item.optional_vars, enter)
            leaves = [ast.Expr(value=leave)] * (len(leaves) + 1)  # of several, ARTIQ leaves the last one so often
        failed: list[ast.stmt] = [*leaves, ast.Raise(exc=None, cause=None)]
        handler = ast.ExceptHandler(type=self.helper("anything", *self._place_of_handler()), name=None, body=failed)
        out.append(ast.Try(body=self.block(node.body), handlers=[handler], orelse=leaves, finalbody=[]))
        return out

    def timeline(self, node: Any) -> list[ast.stmt] | None:
        """Return the statements of a call that only moves the cursor; None where it is another call."""
        typ = node.func.t.find()
        if not isinstance(typ, Func) or typ.kind != "builtin" or typ.info not in ("delay", "delay_mu", "at_mu"):
            return None
        if typ.info == "at_mu":
            return [self.set_now(self.expr(node.args[0]))]
        step = self.expr(node.args[0])
        if typ.info == "delay":
            known = self.known.of(node.args[0])
            step = self.helper("mu", step) if known is None else constant(self.unit.to_mu(known[0]))
        target = ast.Attribute(value=load("_Kb"), attr="now", ctx=ast.Store())
        return [ast.AugAssign(target=target, op=ast.Add(), value=step)]

    # Inlining

    def inline(self, node: Any) -> tuple[list[ast.stmt], ast.expr | None] | None:
        """Return a small kernel's statements in place of a call to it, and its value; None where it is not one."""
        target = self.kernel_target(node)
        if target is None:
            return None
        callee, known_self, pairs = target
        if known_self is None or not self._fits(callee) or self.unit.cost_of(known_self[0], callee) is not None:
            return None
        given: dict[str, Any] = {callee.params[0].name: known_self}
        prefix = self.temp()
        out: list[ast.stmt] = []
        renamed: dict[str, str] = {name: f"{prefix}_{name}" for name in callee.env}
        for param, arg in pairs:
            value = self.known.of(arg) if isinstance(arg, ast.AST) else (plain(arg[0], param.type),)
            if value is not None and isinstance(value[0], bool | int | float | str | None):
                given[param.name] = value
            else:  # in order of evaluation: an argument is often another small kernel, as in count(gate_rising(t))
                first, made = (self.inline(arg) if isinstance(arg, ast.Call) else None) or ([], None)
                out += first if made is not None else []
                out.append(assign(store(renamed[param.name]), self.argument(param, arg) if made is None else made))
        inner = type(self)(callee, self.unit, given, self, renamed, node)
        *rest, last = callee.node.body
        out += inner.block(rest)
        if not isinstance(last, ast.Return):
            out += inner.block([last])
            return out, None
        value_node = None if last.value is None else inner.expr(last.value)
        return out, value_node

    def _fits(self, callee: Function) -> bool:
        """Say whether a function is small and straight enough to be written in place of its calls."""
        if self.depth >= _INLINE_DEPTH or callee.nested or callee.outer or len(callee.node.body) > _INLINE_STATEMENTS:
            return False
        simple = ast.Expr | ast.Assign | ast.AugAssign | ast.Pass
        *rest, last = callee.node.body
        straight = (isinstance(stmt, simple) or is_count(stmt, callee) for stmt in rest)
        if not all(straight) or not isinstance(last, simple | ast.Return):
            return False
        return callee.assigned.isdisjoint(p.name for p in callee.params)
