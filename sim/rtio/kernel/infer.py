"""Typing rules of kernel statements.

Source: the behaviour of ARTIQ 8's compiler; expressions are in `infer_expr.py`.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from .errors import AssertionError, NameError, TypeError
from .functions import Function, nested
from .infer_expr import UNSUPPORTED, Expressions
from .scope import PRELUDE
from .types import BOOL, BYTES, NONE, Exc, Func, Instance, Type, Unmatched, Var, is_, is_var, list_of, tuple_of, unify


class Inferer(Expressions):
    """State the constraints of one kernel function."""

    def run(self) -> None:
        """State the constraints of the whole function."""
        function = self.function
        outer, self.solver.current = self.solver.current, function
        self._decorators(function.node)
        for param in function.params:
            if param.default is not None and function.outer is None:
                error = function.error(function.node, "the default value of an argument is not supported")
                self.same(function.node, param.type, self.embedding.type_of(param.default[0], error))
        self.body(function.node.body)
        if not function.has_return:
            self.same(function.node, function.ret, NONE)
        self.solver.current = outer

    def _decorators(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(target, ast.Name) and self._is_decorator_name(target.id):
                continue
            if isinstance(decorator, ast.Attribute) and self._is_kernel_attribute(decorator):
                continue
            raise self.error(
                decorator,
                "decorators are not supported",
                f"'{ast.unparse(decorator)}' must be kernel, portable or rpc by name",
            )

    def _is_decorator_name(self, name: str) -> bool:
        typ = PRELUDE.get(name)
        return isinstance(typ, Func) and typ.info == "decorator"

    def _is_kernel_attribute(self, node: ast.Attribute) -> bool:
        from artiq.language.core import kernel

        path: list[str] = []
        here: Any = node
        while isinstance(here, ast.Attribute):
            path.append(here.attr)
            here = here.value
        value = self.function.names.get(here.id) if isinstance(here, ast.Name) else None
        for attr in reversed(path):
            value = getattr(value, attr, None)
        return value is kernel

    def body(self, statements: list[ast.stmt]) -> None:
        """State the constraints of a block."""
        for stmt in statements:
            method = getattr(self, "stmt_" + type(stmt).__name__, None)
            if method is None:
                raise self.error(stmt, UNSUPPORTED, type(stmt).__name__)
            method(stmt)

    def stmt_AnnAssign(self, node: ast.AnnAssign) -> None:
        raise self.error(node, "unexpected :: annotated assignments are not supported in kernels")

    def stmt_Expr(self, node: ast.Expr) -> None:
        self.expr(node.value)

    def stmt_Pass(self, node: ast.Pass) -> None:
        """Nothing to type."""

    def stmt_Global(self, node: ast.Global) -> None:
        reason = "a kernel cannot have a 'global' statement; use an attribute of self"
        raise NameError(reason, self.function.filename, node.lineno)

    def stmt_Nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            scope = self.function.outer
            while scope and name not in scope.env:
                scope = scope.outer
            if scope is None:
                raise self.error(node, f"cannot declare name '{name}' as nonlocal: it is not bound in any outer scope")

    def stmt_Assign(self, node: ast.Assign) -> None:
        value = self.expr(node.value)
        for target in node.targets:
            self.same(target, self.target(target), value)

    def target(self, node: Any) -> Type:
        """Return the type of what is assigned to."""
        if isinstance(node, ast.Tuple):
            whole = tuple_of([self.target(elt) for elt in node.elts])
            node.t = whole  # type: ignore[attr-defined]
            return whole
        if isinstance(node, ast.List):
            elt: Type = Var()
            for part in node.elts:
                self.same(part, elt, self.target(part))
            whole = list_of(elt)
            node.t = whole  # type: ignore[attr-defined]
            return whole
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            raise self.error(node, UNSUPPORTED)
        typ = self.expr(node)
        if isinstance(node, ast.Attribute):
            self._check_assignable(node)
        if isinstance(node, ast.Subscript):
            self._check_mutable(node)
            self._check_base(node)
        return typ

    def _check_base(self, node: Any) -> None:
        """Refuse to change an element of a list of the host's module."""
        while isinstance(node, ast.Subscript):
            node = node.value
        if isinstance(getattr(node, "host", (None,))[0], list | np.ndarray):
            reason = f"the elements of '{node.id}' cannot be set; copy the list, or make it an attribute"
            raise TypeError(reason, self.function.filename, node.lineno)

    def _check_assignable(self, node: Any) -> None:
        def check() -> bool:
            typ = node.value.t.find()
            if isinstance(typ, Var):
                return False
            if isinstance(typ, Instance):
                if node.attr in typ.invariants:
                    raise self.error(node, f"cannot assign to constant attribute '{node.attr}' of class '{typ.name}'")
                return True
            if is_("array", typ):
                raise self.error(node, "array attributes cannot be assigned to")
            raise self.error(node, f"attributes of {typ} cannot be assigned to in a kernel")

        self.solver.when(check)

    def _check_mutable(self, node: Any) -> None:
        def check() -> bool:
            typ = node.value.t.find()
            if isinstance(typ, Var):
                return False
            if is_("tuple", typ):
                raise self.error(node, "cannot assign to a tuple element")
            if typ is BYTES:
                raise self.error(node, "type bytes is not mutable")
            return True

        self.solver.when(check)

    def stmt_AugAssign(self, node: Any) -> None:
        target = self.expr(node.target)
        self.expr(node.value)
        if isinstance(node.target, ast.Attribute):
            self._check_assignable(node.target)
        self._check_base(node.target)

        def check() -> bool:
            if is_("list", node.target.t):
                raise self.error(node, "lists cannot be mutated in-place")
            return not is_var(node.target.t)

        self.solver.when(check)
        self.augmented(node, target)

    def stmt_For(self, node: ast.For) -> None:
        self.expr(node.iter)
        self.target(node.target)
        self.iterate(node.target, node.iter)
        self.body(node.body)
        self.body(node.orelse)

    def stmt_While(self, node: ast.While) -> None:
        self.expr(node.test)
        self.body(node.body)
        self.body(node.orelse)

    def stmt_If(self, node: ast.If) -> None:
        self.expr(node.test)
        self.body(node.body)
        self.body(node.orelse)

    def stmt_Break(self, node: ast.Break) -> None:
        """Nothing to type: Python's parser checks where it stands when the kernel is defined."""

    stmt_Continue = stmt_Break

    def stmt_Return(self, node: ast.Return) -> None:
        self.function.has_return = True
        self.same(node, self.function.ret, NONE if node.value is None else self.expr(node.value))

    def stmt_Raise(self, node: ast.Raise) -> None:
        if node.cause:
            raise self.error(node, "'raise from' syntax is not supported")
        if node.exc is None:
            return
        typ = self.expr(node.exc)

        def check() -> bool:
            if not isinstance(typ.find(), Exc | Var):
                raise self.error(node, f"cannot raise a value of type {typ}, which is not an exception")
            return not is_var(typ)

        self.solver.when(check)

    def stmt_Assert(self, node: ast.Assert) -> None:
        self.same(node.test, self.expr(node.test), BOOL)
        if node.msg is not None and not (isinstance(node.msg, ast.Constant) and isinstance(node.msg.value, str)):
            raise self.error(node.msg, "assertion message must be a string literal")

    def stmt_Try(self, node: ast.Try) -> None:
        self.body(node.body)
        for handler in node.handlers:
            self._handler(handler)
        self.body(node.orelse)
        self.body(node.finalbody)

    def _handler(self, handler: Any) -> None:
        handler.cls = None
        if handler.type is not None:
            typ = self.expr(handler.type).find()
            if not (isinstance(typ, Exc) and typ.constructor):
                raise self.error(handler.type, "this expression must refer to an exception constructor")
            handler.cls = typ.cls
            if handler.name:
                self.same(handler, self.function.env[handler.name], Exc(typ.cls, False))
        self.body(handler.body)

    def stmt_With(self, node: Any) -> None:
        for item in node.items:
            typ = self.expr(item.context_expr).find()
            if isinstance(typ, Func) and typ.kind == "context":
                if len(node.items) != 1:
                    raise self.error(
                        node, f"the '{typ.name}' context manager must be the only one in a 'with' statement"
                    )
                node.context = typ.name
                if item.optional_vars is not None:
                    self.same(item.optional_vars, self.target(item.optional_vars), NONE)
            else:
                self._manager(item)
        self.body(node.body)

    def _manager(self, item: Any) -> None:
        """State the rules of a context manager of the program."""
        target = None if item.optional_vars is None else self.target(item.optional_vars)

        def check() -> bool:
            typ = item.context_expr.t.find()
            if isinstance(typ, Var):
                return False
            if not isinstance(typ, Instance):
                raise self.error(item.context_expr, f"value of type {typ} cannot act as a context manager")
            enter, leave = (self._manager_method(item, typ, name) for name in ("__enter__", "__exit__"))
            if len(enter.params) != 1 or len(leave.params) != 4:
                raise self.error(item.context_expr, "'__enter__' must accept no argument and '__exit__' three")
            self.same(item.context_expr, typ, enter.params[0].type)
            self.same(item.context_expr, typ, leave.params[0].type)
            for param in leave.params[1:]:
                self.same(item.context_expr, param.type, NONE)
            if target is not None:
                self.same(item.optional_vars, target, leave.ret)  # ARTIQ takes the type of the wrong method
                self.solver.when(lambda: self._entered(item, enter.ret, leave.ret))
            return True

        self.solver.when(check)

    def _entered(self, item: Any, value: Type, target: Type) -> bool:
        if is_var(value) or is_var(target):
            return False
        try:
            unify(value, target)
        except Unmatched:
            reason = f"'__enter__' returns {value}, which 'as' can only take where '__exit__' returns it, too"
            raise AssertionError(reason, self.function.filename, item.context_expr.lineno) from None
        return True

    def _manager_method(self, item: Any, typ: Instance, name: str) -> Function:
        found = self.embedding.attribute(typ, name, lambda reason: self.error(item.context_expr, reason))
        callee = found.info[1] if isinstance(found, Func) and found.kind == "method" else None
        if not isinstance(callee, Func) or callee.kind != "kernel":
            raise self.error(item.context_expr, f"attribute '{name}' of type {typ} must be a function")
        function: Function = callee.info
        return function

    def stmt_FunctionDef(self, node: Any) -> None:
        if node.decorator_list:
            raise self.error(node, "decorators are not supported")
        if node.returns is not None:
            raise self.error(node, "type annotations are not supported here")
        inner = nested(node, self.function)
        node.function = inner
        for param in inner.params:
            if param.default is not None:
                self.same(param.default[0], param.type, self.expr(param.default[0]))
        self.same(node, self.function.env[node.name], Func("kernel", node.name, inner))
        Inferer(inner, self.embedding, self.solver, self.first).run()
