"""Typing rules of operators: which operand is widened to what.

Integers of different width meet in the wider one, an integer and a float in a float; nothing else is converted. A
widened operand carries the type it is widened to in `co`. Source: the behaviour of ARTIQ 8's compiler.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .errors import KernelError
from .solver import Solver
from .types import (
    BOOL,
    FLOAT,
    WIDTH32,
    WIDTH64,
    Type,
    Unmatched,
    Var,
    array_of,
    has_var,
    is_,
    is_numeric,
    is_var,
    n_dims,
    tuple_of,
    unify,
    width,
)

_SYMBOL = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.MatMult: "@",
}  # fmt: skip
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)


class Operators:
    """The operator rules of the inferer."""

    solver: Solver
    expr: Callable[[Any], Type]
    same: Callable[[Any, Type, Type], None]
    error: Callable[..., KernelError]
    iterate: Callable[[Any, Any], None]

    def numeric(self, nodes: list[Any], elements: bool = False) -> Type | None:
        """Return the type in which numeric operands meet, None while it cannot be known."""
        kinds = []
        for node in nodes:
            typ = node.t if getattr(node, "co", None) is None or has_var(node.co) else node.co
            kinds.append(typ.find().args[0].find() if elements and is_("array", typ) else typ.find())
        if any(is_var(kind) for kind in kinds):
            return None
        for node, kind in zip(nodes, kinds, strict=True):
            if not is_numeric(kind):
                raise self.error(node, f"cannot coerce {node.t} to a numeric type")
        if any(is_("float", kind) for kind in kinds):
            return FLOAT
        widths = [width(kind) for kind in kinds]
        if None in widths:
            if not hasattr(nodes[-1], "meet"):
                nodes[-1].meet = Type(
                    "int", (Var(),)
                )  # the same at every attempt, or the solver would see progress for ever
            open_width: Type = nodes[-1].meet
            return open_width
        return Type("int", (WIDTH64 if 64 in widths else WIDTH32,))

    def widen(self, node: Any, typ: Type) -> None:
        """Note that an operand is used as a value of type `typ`."""
        if getattr(node, "co", None) is not None:
            self.same(node, node.co, typ)
        elif node.t.find() is not typ.find() and (has_var(typ) or not _equal(node.t, typ)):
            node.co = typ

    def expr_BinOp(self, node: Any) -> Type:
        """Return the type of `left op right`."""
        self.expr(node.left)
        self.expr(node.right)
        result: Type = Var()
        self.solver.when(lambda: self._binary(node, node.left, node.right, result))
        return result

    def augmented(self, node: Any, target: Type) -> None:
        """State the rule of `target op= value`."""
        self.solver.when(lambda: self._augmented(node, target))

    def _augmented(self, node: Any, target: Type) -> bool:
        found = self._operands(node, node.target, node.value)
        if found is None:
            return False
        result, left, right = found
        for wanted in (result, left):
            try:
                unify(target, wanted)
            except Unmatched:
                raise self.error(
                    node,
                    f"the result of this operation has type {wanted}, which cannot be assigned to a left-hand side of "
                    f"type {target}",
                ) from None
        self.widen(node.value, right)
        return not has_var(result)

    def _binary(self, node: Any, left: Any, right: Any, result: Type) -> bool:
        found = self._operands(node, left, right)
        if found is None:
            return False
        result_type, left_type, right_type = found
        self.widen(left, left_type)
        self.widen(right, right_type)
        self.same(node, result, result_type)
        return not has_var(result)

    def _operands(self, node: Any, left: Any, right: Any) -> tuple[Type, Type, Type] | None:
        """Return the types of result, left and right operand of a binary operator; None while they cannot be known."""
        op, symbol = node.op, _SYMBOL[type(node.op)]
        if isinstance(op, ast.MatMult):
            return self._matmul(node, left, right)
        if is_("array", left.t) or is_("array", right.t):
            return self._arrays(node, left, right)
        if isinstance(op, _BITWISE):
            for operand in (left, right):
                if not is_var(operand.t) and not is_("int", operand.t):
                    raise self.error(operand, f"expected '{symbol}' operand to be of integer type, not {operand.t}")
        elif isinstance(op, ast.Add):
            joined = self._join(node, left, right)
            if not isinstance(joined, bool):
                return joined
        elif isinstance(op, ast.Mult) and (is_("tuple", left.t) or is_("tuple", right.t)):
            raise self.error(node, "passing tuples to '*' is not supported")
        elif isinstance(op, ast.Mult) and (is_("list", left.t) or is_("list", right.t)):
            return self._repeat(node, left, right)
        meet = self.numeric([left, right])
        if meet is None:
            return None
        return (FLOAT, FLOAT, FLOAT) if isinstance(op, ast.Div) else (meet, meet, meet)

    def _join(self, node: Any, left: Any, right: Any) -> tuple[Type, Type, Type] | None | bool:
        """Handle `+` of lists, tuples and strings; False where the operands are none of them."""
        for kind in ("tuple", "list"):
            if is_(kind, left.t) or is_(kind, right.t):
                if is_var(left.t) or is_var(right.t):
                    return None
                if not (is_(kind, left.t) and is_(kind, right.t)):
                    raise self.error(node, f"expected every '+' operand to be a {kind} in this context")
                if kind == "tuple":
                    return tuple_of([*left.t.find().args, *right.t.find().args]), left.t, right.t
                self.same(node, left.t, right.t)
                return left.t, left.t, right.t
        for kind in ("str", "bytes"):
            if is_(kind, left.t) or is_(kind, right.t):
                self.same(node, left.t, right.t)
                return left.t, left.t, right.t
        return False

    def _repeat(self, node: Any, left: Any, right: Any) -> tuple[Type, Type, Type] | None:
        items, number = (left, right) if is_("list", left.t) else (right, left)
        if is_var(number.t):
            return None
        if not is_("int", number.t):
            raise self.error(node, "expected '*' operands to be a list and an integer in this context")
        return items.t, left.t, right.t

    def _arrays(self, node: Any, left: Any, right: Any) -> tuple[Type, Type, Type] | None:
        if isinstance(node.op, _BITWISE):
            raise self.error(node, f"operator '{_SYMBOL[type(node.op)]}' not valid for array types")
        n = [n_dims(operand.t) if is_("array", operand.t) else 0 for operand in (left, right)]
        if n[0] and n[1] and n[0] != n[1]:
            raise self.error(node, f"dimensions of '{_SYMBOL[type(node.op)]}' array operands must match")
        meet = self.numeric([left, right], elements=True)
        if meet is None:
            return None
        elt = FLOAT if isinstance(node.op, ast.Div) else meet
        as_operand = [array_of(elt, k) if k else elt for k in n]
        return array_of(elt, n[0] or n[1]), as_operand[0], as_operand[1]

    def _matmul(self, node: Any, left: Any, right: Any) -> tuple[Type, Type, Type] | None:
        if is_var(left.t) or is_var(right.t):
            return None
        for operand in (left, right):
            if not is_("array", operand.t):
                reason = f"expected matrix multiplication operand to be of array type, not {operand.t}"
                raise self.error(node, reason)
            if n_dims(operand.t) > 2:
                reason = f"expected matrix multiplication operand to be 1- or 2-dimensional, not {operand.t}"
                raise self.error(node, reason)
        elt = self.numeric([left, right], elements=True)
        if elt is None:
            return None
        n = n_dims(left.t) + n_dims(right.t) - 2
        return (array_of(elt, n) if n else elt), array_of(elt, n_dims(left.t)), array_of(elt, n_dims(right.t))

    def expr_UnaryOp(self, node: Any) -> Type:
        """Return the type of `op operand`."""
        self.expr(node.operand)
        if isinstance(node.op, ast.Not):
            return BOOL
        result: Type = Var()

        def check() -> bool:
            typ = node.operand.t.find()
            if isinstance(typ, Var):
                return False
            if isinstance(node.op, ast.Invert):
                if not is_("int", typ):
                    raise self.error(node.operand, f"expected '~' operand to be of integer type, not {typ}")
            elif not is_numeric(typ) and not (is_("array", typ) and is_numeric(typ.args[0])):
                sign = "-" if isinstance(node.op, ast.USub) else "+"
                raise self.error(node.operand, f"expected unary '{sign}' operand to be of numeric type, not {typ}")
            self.same(node, result, typ)
            return True

        self.solver.when(check)
        return result

    def expr_BoolOp(self, node: Any) -> Type:
        """Return the type of `a and b`, which must be that of all operands."""
        result: Type = Var()
        for value in node.values:
            self.same(value, result, self.expr(value))
        return result

    def expr_IfExp(self, node: Any) -> Type:
        """Return the type of `a if test else b`."""
        self.same(node.test, self.expr(node.test), BOOL)
        body = self.expr(node.body)
        self.same(node.body, body, self.expr(node.orelse))
        return body

    def expr_Compare(self, node: Any) -> Type:
        """Return bool, after stating in what type the operands are compared."""
        operands = [node.left, *node.comparators]
        for operand in operands:
            self.expr(operand)
        pairs = list(zip(operands, operands[1:], strict=False))
        if all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            for left, right in pairs:
                self.same(right, left.t, right.t)
        elif all(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            for left, right in pairs:
                self.iterate(left, right)
        elif any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in node.ops):
            raise self.error(node, "comparisons of different kinds cannot be chained in a kernel")
        else:
            self.solver.when(lambda: self._ordered(operands, pairs))
        return BOOL

    def _ordered(self, operands: list[Any], pairs: list[tuple[Any, Any]]) -> bool:
        if any(is_("list", operand.t) or is_("tuple", operand.t) for operand in operands):
            for left, right in pairs:
                self.same(right, left.t, right.t)
            return True
        if any(is_numeric(operand.t) for operand in operands):
            meet = self.numeric(operands)
            if meet is None:
                return False
            for operand in operands:
                self.widen(operand, meet)
            return not has_var(meet)
        return not any(is_var(operand.t) for operand in operands)


def _equal(left: Type, right: Type) -> bool:
    """Say whether two types without variables are the same."""
    left, right = left.find(), right.find()
    if left is right:
        return True
    if isinstance(left, Var) or isinstance(right, Var):
        return False
    same = type(left) is Type and type(right) is Type and left.name == right.name and len(left.args) == len(right.args)
    return same and all(_equal(a, b) for a, b in zip(left.args, right.args, strict=True))
