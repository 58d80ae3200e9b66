"""Writing a typed kernel as Python: names, attributes, items and operators."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from .codegen_calls import Calls
from .functions import Function
from .known import Knowledge, arithmetic, limits
from .made import assign, call, constant, dtype, load, named, place, store
from .types import Func, Type, is_, n_dims, width

_CHECKED = (ast.Add, ast.Sub, ast.Mult)


class Expressions(Calls):
    """The expressions of one function."""

    def __init__(
        self,
        function: Function,
        unit: Any,
        given: dict[str, Any],
        outer: Any = None,
        renamed: dict[str, str] | None = None,
        site: Any = None,
    ) -> None:
        self.function, self.unit, self.outer = function, unit, outer
        self.known = Knowledge(function, given, unit.written)
        self.renamed = renamed or {}
        self.around: list[int] = []  # the handlers that are being written
        self.trying: list[int | list[Any]] = []  # in whose bodies: the number of a `finally`, or a try's classes
        self.passed: set[int] = set()  # the `finally` that some exception passes by
        self.site = site if outer is None or outer.site is None else outer.site
        self.depth = outer.depth + 1 if outer is not None and site is not None else 0
        self.counter: list[int] = outer.counter if outer is not None and site is not None else [0]

    def at(self, made: Any, node: Any) -> None:
        """Give what was made the place of its source, or of the call that it is written in place of."""
        place(made, self.site if self.site is not None else node)

    def temp(self) -> str:
        """Return a fresh local name."""
        self.counter[0] += 1
        return f"_K{self.counter[0]}"

    def local(self, name: str) -> str:
        """Return the name that a kernel's local has in the code written."""
        return self.renamed.get(name, name)

    def helper(self, name: str, *args: ast.expr) -> ast.expr:
        """Return a call to one of the engine's functions."""
        return call(load("_K" + name), *args)

    def now(self) -> ast.expr:
        """Return the timeline cursor."""
        return ast.Attribute(value=load("_Kb"), attr="now", ctx=ast.Load())

    def set_now(self, value: ast.expr) -> ast.stmt:
        """Return the statement that sets the timeline cursor."""
        return assign(ast.Attribute(value=load("_Kb"), attr="now", ctx=ast.Store()), value)

    def expr(self, node: Any) -> ast.expr:
        """Return an expression, widened where its user needs it."""
        known = self.known.of(node)
        if known is not None:
            value = known[0]
            plain = value is None or isinstance(value, bool | int | float | str | bytes)
            anew = hasattr(node, "host") and isinstance(value, list | tuple | np.ndarray)  # wherever it is named
            made = constant(value) if plain else self.unit.default(value, node.t) if anew else self.unit.object(value)
            if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
                made = self.unit.object(value)
        else:
            made = getattr(self, "expr_" + type(node).__name__)(node)
            if getattr(node, "co", None) is not None:
                made = self._widened(made, node)
        self.at(made, node)
        return made

    def items(self, node: Any) -> ast.expr:
        """Return what elements are read of, which needs no copy of a list of the host."""
        value = node.host[0] if hasattr(node, "host") else None
        return self.unit.shared(value, node.t) if isinstance(value, list | np.ndarray) else self.expr(node)

    def _widened(self, made: ast.expr, node: Any) -> ast.expr:
        if is_("float", node.co) and is_("int", node.t):
            return call(load("_Kfloat"), made)
        if is_("array", node.co):
            return self.helper("as_floats", made)
        if is_("int", node.co) and is_("int", node.t) and (width(node.co) or 0) < (width(node.t) or 0):
            return self.helper("wrap32", made)
        return made

    def expr_Constant(self, node: ast.Constant) -> ast.expr:
        return constant(node.value)

    def expr_Name(self, node: Any) -> ast.expr:
        typ = node.t.find()
        if not isinstance(typ, Func) or not hasattr(node, "host") and typ.kind in ("kernel", "method"):
            return load(self.local(node.id))
        return self._function_value(node, typ)

    def expr_Attribute(self, node: Any) -> ast.expr:
        typ = getattr(node, "found", node.t).find()
        if isinstance(typ, Func):
            return self._function_value(node, typ)
        return ast.Attribute(value=self.expr(node.value), attr=node.attr, ctx=ast.Load())

    def _function_value(self, node: Any, typ: Func) -> ast.expr:
        """Return a function as a value: what is called, or the object of a method that runs on the host."""
        if typ.kind == "kernel":
            return load(self.unit.function(typ.info, None))
        if typ.kind != "method":
            return constant(None)  # known by its type
        bound, inner = typ.info
        known = self.known.of(node.value) if bound is None else (bound,)
        if inner.kind != "kernel":
            return self.expr(node.value) if bound is None else self.unit.object(bound)
        function = load(self.unit.function(inner.info, known))
        return function if known is not None else self.helper("partial", function, self.expr(node.value))

    def expr_Tuple(self, node: ast.Tuple) -> ast.expr:
        return ast.Tuple(elts=[self.expr(elt) for elt in node.elts], ctx=ast.Load())

    def expr_List(self, node: ast.List) -> ast.expr:
        return ast.List(elts=[self.expr(elt) for elt in node.elts], ctx=ast.Load())

    def expr_ListComp(self, node: ast.ListComp) -> ast.expr:
        generator = node.generators[0]
        iterable = self.iterable(generator.iter)
        names = {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
        hidden = {name: self.renamed.pop(name) for name in names & self.renamed.keys()}
        given = {name: self.known.given.pop(name) for name in names & self.known.given.keys()}
        made = ast.ListComp(
            elt=self.expr(node.elt),
            generators=[ast.comprehension(target=_pattern(generator.target), iter=iterable, ifs=[], is_async=0)],
        )
        self.renamed |= hidden
        self.known.given |= given
        return made

    def iterable(self, node: Any) -> ast.expr:
        """Return what a loop runs over; array elements become plain numbers."""
        if is_("array", node.t) and n_dims(node.t) == 1:
            return call(ast.Attribute(value=self.items(node), attr="tolist", ctx=ast.Load()))
        if is_("range", node.t) and isinstance(node, ast.Call) and self.is_builtin(node, "range"):
            made = self.loop_range(node)
            self.at(made, node)
            return made
        return self.expr(node)

    # Items

    def _bounds(self, node: Any) -> list[ast.expr]:
        return [constant(None) if part is None else self.expr(part) for part in (node.lower, node.upper, node.step)]

    def expr_Subscript(self, node: Any) -> ast.expr:
        items = self.items(node.value)
        if isinstance(node.slice, ast.Slice):
            return self.helper("get_slice", items, *self._bounds(node.slice))
        if is_("tuple", node.value.t):
            return ast.Subscript(value=items, slice=constant(node.slice.value), ctx=ast.Load())
        index = self.expr(node.slice)
        if is_("array", node.value.t):
            return self.helper("get_row" if is_("array", node.t) else "get_number", items, index)
        return self.helper("get", items, index)

    def put_item(self, node: Any, value: ast.expr) -> ast.expr:
        """Return the call that sets an item."""
        items = self.expr(node.value)
        if isinstance(node.slice, ast.Slice):
            return self.helper("put_slice", value, items, *self._bounds(node.slice))
        index = self.expr(node.slice)
        return self.helper("put_number" if is_("array", node.value.t) else "put", value, items, index)

    # Operators

    def truth(self, node: Any) -> ast.expr:
        """Return a condition."""
        made = self.expr(node)
        return made if _is_plain(node.t) else self._truth(made, node.t)

    def _truth(self, made: ast.expr, typ: Type) -> ast.expr:
        """Return whether a value is true, of a type of which Python and the device think differently."""
        if is_("float", typ):
            return self.helper("nonzero", made)
        if is_("array", typ):
            return ast.Compare(left=call(load("_Klen"), made), ops=[ast.NotEq()], comparators=[constant(0)])
        return ast.Tuple(elts=[made], ctx=ast.Load())  # objects, tuples and functions are, as is a tuple of one

    def expr_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        if _is_plain(node.t):  # type: ignore[attr-defined]
            return ast.BoolOp(op=node.op, values=[self.expr(value) for value in node.values])
        *firsts, made = [self.expr(value) for value in node.values]
        for first in reversed(firsts):
            temp = self.temp()
            test = self._truth(named(temp, first), node.t)  # type: ignore[attr-defined]
            yes, no = (made, load(temp)) if isinstance(node.op, ast.And) else (load(temp), made)
            made = ast.IfExp(test=test, body=yes, orelse=no)
        return made

    def expr_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(test=self.expr(node.test), body=self.expr(node.body), orelse=self.expr(node.orelse))

    def expr_UnaryOp(self, node: Any) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(op=ast.Not(), operand=self.truth(node.operand))
        if isinstance(node.op, ast.USub) and is_("float", node.t):
            return ast.BinOp(left=constant(0.0), op=ast.Sub(), right=self.expr(node.operand))
        if isinstance(node.op, ast.USub) and is_("array", node.t):
            return self.helper("array_negative", self.expr(node.operand))
        made = ast.UnaryOp(op=node.op, operand=self.expr(node.operand))
        if isinstance(node.op, ast.USub) and is_("int", node.t):
            low, _ = self.known.interval(node.operand)
            return self.wrapped(made, node.t) if low == limits(node.t)[0] else made
        return made

    def wrapped(self, made: ast.expr, typ: Type, bounds: tuple[int, int] | None = None) -> ast.expr:
        """Return an integer brought back into the range of its type, which `bounds` (if known) exceed."""
        low, high = limits(typ)
        temp = self.temp()
        named = ast.NamedExpr(target=ast.Name(id=temp, ctx=ast.Store()), value=made)
        inside = ast.Compare(left=constant(low), ops=[ast.LtE(), ast.LtE()], comparators=[named, constant(high)])
        if bounds is not None and bounds[0] >= low:  # one look is enough, and this is in every loop that counts
            inside = ast.Compare(left=named, ops=[ast.LtE()], comparators=[constant(high)])
        wrap = self.helper("wrap64" if width(typ) == 64 else "wrap32", load(temp))
        return ast.IfExp(test=inside, body=load(temp), orelse=wrap)

    def expr_BinOp(self, node: Any) -> ast.expr:
        return self.binary(node, node.left, node.right, node.t)

    def binary(self, node: Any, left: Any, right: Any, typ: Type, unchecked: bool = False) -> ast.expr:
        """Return `left op right` as a value of type `typ`; augmented assignments look for no zero divisor."""
        a, b = self.expr(left), self.expr(right)
        if isinstance(node.op, ast.MatMult):
            return self.helper("matmul", constant(dtype(typ)), a, b)
        if is_("array", typ):
            return self.helper("array_op", constant(type(node.op).__name__), constant(dtype(typ)), a, b)
        if is_("float", typ):
            return self._float_op(node.op, a, b, right, "unchecked_" if unchecked else "")
        if is_("int", typ):
            return self._int_op(node.op, a, b, left, right, typ, "unchecked_" if unchecked else "")
        if isinstance(node.op, ast.Mult):
            items, n = (a, b) if is_("list", left.t) else (b, a)
            return self.helper("repeat", items, n)
        return ast.BinOp(left=a, op=node.op, right=b)

    def _float_op(self, op: Any, a: ast.expr, b: ast.expr, right: Any, prefix: str) -> ast.expr:
        known = self.known.of(right)
        if isinstance(op, ast.Div):
            nonzero = known is not None and known[0] == known[0] != 0
            return ast.BinOp(left=a, op=op, right=b) if nonzero else self.helper(prefix + "truediv", a, b)
        if isinstance(op, ast.Mod):
            return self.helper(prefix + "floatmod", a, b)
        if isinstance(op, ast.FloorDiv):
            return self.helper(prefix + "floatfloordiv", a, b)
        if isinstance(op, ast.Pow):
            return self.helper("power", a, b)
        return ast.BinOp(left=a, op=op, right=b)

    def _int_op(self, op: Any, a: ast.expr, b: ast.expr, left: Any, right: Any, typ: Type, prefix: str) -> ast.expr:
        wide = width(typ) == 64
        if isinstance(op, _CHECKED):
            low, high = arithmetic(op, self.known.interval(left), self.known.interval(right))
            made = ast.BinOp(left=a, op=op, right=b)
            inside = limits(typ)[0] <= low and high <= limits(typ)[1]
            return made if inside else self.wrapped(made, typ, (low, high))
        if isinstance(op, ast.LShift):
            return self.helper("lshift64" if wide else "lshift32", a, b)
        if isinstance(op, ast.RShift):
            known = self.known.of(right)
            plain = known is not None and 0 <= known[0] < 64
            return ast.BinOp(left=a, op=op, right=b) if plain else self.helper("rshift", a, b)
        if isinstance(op, ast.FloorDiv):
            return self._quotient(a, b, left, right, typ, prefix)
        if isinstance(op, ast.Mod):
            known = self.known.of(right)
            nonzero = known is not None and known[0] != 0
            return ast.BinOp(left=a, op=op, right=b) if nonzero else self.helper(prefix + "mod", a, b)
        if isinstance(op, ast.Pow):
            return self.helper("wrap64" if wide else "wrap32", self.helper("intpow", a, b))
        return ast.BinOp(left=a, op=op, right=b)

    def _quotient(self, a: ast.expr, b: ast.expr, left: Any, right: Any, typ: Type, prefix: str) -> ast.expr:
        if self.known.interval(left)[0] >= 0 and self.known.interval(right)[0] > 0:
            return ast.BinOp(left=a, op=ast.FloorDiv(), right=b)
        quotient = self.helper(prefix + "floordiv", a, b)
        low, high = self.known.interval(right)
        return self.helper("wrap64" if width(typ) == 64 else "wrap32", quotient) if low <= -1 <= high else quotient

    def array_augmented(self, node: Any) -> ast.expr:
        """Return the call that changes an array in place."""
        value = self.binary(node, node.target, node.value, node.target.t)
        return self.helper("copyto", self.expr(node.target), value)

    def expr_Compare(self, node: ast.Compare) -> ast.expr:
        operands: list[Any] = [node.left, *node.comparators]
        pairs = list(zip(operands, node.ops, operands[1:], strict=False))
        if not any(_by_elements(op, left.t) or _is_not_number(op, left.t) for left, op, _ in pairs):
            ops = [self._comparison(op, left) for left, op, _ in pairs]
            first, *rest = [self.expr(operand) for operand in operands]
            return ast.Compare(left=first, ops=ops, comparators=rest)
        made: list[ast.expr] = []
        before = self.expr(operands[0])
        for i, (left, op, right) in enumerate(pairs):
            after = self.expr(right)
            if i + 1 < len(pairs):  # it is compared twice, and evaluated once
                temp = self.temp()
                after, again = named(temp, after), load(temp)
            else:
                again = after
            made.append(self._compared(left.t, op, before, after))
            before = again
        return made[0] if len(made) == 1 else ast.BoolOp(op=ast.And(), values=made)

    def _compared(self, typ: Type, op: ast.cmpop, a: ast.expr, b: ast.expr) -> ast.expr:
        """Return the comparison of one pair."""
        if _by_elements(op, typ):
            if isinstance(op, ast.NotEq):
                return ast.UnaryOp(op=ast.Not(), operand=self.helper("compare", load("_KEq"), a, b))
            return self.helper("compare", load("_K" + type(op).__name__), a, b)
        if _is_not_number(op, typ):
            less = self.helper("Lt", a, b)  # ordered and different: NaN is not "not" another number
            return ast.BoolOp(op=ast.Or(), values=[less, self.helper("Gt", a, b)])
        return ast.Compare(left=a, ops=[self._comparison(op, ast.Constant(value=None), typ)], comparators=[b])

    def _comparison(self, op: ast.cmpop, operand: Any, typ: Type | None = None) -> ast.cmpop:
        typ = operand.t if typ is None else typ
        by_value = any(is_(kind, typ) for kind in ("int", "float", "bool", "str"))
        if by_value and isinstance(op, ast.Is | ast.IsNot):
            return ast.Eq() if isinstance(op, ast.Is) else ast.NotEq()
        return op


def _pattern(target: Any) -> ast.expr:
    """Return the targets of a comprehension as Python's."""
    if isinstance(target, ast.Name):
        return store(target.id)
    return ast.Tuple(elts=[_pattern(elt) for elt in target.elts], ctx=ast.Store())


def _is_plain(typ: Type) -> bool:
    """Say whether Python finds the same values of a type true as the device does."""
    return any(is_(kind, typ) for kind in ("bool", "int", "str", "list", "range", "NoneType", "bytes", "bytearray"))


def _by_elements(op: ast.cmpop, typ: Type) -> bool:
    """Say whether a comparison goes element by element in the device's own way."""
    if isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn):
        return False
    if isinstance(op, ast.Eq | ast.NotEq) and is_("str", typ):
        return False
    return any(is_(kind, typ) for kind in ("list", "tuple", "str", "bytes", "bytearray", "array"))


def _is_not_number(op: ast.cmpop, typ: Type) -> bool:
    return isinstance(op, ast.IsNot) and is_("float", typ)
