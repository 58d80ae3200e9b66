"""Writing a typed kernel as Python: expressions and calls.

Above 400 lines because one writer has a method for each kind of expression.
"""

from __future__ import annotations

import ast
from typing import Any

from .functions import Function
from .known import Knowledge, arithmetic, limits
from .types import BOOL, Func, Instance, Type, is_, n_dims, width

_CHECKED = (ast.Add, ast.Sub, ast.Mult)
_UFUNC = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "true_divide",
    ast.Mod: "mod",
    ast.Pow: "power",
}


def load(name: str) -> ast.expr:
    """Return an expression that reads a name."""
    return ast.Name(id=name, ctx=ast.Load())


def store(name: str) -> ast.expr:
    """Return a target that sets a name."""
    return ast.Name(id=name, ctx=ast.Store())


def constant(value: Any) -> ast.expr:
    """Return a constant."""
    return ast.Constant(value=value)


def call(func: ast.expr, *args: ast.expr) -> ast.expr:
    """Return a call."""
    return ast.Call(func=func, args=list(args), keywords=[])


def assign(target: ast.expr, value: ast.expr) -> ast.stmt:
    """Return an assignment."""
    return ast.Assign(targets=[target], value=value, type_comment=None)


class Expressions:
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
        self.site = site if outer is None or outer.site is None else outer.site
        self.depth = outer.depth + 1 if outer is not None and site is not None else 0
        self.counter: list[int] = outer.counter if outer is not None and site is not None else [0]

    def at(self, made: Any, node: Any) -> None:
        """Give what was made the place of its source, or of the call that it is written in place of."""
        _place(made, self.site if self.site is not None else node)

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
            made = constant(value) if plain else self.unit.object(value)
            if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
                made = self.unit.object(value)
        else:
            made = getattr(self, "expr_" + type(node).__name__)(node)
            if getattr(node, "co", None) is not None:
                made = self._widened(made, node)
        self.at(made, node)
        return made

    def _widened(self, made: ast.expr, node: Any) -> ast.expr:
        if is_("float", node.co) and is_("int", node.t):
            return call(load("_Kfloat"), made)
        if is_("int", node.co) and is_("int", node.t) and (width(node.co) or 0) < (width(node.t) or 0):
            return self.helper("wrap32", made)
        return made

    def expr_Constant(self, node: ast.Constant) -> ast.expr:
        return constant(node.value)

    def expr_Name(self, node: Any) -> ast.expr:
        typ = node.t.find()
        if isinstance(typ, Func) and typ.kind != "method":
            return constant(None)  # functions are known by their type
        return load(self.local(node.id))

    def expr_Attribute(self, node: Any) -> ast.expr:
        typ = node.t.find()
        if isinstance(typ, Func):
            return self._method_value(node, typ) if typ.kind == "method" else constant(None)
        if is_("range", node.value.t) and node.attr == "stop":
            raise self.function.error(node, "the attribute 'stop' of a range is not supported by the host engine")
        return ast.Attribute(value=self.expr(node.value), attr=node.attr, ctx=ast.Load())

    def _method_value(self, node: Any, typ: Func) -> ast.expr:
        """Return a method that is passed about as a value: a function that needs no self."""
        bound, inner = typ.info
        if inner.kind != "kernel":
            raise self.function.error(
                node, "a method that runs on the host cannot be passed about in a kernel; call it directly"
            )
        known = self.known.of(node.value) if bound is None else (bound,)
        function = load(self.unit.function(inner.info, known))
        return function if known is not None else self.helper("partial", function, self.expr(node.value))

    def expr_Tuple(self, node: ast.Tuple) -> ast.expr:
        return ast.Tuple(elts=[self.expr(elt) for elt in node.elts], ctx=ast.Load())

    def expr_List(self, node: ast.List) -> ast.expr:
        return ast.List(elts=[self.expr(elt) for elt in node.elts], ctx=ast.Load())

    def expr_ListComp(self, node: ast.ListComp) -> ast.expr:
        generator = node.generators[0]
        if not isinstance(generator.target, ast.Name):
            raise self.function.error(node, "a comprehension must have a single variable")
        hidden = self.renamed.pop(generator.target.id, None)
        given = self.known.given.pop(generator.target.id, None)
        target = store(generator.target.id)
        made = ast.ListComp(
            elt=self.expr(node.elt),
            generators=[ast.comprehension(target=target, iter=self.iterable(generator.iter), ifs=[], is_async=0)],
        )
        if hidden is not None:
            self.renamed[generator.target.id] = hidden
        if given is not None:
            self.known.given[generator.target.id] = given
        return made

    def iterable(self, node: Any) -> ast.expr:
        """Return what a loop runs over; array elements become plain numbers."""
        if is_("array", node.t) and n_dims(node.t) == 1:
            return call(ast.Attribute(value=self.expr(node), attr="tolist", ctx=ast.Load()))
        return self.expr(node)

    # Items

    def _bounds(self, node: Any) -> list[ast.expr]:
        return [constant(None) if part is None else self.expr(part) for part in (node.lower, node.upper, node.step)]

    def expr_Subscript(self, node: Any) -> ast.expr:
        items = self.expr(node.value)
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
            return self.helper("put_slice", items, *self._bounds(node.slice), value)
        index = self.expr(node.slice)
        return self.helper("put_number" if is_("array", node.value.t) else "put", items, index, value)

    # Operators

    def truth(self, node: Any) -> ast.expr:
        """Return a condition."""
        made = self.expr(node)
        if is_("array", node.t):
            return ast.Compare(left=call(load("_Klen"), made), ops=[ast.NotEq()], comparators=[constant(0)])
        if isinstance(node.t.find(), Instance):
            return constant(True)
        return made

    def expr_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return ast.BoolOp(op=node.op, values=[self.expr(value) for value in node.values])

    def expr_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(test=self.expr(node.test), body=self.expr(node.body), orelse=self.expr(node.orelse))

    def expr_UnaryOp(self, node: Any) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(op=ast.Not(), operand=self.truth(node.operand))
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

    def binary(self, node: Any, left: Any, right: Any, typ: Type) -> ast.expr:
        """Return `left op right` as a value of type `typ`."""
        a, b = self.expr(left), self.expr(right)
        if is_("array", typ):
            return self._array_op(node.op, a, b)
        if is_("float", typ):
            return self._float_op(node.op, a, b, right)
        if is_("int", typ):
            return self._int_op(node.op, a, b, left, right, typ)
        if isinstance(node.op, ast.Mult):
            items, n = (a, b) if is_("list", left.t) else (b, a)
            return self.helper("repeat", items, n)
        return ast.BinOp(left=a, op=node.op, right=b)

    def _float_op(self, op: Any, a: ast.expr, b: ast.expr, right: Any) -> ast.expr:
        known = self.known.of(right)
        nonzero = known is not None and known[0] != 0
        if isinstance(op, ast.Div | ast.Mod) and not nonzero:
            return self.helper("truediv" if isinstance(op, ast.Div) else "mod", a, b)
        if isinstance(op, ast.FloorDiv):
            return self.helper("floatfloordiv", a, b)
        if isinstance(op, ast.Pow):
            return self.helper("power", a, b)
        return ast.BinOp(left=a, op=op, right=b)

    def _int_op(self, op: Any, a: ast.expr, b: ast.expr, left: Any, right: Any, typ: Type) -> ast.expr:
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
            return self._quotient(a, b, left, right, typ)
        if isinstance(op, ast.Mod):
            known = self.known.of(right)
            return (
                ast.BinOp(left=a, op=op, right=b) if known is not None and known[0] != 0 else self.helper("mod", a, b)
            )
        if isinstance(op, ast.Pow):
            return self.helper("wrap64" if wide else "wrap32", self.helper("intpow", a, b))
        return ast.BinOp(left=a, op=op, right=b)

    def _quotient(self, a: ast.expr, b: ast.expr, left: Any, right: Any, typ: Type) -> ast.expr:
        if self.known.interval(left)[0] >= 0 and self.known.interval(right)[0] > 0:
            return ast.BinOp(left=a, op=ast.FloorDiv(), right=b)
        quotient = self.helper("floordiv", a, b)
        low, high = self.known.interval(right)
        return self.helper("wrap64" if width(typ) == 64 else "wrap32", quotient) if low <= -1 <= high else quotient

    def _array_op(self, op: Any, a: ast.expr, b: ast.expr) -> ast.expr:
        if isinstance(op, ast.FloorDiv):
            return self.helper("array_floordiv", a, b)
        return call(ast.Attribute(value=load("_Knp"), attr=_UFUNC[type(op)], ctx=ast.Load()), a, b)

    def array_augmented(self, node: Any) -> ast.expr:
        """Return the call that changes an array in place."""
        value = self._array_op(node.op, self.expr(node.target), self.expr(node.value))
        return self.helper("copyto", self.expr(node.target), value)

    def expr_Compare(self, node: ast.Compare) -> ast.expr:
        operands = [node.left, *node.comparators]
        typ: Type = operands[0].t  # type: ignore[attr-defined]
        ordered = isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        if ordered and (is_("list", typ) or is_("tuple", typ)) and len(node.ops) == 1:
            kind = "order_lists" if is_("list", typ) else "order_tuples"
            return self.helper(kind, load("_K" + type(node.ops[0]).__name__), *map(self.expr, operands))
        ops = [self._comparison(op, operand) for op, operand in zip(node.ops, operands, strict=False)]
        first, *rest = [self.expr(operand) for operand in operands]
        return ast.Compare(left=first, ops=ops, comparators=rest)

    def _comparison(self, op: ast.cmpop, operand: Any) -> ast.cmpop:
        by_value = any(is_(kind, operand.t) for kind in ("int", "float", "bool", "str"))
        if by_value and isinstance(op, ast.Is | ast.IsNot):
            return ast.Eq() if isinstance(op, ast.Is) else ast.NotEq()
        return op

    # Calls

    def argument(self, arg: Any) -> ast.expr:
        """Return an argument: an expression, or a default value of the host in a tuple."""
        if isinstance(arg, tuple):
            return self.unit.constant(arg[0])
        return self.expr(arg)

    def kernel_target(self, node: Any) -> tuple[Function, Any, list[Any]] | None:
        """Return the kernel that a call reaches, what is known of its self, and its arguments in order."""
        typ = node.func.t.find()
        if not isinstance(typ, Func) or typ.kind not in ("kernel", "method") or self._is_method_value(node, typ):
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
        by_name = {k.arg: k.value for k in node.keywords}
        args = [*node.args, *(by_name.get(param.name, param.default) for param in formal[len(node.args) :])]
        return callee, known_self, args

    def _is_method_value(self, node: Any, typ: Func) -> bool:
        """Say whether a call goes through a name to which a method was bound."""
        return typ.kind == "method" and typ.info[0] is None and not isinstance(node.func, ast.Attribute)

    def expr_Call(self, node: Any) -> ast.expr:
        typ = node.func.t.find()
        target = self.kernel_target(node)
        if target is not None:
            callee, known_self, args = target
            values = [self.argument(arg) for arg in args]
            if callee.outer is not None:
                return call(load(callee.name), *values)
            if isinstance(typ, Func) and typ.kind == "method" and known_self is None:
                values.insert(0, self.expr(node.func.value))
            return call(load(self.unit.function(callee, known_self)), *values)
        if not isinstance(typ, Func):
            return self.new_exception(typ.cls, node.args)
        if typ.kind == "builtin":
            made: ast.expr = getattr(self, "call_" + typ.info)(node)
            return made
        if typ.kind == "math":
            return self._math(node, typ)
        if typ.kind == "syscall":
            return call(load(self.unit.syscall(typ.name, node, self.function)), *map(self.expr, node.args))
        if self._is_method_value(node, typ):
            return call(self.expr(node.func), *self._in_order(node, typ.info[1].info.params[1:]))
        return self._rpc(node, typ)

    def _in_order(self, node: Any, formal: list[Any]) -> list[ast.expr]:
        """Return a call's arguments in the order of the parameters."""
        by_name = {k.arg: k.value for k in node.keywords}
        args = [*node.args, *(by_name.get(param.name, param.default) for param in formal[len(node.args) :])]
        return [self.argument(arg) for arg in args]

    def method_call(self, manager: Any, name: str, self_arg: list[ast.expr], args: list[ast.expr]) -> ast.expr:
        """Return the call of a context manager's method."""
        typ: Instance = manager.t.find()
        callee: Function = typ.methods[name].info[1].info  # type: ignore[attr-defined]
        return call(load(self.unit.function(callee, self.known.of(manager))), *self_arg, *args)

    def new_exception(self, cls: type, args: list[Any]) -> ast.expr:
        """Return an exception with its message formatted."""
        return self.helper("new_exception", self.unit.object(cls), *map(self.expr, args))

    def _rpc(self, node: Any, typ: Func) -> ast.expr:
        rpc = typ
        leading: list[ast.expr] = []
        types: list[Type] = []
        if typ.kind == "method":
            bound, rpc = typ.info
            owner = node.func.value.t if bound is None else self.unit.instance(bound)
            leading = [self.expr(node.func.value) if bound is None else self.unit.object(bound)]
            types = [owner]
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

    def call_range(self, node: Any) -> ast.expr:
        args = [self.expr(arg) for arg in node.args]
        if len(args) < 3 or self.known.of(node.args[2]) in ((1,), (-1,)):
            return call(load("_Krange"), *args)
        return self.helper("device_range", *args)

    def call_len(self, node: Any) -> ast.expr:
        return call(load("_Klen"), self.expr(node.args[0]))

    def call_round(self, node: Any) -> ast.expr:
        rounded = self.helper("round_away", self.expr(node.args[0]))
        return rounded if width(node.t) == 64 else self.helper("wrap32", rounded)

    def call_abs(self, node: Any) -> ast.expr:
        made = call(load("_Kabs"), self.expr(node.args[0]))
        return self.wrapped(made, node.t) if is_("int", node.t) else made

    def call_min(self, node: Any) -> ast.expr:
        return call(load("_K" + node.func.t.find().info), *map(self.expr, node.args))

    call_max = call_min

    def call_core_log(self, node: Any) -> ast.expr:
        return self.helper("core_log", *map(self.expr, node.args))

    def call_rtio_log(self, node: Any) -> ast.expr:
        return self.helper("rtio_log", *map(self.expr, node.args))

    def call_array(self, node: Any) -> ast.expr:
        return self.helper("new_array", self.expr(node.args[0]), constant(_dtype(node.t)))

    def call_make_array(self, node: Any) -> ast.expr:
        return self.helper("full", *map(self.expr, node.args), constant(_dtype(node.t)))

    def call_transpose(self, node: Any) -> ast.expr:
        return self.helper("transpose", self.expr(node.args[0]))


def _dtype(typ: Type) -> str:
    """Return the NumPy dtype of an array's elements."""
    elt = typ.find().args[0].find()
    if is_("int", elt):
        return f"int{width(elt)}"
    return "bool" if elt is BOOL else "float64"


_PLACED = (ast.stmt, ast.expr, ast.excepthandler, ast.keyword)


def _place(made: Any, node: Any) -> None:
    """Copy a place to a node and to those below it that have none yet."""
    if hasattr(made, "lineno"):
        return
    if isinstance(made, _PLACED):
        made.lineno, made.col_offset = node.lineno, node.col_offset
        made.end_lineno, made.end_col_offset = node.end_lineno, node.end_col_offset
    for name in made._fields:
        field = getattr(made, name, None)
        for child in field if isinstance(field, list) else (field,):
            if isinstance(child, ast.AST):
                _place(child, node)
