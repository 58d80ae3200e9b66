"""Typing rules of names, attributes, items and other expressions.

Source: the behaviour of ARTIQ 8's compiler; operators are in `infer_ops.py`, calls in `infer_calls.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .embed import Embedding
from .errors import KernelError
from .functions import Function
from .infer_calls import Calls
from .infer_ops import Operators
from .scope import PRELUDE, suggestion
from .solver import Solver
from .types import (
    BYTE,
    INT32,
    WIDTH32,
    WIDTH64,
    Type,
    Unmatched,
    Var,
    array_of,
    is_,
    list_of,
    n_dims,
    new_int,
    tuple_of,
    unify,
)

UNSUPPORTED = "this syntax is not supported"


class Expressions(Operators, Calls):
    """State the constraints of the expressions of one kernel function."""

    target: Callable[[Any], Type]

    def __init__(self, function: Function, embedding: Embedding, solver: Solver, first: bool = False) -> None:
        self.function, self.embedding, self.solver, self.first = function, embedding, solver, first
        self.comprehensions: list[dict[str, Type]] = []

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
        self.embedding.named_in = self.function.root
        error = self.error(node, "integer literal out of range for a signed 64-bit value")
        typ = self.embedding.type_of(value, error)
        self.embedding.named_in = None
        return typ

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
            node.found = found = self._attribute(node, typ)
            try:
                unify(found, result)
            except Unmatched as e:
                raise self._mismatch(node, result, found, e, f" for attribute '{node.attr}'") from None
            return True

        if self.first and isinstance(node.value, ast.Name) and node.value.id == self.function.self_name:
            self.solver.later(look)  # the type of the entry's self is not known yet at the first walk
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
