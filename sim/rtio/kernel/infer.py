"""Typing rules of kernel statements, names, attributes and calls.

Source: the behaviour of ARTIQ 8's compiler; operators are in `infer_ops.py`, the built-in functions in
`infer_builtins.py`. Above 400 lines because one visitor has a method for each kind of node, and they share its state.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .embed import Embedding, Rpc
from .errors import KernelError
from .functions import Function, nested
from .infer_builtins import BuiltinCalls
from .infer_ops import Operators
from .scope import PRELUDE, suggestion
from .solver import Solver
from .types import (
    BOOL,
    BYTE,
    BYTES,
    INT32,
    INT64,
    NONE,
    STR,
    WIDTH32,
    WIDTH64,
    Exc,
    Func,
    Instance,
    Type,
    Unmatched,
    Var,
    array_of,
    is_,
    is_var,
    list_of,
    n_dims,
    new_int,
    tuple_of,
    unify,
)

UNSUPPORTED = "this syntax is not supported"


class Inferer(Operators, BuiltinCalls):
    """State the constraints of one kernel function."""

    def __init__(self, function: Function, embedding: Embedding, solver: Solver, first: bool = False) -> None:
        self.function, self.embedding, self.solver, self.first = function, embedding, solver, first
        self.loops = 0
        self.comprehensions: list[dict[str, Type]] = []

    # Statements

    def run(self) -> None:
        """State the constraints of the whole function."""
        function = self.function
        self._decorators(function.node)
        for param in function.params:
            if param.default is not None:
                error = function.error(function.node, "the default value of an argument is not supported")
                self.same(function.node, param.type, self.embedding.type_of(param.default[0], error))
        self.body(function.node.body)
        if not function.has_return:
            self.same(function.node, function.ret, NONE)

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
        raise self.error(node, "global variables cannot be assigned in a kernel; use an attribute of self")

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
        return typ

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
        self.loops += 1
        self.body(node.body)
        self.loops -= 1
        self.body(node.orelse)

    def stmt_While(self, node: ast.While) -> None:
        self.expr(node.test)
        self.loops += 1
        self.body(node.body)
        self.loops -= 1
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
                self.same(item.optional_vars, target, enter.ret)
            return True

        self.solver.when(check)

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
        self.same(node, self.function.env[node.name], Func("kernel", node.name, inner))
        Inferer(inner, self.embedding, self.solver, self.first).run()

    # Expressions

    def error(self, node: Any, reason: str, *notes: str) -> KernelError:
        """Return the error that refuses the source at `node`."""
        return self.function.error(node, reason, *notes)

    def same(self, node: Any, left: Type, right: Type) -> None:
        """Make two types one, or refuse the source at `node`."""
        try:
            unify(left, right)
        except Unmatched as e:
            raise self._mismatch(node, left, right, e, "") from None

    def _mismatch(self, node: Any, left: Type, right: Type, e: Unmatched, when: str) -> KernelError:
        whole = f"cannot unify {left} with {right}"
        parts = (e.left, e.right) if e.left.find().name not in ("32", "64") else (WIDTH32, WIDTH64)
        same = {e.left.find(), e.right.find()} == {left.find(), right.find()}
        inner = "" if same else f": {parts[0]} is incompatible with {parts[1]}"
        return self.error(node, whole + when + inner)

    def expr(self, node: Any) -> Type:
        """Return the type of an expression, after stating its constraints."""
        method: Callable[[Any], Type] | None = getattr(self, "expr_" + type(node).__name__, None)
        if method is None:
            if isinstance(node, ast.JoinedStr):
                raise self.error(node, "unexpected strbegin: f-strings are not supported in kernels")
            raise self.error(node, UNSUPPORTED, type(node).__name__)
        node.t = method(node)
        return node.t

    def expr_Constant(self, node: ast.Constant) -> Type:
        value = node.value
        if value is ...:
            raise self.error(node, UNSUPPORTED)
        if isinstance(value, complex):
            raise self.error(node, f"numeric type {type(value).__name__} is not supported")
        return self.embedding.type_of(value, self.error(node, "integer literal out of range for a signed 64-bit value"))

    def expr_Name(self, node: Any) -> Type:
        for env in reversed(self.comprehensions):
            if node.id in env:
                return env[node.id]
        scope: Function | None = self.function
        while scope is not None:
            if node.id in scope.env:
                return scope.env[node.id]
            scope = scope.outer
        if node.id in PRELUDE:
            return PRELUDE[node.id]
        if node.id == "print":
            return self.embedding.type_of(print, self.error(node, "print"))
        if node.id not in self.function.names:
            raise self.error(node, f"name '{node.id}' is not bound to anything" + self._suggestion(node.id))
        value = self.function.names[node.id]
        node.host = (value,)
        return self.embedding.type_of(value, self.error(node, "integer literal out of range for a signed 64-bit value"))

    def _suggestion(self, name: str) -> str:
        names = {*self.function.names, *PRELUDE}
        scope: Function | None = self.function
        while scope is not None:
            names |= scope.env.keys()
            scope = scope.outer
        return suggestion(name, names)

    def expr_Attribute(self, node: Any) -> Type:
        self.expr(node.value)
        result: Type = Var()

        def look() -> bool:
            typ = node.value.t.find()
            if isinstance(typ, Var):
                return False
            found = self._attribute(node, typ)
            try:
                unify(found, result)
            except Unmatched as e:
                raise self._mismatch(node, result, found, e, f" for attribute '{node.attr}'") from None
            return True

        if self.first:
            self.solver.pending.append(look)  # so that messages name the types in ARTIQ's order
        else:
            self.solver.when(look)
        return result

    def _attribute(self, node: Any, typ: Type) -> Type:
        if is_("array", typ) and node.attr == "shape":
            return tuple_of([INT32] * n_dims(typ))
        if is_("range", typ) and node.attr in ("start", "stop", "step"):
            return typ.args[0]
        found = self.embedding.attribute(typ, node.attr, lambda reason: self.error(node, reason))
        if found is None:
            raise self.error(node, f"type {typ} does not have an attribute '{node.attr}'")
        return found

    def expr_Lambda(self, node: ast.Lambda) -> Type:
        raise self.error(
            node, "the assigned value does not outlive the assignment target", "lambdas are not supported in kernels"
        )

    def expr_Tuple(self, node: ast.Tuple) -> Type:
        return tuple_of([self.expr(elt) for elt in node.elts])

    def expr_List(self, node: ast.List) -> Type:
        elt: Type = Var()
        for part in node.elts:
            self.same(part, elt, self.expr(part))
        return list_of(elt)

    def expr_ListComp(self, node: ast.ListComp) -> Type:
        if len(node.generators) > 1:
            raise self.error(node, "multiple for clauses in comprehensions are not supported")
        generator = node.generators[0]
        if generator.ifs:
            raise self.error(generator.ifs[0], "if clauses in comprehensions are not supported")
        self.expr(generator.iter)
        names = [n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)]
        self.comprehensions.append({name: Var() for name in names})
        self.target(generator.target)
        self.iterate(generator.target, generator.iter)
        elt = self.expr(node.elt)
        self.comprehensions.pop()
        return list_of(elt)

    def iterate(self, target: Any, collection: Any) -> None:
        """State that `target` takes the elements of `collection`."""

        def check() -> bool:
            typ = collection.t.find()
            if isinstance(typ, Var):
                return False
            self.same(target, target.t, self.element(collection, typ))
            return True

        self.solver.when(check)

    def element(self, node: Any, typ: Type) -> Type:
        """Return the type of the elements of a collection of type `typ`."""
        if is_("array", typ):
            n = n_dims(typ)
            return typ.args[0] if n == 1 else array_of(typ.args[0], n - 1)
        if is_("list", typ) or is_("range", typ):
            return typ.args[0]
        if is_("bytes", typ) or is_("bytearray", typ):
            return BYTE
        raise self.error(node, f"type {typ} is not iterable")

    def expr_Subscript(self, node: Any) -> Type:
        self.expr(node.value)
        result: Type = Var()
        if isinstance(node.slice, ast.Slice):
            self._slice_bounds(node.slice)
        else:
            index = self.expr(node.slice)
            if not is_("tuple", index):
                self.same(node.slice, index, new_int())
            else:
                for elt in index.find().args:
                    self.same(node.slice, elt, new_int())

        def check() -> bool:
            typ = node.value.t.find()
            if isinstance(typ, Var):
                return False
            self.same(node, result, self._subscript(node, typ))
            return True

        self.solver.when(check)
        return result

    def _slice_bounds(self, node: Any) -> None:
        node.t = new_int()
        for part in (node.lower, node.upper, node.step):
            if part is not None:
                self.same(part, self.expr(part), node.t)
        if node.lower is None and node.upper is None and node.step is None:
            unify(node.t, INT32)

    def _subscript(self, node: Any, typ: Type) -> Type:
        if isinstance(node.slice, ast.Slice):
            if is_("tuple", typ):
                raise self.error(node, "tuples can only be indexed by a constant")
            if is_("array", typ) and node.slice.step is not None:
                raise self.error(node, "strided slicing not yet supported for NumPy arrays")
            return typ
        if is_("tuple", typ):
            return self._tuple_item(node, typ)
        if is_("tuple", node.slice.t):
            n = len(node.slice.t.find().args)
            if not is_("array", typ):
                raise self.error(node, f"multi-dimensional indexing only supported for arrays, not {typ}")
            if n > n_dims(typ):
                raise self.error(node, f"too many indices for array of dimension {n_dims(typ)}")
            return typ.args[0] if n == n_dims(typ) else array_of(typ.args[0], n_dims(typ) - n)
        return self.element(node.value, typ)

    def _tuple_item(self, node: Any, typ: Type) -> Type:
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(index, int):
            raise self.error(node, "tuples can only be indexed by a constant")
        if not 0 <= index < len(typ.args):
            raise self.error(node, f"index {index} is out of range for tuple of size {len(typ.args)}")
        return typ.args[index]

    # Calls

    def expr_Call(self, node: Any) -> Type:
        self.expr(node.func)
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                raise self.error(arg, "variadic arguments are not supported")
            self.expr(arg)
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.error(node, "variadic arguments are not supported")
            self.expr(keyword.value)
        result: Type = Var()
        node.result = result
        self.solver.when(lambda: self._call(node, result))
        return result

    def _call(self, node: Any, result: Type) -> bool:
        typ = node.func.t.find()
        if isinstance(typ, Var):
            return False
        if isinstance(typ, Exc) and typ.constructor:
            return self._new_exception(node, typ, result)
        if isinstance(typ, Instance) and typ.constructor:
            raise self.error(node, f"objects of class '{typ.name}' cannot be made in a kernel; make them in build()")
        if not isinstance(typ, Func) or typ.kind == "context":
            raise self.error(node.func, f"cannot call this expression of type {typ}")
        if typ.kind == "builtin":
            return self.builtin_call(node, str(typ.info), result)
        if typ.kind == "math":
            return self.math_call(node, typ, result)
        self_type: Type | None = None
        if typ.kind == "method":
            bound, typ = typ.info
            if bound is not None:
                self_type = self.embedding.instance(bound)
            elif isinstance(node.func, ast.Attribute):
                self_type = node.func.value.t.find()  # type: ignore[attr-defined]
            elif typ.kind == "kernel":
                self_type = typ.info.owner
        if typ.kind == "rpc":
            rpc: Rpc = typ.info
            self.same(node, result, rpc.ret)
            return True
        if typ.kind == "syscall":
            return self.syscall_call(node, typ, result)
        return self._kernel_call(node, typ.info, self_type, result)

    def _new_exception(self, node: Any, typ: Exc, result: Type) -> bool:
        if node.keywords or len(node.args) > 4:
            raise self.error(node.func, f"{typ.name} cannot be invoked with these arguments")
        for i, arg in enumerate(node.args):
            self.same(arg, arg.t, STR if i == 0 else INT64)
        if node.args and not (isinstance(node.args[0], ast.Constant) or hasattr(node.args[0], "host")):
            raise self.error(node.args[0], "only constant exception messages are supported")
        self.same(node, result, Exc(typ.cls, False))
        return True

    def _kernel_call(self, node: Any, callee: Function, self_type: Type | None, result: Type) -> bool:
        formal = list(callee.params)
        if self_type is not None:
            if not formal:
                raise self.error(node, f"function '{callee.name}' cannot accept a self argument")
            self.same(node, formal[0].type, self_type)
            formal = formal[1:]
        if len(node.args) > len(formal):
            raise self.error(node.func, f"this function of type {node.func.t} accepts at most {len(formal)} arguments")
        passed = set()
        for arg, param in zip(node.args, formal, strict=False):
            self.same(arg, arg.t, param.type)
            passed.add(param.name)
        by_name = {param.name: param for param in formal}
        for keyword in node.keywords:
            if keyword.arg in passed:
                raise self.error(node, f"the argument '{keyword.arg}' has been passed earlier as positional")
            if keyword.arg not in by_name:
                raise self.error(node, f"this function of type {node.func.t} does not accept argument '{keyword.arg}'")
            self.same(keyword.value, keyword.value.t, by_name[keyword.arg].type)
            passed.add(keyword.arg)
        for param in formal:
            if param.name not in passed and param.default is None:
                raise self.error(node, f"mandatory argument '{param.name}' is not passed")
        self.same(node, result, callee.ret)
        return True
