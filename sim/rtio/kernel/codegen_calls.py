"""Writing a typed kernel as Python: calls."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .exceptions import is_foreign
from .functions import Function, Param
from .known import Knowledge
from .made import call, constant, dtype, load
from .types import Func, Instance, Type, is_, width

Pair = tuple[Param, Any]  # a parameter and what is passed for it


class Calls:
    """The calls of one function."""

    function: Function
    unit: Any
    known: Knowledge
    expr: Callable[[Any], ast.expr]
    truth: Callable[[Any], ast.expr]
    items: Callable[[Any], ast.expr]
    now: Callable[[], ast.expr]
    iterable: Callable[[Any], ast.expr]
    wrapped: Callable[..., ast.expr]
    helper: Callable[..., ast.expr]

    def argument(self, param: Param, arg: Any) -> ast.expr:
        """Return an argument: an expression, or a default value of the host in a tuple."""
        if isinstance(arg, tuple):
            made: ast.expr = self.unit.default(arg[0], param.type)
            return made
        return self.expr(arg)

    def kernel_target(self, node: Any) -> tuple[Function, Any, list[Pair]] | None:
        """Return the kernel that a call always reaches, what is known of its self, and its arguments as evaluated."""
        typ = self._callee(node.func)
        if typ is None:
            return None
        known_self, bound = None, None
        if typ.kind == "method":
            bound, inner = typ.info
            if inner.kind != "kernel":
                return None
            callee: Function = inner.info
            known_self = self.known.of(node.func.value) if bound is None else (bound,)
            formal = callee.params[1:]
        else:
            callee, formal = typ.info, typ.info.params
        return callee, known_self, self._pairs(node, formal)

    def _callee(self, func: Any) -> Func | None:
        """Return the kernel that an expression always is: a host function's name, or the method of an object."""
        if isinstance(func, ast.Attribute):
            found: Any = getattr(func, "found", None) or func.t  # type: ignore[attr-defined]
            typ = found.find()
            owner = func.value.t.find()  # type: ignore[attr-defined]
            many = isinstance(owner, Instance) and func.attr in owner.attrs and len(owner.values) > 1
        else:
            typ, many = func.t.find(), not hasattr(func, "host")
        return typ if isinstance(typ, Func) and typ.kind in ("kernel", "method") and not many else None

    def _pairs(self, node: Any, formal: list[Param]) -> list[Pair]:
        """Return a call's parameters with what is passed, in the order in which it is evaluated; defaults last."""
        by_name = {param.name: param for param in formal}
        pairs: list[Pair] = list(zip(formal, node.args, strict=False))
        pairs += [(by_name[k.arg], k.value) for k in node.keywords]
        passed = {param.name for param, _ in pairs}
        return pairs + [(param, param.default) for param in formal if param.name not in passed]

    def expr_Call(self, node: Any) -> ast.expr:
        typ = node.func.t.find()
        target = self.kernel_target(node)
        if target is not None:
            callee, known_self, pairs = target
            leading = [self.expr(node.func.value)] if self._needs_self(node, callee, known_self) else []
            formal = callee.params[1:] if leading or known_self is not None else callee.params
            made = call(load(self.unit.function(callee, known_self)), *leading)
            return self._with_arguments(made, pairs, [param.name for param in formal])
        if not isinstance(typ, Func):
            return self.new_exception(typ.cls, node.args)
        if typ.kind == "builtin":
            built: ast.expr = getattr(self, "call_" + typ.info)(node)
            return built
        if typ.kind == "math":
            return self._math(node, typ)
        if typ.kind == "syscall":
            return self._syscall(node, load(self.unit.syscall(typ.name, node, self.function)))
        inner = typ.info[1] if typ.kind == "method" else typ
        return self._of_value(node, typ, inner) if inner.kind == "kernel" else self._rpc(node, typ)

    def _syscall(self, node: Any, func: ast.expr) -> ast.expr:
        """Return a system call; arguments by name are evaluated as written, and handed over in order."""
        values = [self.expr(arg) for arg in (*node.args, *(k.value for k in node.keywords))]
        names = [*node.order[: len(node.args)], *(k.arg for k in node.keywords)]
        if names == node.order:
            return call(func, *values)
        order = ast.Tuple(elts=[constant(names.index(name)) for name in node.order], ctx=ast.Load())
        return self.helper("reordered", func, order, *values)

    def _needs_self(self, node: Any, callee: Function, known_self: Any) -> bool:
        return callee.owner is not None and known_self is None and isinstance(node.func, ast.Attribute)

    def _of_value(self, node: Any, typ: Func, inner: Func) -> ast.expr:
        """Return the call of a function that is a value: one nested here, or one that was passed about."""
        formal = inner.info.params[1:] if typ.kind == "method" else inner.info.params
        func = self.expr(node.func)
        if inner.info.outer is None:
            func = self.helper("callable", func)
        pairs = [(param, arg) for param, arg in self._pairs(node, formal) if isinstance(arg, ast.AST)]
        given = len(node.args) + len(node.keywords)
        return self._with_arguments(call(func), pairs[:given], [param.name for param in formal])

    def _with_arguments(self, made: Any, pairs: list[Pair], names: list[str]) -> ast.expr:
        """Add the arguments to a call, by position where they come in order, by name from where they do not."""
        in_order = [param.name for param, _ in pairs] == names[: len(pairs)]
        for k, (param, arg) in enumerate(pairs):
            value = self.argument(param, arg)
            if in_order or param.name == names[k] and not made.keywords:
                made.args.append(value)
            else:
                made.keywords.append(ast.keyword(arg=param.name, value=value))
        expression: ast.expr = made
        return expression

    def method_call(self, manager: Any, name: str, self_arg: list[ast.expr], args: list[ast.expr]) -> ast.expr:
        """Return the call of a context manager's method."""
        typ: Instance = manager.t.find()
        callee: Function = typ.methods[name].info[1].info  # type: ignore[attr-defined]
        return call(load(self.unit.function(callee, self.known.of(manager))), *self_arg, *args)

    def new_exception(self, cls: type, args: list[Any]) -> ast.expr:
        """Return an exception that the kernel raises."""
        return self.helper("new_exception", self.unit.object(cls), *map(self.expr, args))

    def catches(self, cls: type, place: list[ast.expr]) -> ast.expr:
        """Return what an `except` clause names to catch a class."""
        return self.helper("exactly_own" if is_foreign(cls) else "exactly", self.unit.object(cls), *place)

    def _rpc(self, node: Any, typ: Func) -> ast.expr:
        rpc = typ
        leading: list[ast.expr] = []
        types: list[Type] = []
        if typ.kind == "method":
            bound, rpc = typ.info
            if not isinstance(node.func, ast.Attribute):  # a method as a value is its object
                leading, types = [self.expr(node.func)], [typ]
            elif bound is None:
                leading, types = [self.expr(node.func.value)], [node.func.value.t]  # type: ignore[attr-defined]
            else:
                leading, types = [self.unit.object(bound)], [self.unit.instance(bound)]
        types += [arg.t for arg in node.args]
        keywords = {k.arg: k.value.t for k in node.keywords}
        made = call(load(self.unit.rpc(rpc.info, types, keywords)), *leading, *map(self.expr, node.args))
        assert isinstance(made, ast.Call)
        made.keywords = [ast.keyword(arg=k.arg, value=self.expr(k.value)) for k in node.keywords]
        return made

    def _math(self, node: Any, typ: Func) -> ast.expr:
        if is_("array", node.t):
            return call(self.unit.object(self.unit.math_array(typ)), *map(self.expr, node.args))
        return call(load(self.unit.math(typ)), *map(self.expr, node.args))

    # Built-in functions

    def call_now_mu(self, node: Any) -> ast.expr:
        return self.now()

    def call_delay_mu(self, node: Any) -> ast.expr:
        raise self.function.error(node, "a call that moves the timeline must be a statement of its own")

    call_delay = call_at_mu = call_delay_mu

    def call_bool(self, node: Any) -> ast.expr:
        return call(load("_Kbool"), self.truth(node.args[0])) if node.args else constant(False)

    def _to_int(self, node: Any) -> ast.expr:
        if not node.args:
            return constant(0)
        arg, wide = node.args[0], width(node.t) == 64
        made = self.expr(arg)
        if is_("float", arg.t):
            return self.helper("truncate" if wide else "truncate32", made)
        return made if wide or width(arg.t) == 32 else self.helper("wrap32", made)

    call_int = call_int32 = call_int64 = _to_int

    def call_float(self, node: Any) -> ast.expr:
        return call(load("_Kfloat"), self.expr(node.args[0])) if node.args else constant(0.0)

    def call_list(self, node: Any) -> ast.expr:
        return call(load("_Klist"), self.iterable(node.args[0])) if node.args else ast.List(elts=[], ctx=ast.Load())

    def is_builtin(self, node: Any, name: str) -> bool:
        """Say whether a call is to the built-in function `name`."""
        typ = node.func.t.find()
        return isinstance(typ, Func) and typ.kind == "builtin" and typ.info == name

    def loop_range(self, node: Any) -> ast.expr:
        """Return the range that a loop runs over."""
        args = [self.expr(arg) for arg in node.args]
        if len(args) < 3 or self.known.of(node.args[2]) in ((1,), (-1,)):
            return call(load("_Krange"), *args)
        return self.helper("device_range", *args)

    def call_range(self, node: Any) -> ast.expr:
        args = [self.expr(arg) for arg in node.args]
        if len(args) == 1:
            return self.helper("up_to", *args)
        return self.helper("Range", *args, *([constant(1)] if len(args) == 2 else []))

    def call_len(self, node: Any) -> ast.expr:
        plain = is_("list", node.args[0].t) or is_("array", node.args[0].t)
        return call(load("_Klen" if plain else "_Klength"), self.items(node.args[0]))

    def call_round(self, node: Any) -> ast.expr:
        return self.helper("round_away" if width(node.t) == 64 else "round_away32", self.expr(node.args[0]))

    def call_abs(self, node: Any) -> ast.expr:
        if is_("float", node.t):
            return self.helper("magnitude", self.expr(node.args[0]))
        return self.wrapped(call(load("_Kabs"), self.expr(node.args[0])), node.t)

    def call_min(self, node: Any) -> ast.expr:
        name = node.func.t.find().info
        if is_("float", node.t):
            name = "lesser" if name == "min" else "greater"
        return call(load("_K" + name), *map(self.expr, node.args))

    call_max = call_min

    def call_core_log(self, node: Any) -> ast.expr:
        return self.helper("core_log", *map(self.expr, node.args))

    def call_rtio_log(self, node: Any) -> ast.expr:
        return self.helper("rtio_log", *map(self.expr, node.args))

    def call_array(self, node: Any) -> ast.expr:
        return self.helper("new_array", self.expr(node.args[0]), constant(dtype(node.t)))

    def call_make_array(self, node: Any) -> ast.expr:
        return self.helper("full", *map(self.expr, node.args), constant(dtype(node.t)))

    def call_transpose(self, node: Any) -> ast.expr:
        return self.helper("transpose", self.expr(node.args[0]))
