"""Typing rules of the built-in functions, NumPy's mathematics and system calls.

Source: the behaviour of ARTIQ 8's compiler. Arguments are never converted: `delay_mu` of an int32 variable is an error.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from .embed import MATH, Embedding, annotation_type
from .errors import AssertionError, KernelError
from .functions import Function
from .solver import Solver
from .types import (
    BOOL,
    FLOAT,
    INT32,
    INT64,
    NONE,
    STR,
    Func,
    Type,
    Var,
    array_of,
    is_,
    is_numeric,
    is_var,
    list_of,
    n_dims,
    new_int,
    range_of,
    tuple_of,
    unify,
    width,
)

_SIMPLE: dict[str, tuple[list[Type], Type]] = {
    "delay": ([FLOAT], NONE),
    "now_mu": ([], INT64),
    "delay_mu": ([INT64], NONE),
    "at_mu": ([INT64], NONE),
}
_DTYPES = {"int32": INT32, "int64": INT64, "float": FLOAT, "bool": BOOL}


class BuiltinCalls:
    """The rules of calls that are not to kernels or RPCs."""

    function: Function
    embedding: Embedding
    solver: Solver
    same: Callable[[Any, Type, Type], None]
    error: Callable[..., KernelError]

    def _wrong(self, node: Any, name: str) -> KernelError:
        args = [str(arg.t) for arg in node.args] + [f"{k.arg}={k.value.t}" for k in node.keywords]
        return self.error(node.func, f"{name} cannot be invoked with the arguments ({', '.join(args)})")

    def builtin_call(self, node: Any, name: str, result: Type) -> bool:
        """State the rule of a call to a built-in function."""
        if name in _SIMPLE:
            params, ret = _SIMPLE[name]
            if node.keywords or len(node.args) != len(params):
                raise self._wrong(node, name)
            for arg, param in zip(node.args, params, strict=True):
                self.same(arg, arg.t, param)
            self.same(node, result, ret)
            return True
        rule: Callable[[Any, Type], bool] | None = getattr(self, "call_" + name, None)
        if name.startswith("subkernel_"):
            raise self.error(node.func, f"{name}() is about subkernels, which are not simulated; use a @kernel")
        if rule is None:
            raise self.error(node.func, f"builtin function '{name}' cannot be used in this context")
        if node.keywords and name != "array":
            raise self._wrong(node, name)
        return rule(node, result)

    def call_bool(self, node: Any, result: Type) -> bool:
        """`bool(x)` of anything."""
        if len(node.args) > 1:
            raise self._wrong(node, "bool")
        self.same(node, result, BOOL)
        return True

    def _cast(self, node: Any, result: Type, name: str, typ: Type) -> bool:
        self.same(node, result, typ)
        if not node.args:
            if is_("int", result):
                self._cast_later(node, lambda: self._fix(result))
            return True
        if len(node.args) > 1:
            raise self._wrong(node, name)
        if is_var(node.args[0].t):
            return False
        if not is_numeric(node.args[0].t):
            raise self._wrong(node, name)
        if is_("int", result):
            self._cast_later(node, lambda: self._settle_cast(node, result, name))
        return True

    def _cast_later(self, node: Any, settle: Callable[[], None]) -> None:
        self.solver.casts.append((self.function, node.lineno, node.col_offset, settle))

    def _settle_cast(self, node: Any, result: Type, name: str) -> None:
        """Fix the width of what is cast, and of a cast whose own width nothing else fixed."""
        arg = node.args[0]
        if width(result) is not None and is_("int", arg.t) and width(arg.t) is None and not isinstance(arg, ast.BinOp):
            unify(arg.t, result)
        if name == "int":
            self._fix(result)

    def _fix(self, result: Type) -> None:
        """Make an integer whose width nothing fixed 32 bits wide."""
        if width(result) is None:
            unify(result, INT32)

    def call_int(self, node: Any, result: Type) -> bool:
        """`int(x)`: of whatever width is needed, else 32."""
        return self._cast(node, result, "int", result if is_("int", result) else new_int())

    def call_int32(self, node: Any, result: Type) -> bool:
        """`int32(x)` truncates."""
        return self._cast(node, result, "int32", INT32)

    def call_int64(self, node: Any, result: Type) -> bool:
        """`int64(x)` widens, or truncates a float."""
        return self._cast(node, result, "int64", INT64)

    def call_float(self, node: Any, result: Type) -> bool:
        """`float(x)`."""
        return self._cast(node, result, "float", FLOAT)

    def call_str(self, node: Any, result: Type) -> bool:
        """Refuse `str(x)`."""
        raise self.error(node, "strings currently cannot be constructed")

    def call_list(self, node: Any, result: Type) -> bool:
        """`list(iterable)`."""
        elt: Type = Var()
        if not is_("list", result):
            self.same(node, result, list_of(elt))
        if not node.args:
            return True
        if len(node.args) > 1:
            raise self._wrong(node, "list")
        typ = node.args[0].t.find()
        if is_var(typ):
            return False
        if not (is_("list", typ) or is_("range", typ) or is_("array", typ)):
            raise self.error(node.func, "the argument of list() must be of an iterable type")
        if is_("array", typ) and n_dims(typ) > 1:
            reason = "list() of an array of more than one dimension"
            raise AssertionError(reason, self.function.filename, node.lineno)
        self.same(node, result.find().args[0], typ.args[0])
        return True

    def call_range(self, node: Any, result: Type) -> bool:
        """`range(...)` of integers of one width."""
        elt = new_int()
        if not 1 <= len(node.args) <= 3:
            raise self._wrong(node, "range")
        for arg in node.args:
            self.same(arg, arg.t, elt)
        self.same(node, result, range_of(elt))
        return True

    def call_len(self, node: Any, result: Type) -> bool:
        """`len(x)`: 32 bit, of a range as wide as its elements."""
        if len(node.args) != 1:
            raise self._wrong(node, "len")
        typ = node.args[0].t.find()
        if is_var(typ):
            return False
        if is_("range", typ):
            self.same(node, result, typ.args[0])
        elif any(is_(kind, typ) for kind in ("list", "array", "str", "bytes", "bytearray")):
            self.same(node, result, INT32)
        else:
            raise self.error(node.func, "the argument of len() must be of an iterable type")
        return True

    def call_round(self, node: Any, result: Type) -> bool:
        """`round(float)`: an integer of whatever width is needed, else 32."""
        if len(node.args) != 1:
            raise self._wrong(node, "round")
        self.same(node, result, new_int())
        self.same(node.args[0], node.args[0].t, FLOAT)
        self._cast_later(node, lambda: self._fix(result))
        return True

    def call_abs(self, node: Any, result: Type) -> bool:
        """`abs(x)` of a number."""
        if len(node.args) != 1:
            raise self._wrong(node, "abs")
        if is_var(node.args[0].t):
            return False
        if not is_numeric(node.args[0].t):
            raise self.error(node.func, "the arguments of abs() must be of a numeric type")
        self.same(node, result, node.args[0].t)
        return True

    def call_min(self, node: Any, result: Type) -> bool:
        """`min(a, b)` of two numbers of one type."""
        if len(node.args) != 2:
            raise self._wrong(node, node.func.t.find().name)
        a, b = node.args
        self.same(b, a.t, b.t)
        if is_var(a.t):
            return False
        if not is_numeric(a.t):
            raise self.error(node.func, f"the arguments of {node.func.t.find().name}() must be of a numeric type")
        self.same(node, result, a.t)
        return True

    call_max = call_min

    def call_core_log(self, node: Any, result: Type) -> bool:
        """`core_log(...)` of anything."""
        self.same(node, result, NONE)
        return True

    def call_rtio_log(self, node: Any, result: Type) -> bool:
        """`rtio_log(channel, ...)`."""
        if not node.args:
            raise self._wrong(node, "rtio_log")
        self.same(node.args[0], node.args[0].t, STR)
        self.same(node, result, NONE)
        return True

    def call_array(self, node: Any, result: Type) -> bool:
        """`np.array(nested lists, dtype=...)`."""
        if len(node.args) != 1 or any(k.arg != "dtype" for k in node.keywords):
            raise self._wrong(node, "array")
        elt, n = node.args[0].t.find(), 0
        while is_("list", elt) or is_("range", elt) or is_("array", elt):
            n += n_dims(elt) if is_("array", elt) else 1
            elt = elt.args[0].find()
        if is_var(elt) and not _empty(node.args[0]):
            return False
        if n == 0:
            raise self.error(node.func, "the argument of array() must be of an iterable type")
        if node.keywords:
            dtype = node.keywords[0].value.t.find()
            if not isinstance(dtype, Func) or dtype.info not in _DTYPES:
                raise self.error(node.func, "dtype argument of array() must be a valid constructor")
            elt = _DTYPES[dtype.info]
        self.same(node, result, array_of(elt, n))
        return True

    def call_make_array(self, node: Any, result: Type) -> bool:
        """`np.full(shape, value)`."""
        if len(node.args) != 2:
            raise self._wrong(node, "numpy.full")
        shape, value = node.args
        if is_var(shape.t):
            return False
        n = len(shape.t.find().args) if is_("tuple", shape.t) else 1
        self.same(shape, shape.t, tuple_of([INT32] * n) if is_("tuple", shape.t) else INT32)
        self.same(node, result, array_of(value.t, n))
        return True

    def call_transpose(self, node: Any, result: Type) -> bool:
        """`np.transpose(array)`."""
        if len(node.args) != 1:
            raise self._wrong(node, "transpose")
        if is_var(node.args[0].t):
            return False
        if not is_("array", node.args[0].t):
            raise self.error(node.func, "the argument of numpy.transpose() must be an array")
        if n_dims(node.args[0].t) > 2:
            reason = "numpy.transpose() is currently only supported for up to two-dimensional arrays"
            raise self.error(node.func, reason)
        self.same(node, result, node.args[0].t)
        return True

    def math_call(self, node: Any, typ: Func, result: Type) -> bool:
        """State the rule of a NumPy function: floats, or arrays element by element."""
        name, arity, _ = MATH[typ.info]
        if len(node.args) != arity or node.keywords:
            raise self.error(node.func, f"{name} takes {arity} positional argument(s)")
        # What is not known to be an array when the call is first met is taken for a float.
        shaped = [arg for arg in node.args if is_("array", arg.t)]
        if arity == 2 and shaped:
            return self._broadcast(node, shaped, result)
        for arg in node.args:
            elt = arg.t.find().args[0] if is_("array", arg.t) else arg.t
            self.same(arg, elt, FLOAT)
        self.same(node, result, array_of(FLOAT, n_dims(shaped[0].t)) if shaped else FLOAT)
        return True

    def _broadcast(self, node: Any, shaped: list[Any], result: Type) -> bool:
        """State the rule of a function of two arrays, or of an array and a number, which may be an integer."""
        if any(is_var(arg.t) for arg in node.args):
            return False
        dims = {n_dims(arg.t) for arg in shaped}
        if len(dims) > 1:
            raise self.error(node, "the dimensions of the arrays must match")
        for arg in node.args:
            elt = arg.t.find().args[0] if is_("array", arg.t) else arg.t
            if not is_numeric(elt):
                raise self.error(arg, f"cannot coerce {arg.t} to a numeric type")
            if not is_("float", elt):
                arg.co = array_of(FLOAT, n_dims(arg.t)) if is_("array", arg.t) else FLOAT
        self.same(node, result, array_of(FLOAT, dims.pop()))
        return True

    def syscall_call(self, node: Any, typ: Func, result: Type) -> bool:
        """State the rule of a system call: exactly its annotated types."""
        function = typ.info
        signature = inspect.signature(function, eval_str=True)

        def error(reason: str) -> KernelError:
            return self.error(node.func, reason)

        params = {p.name: annotation_type(p.annotation, error) for p in signature.parameters.values()}
        if len(node.args) > len(params):
            raise self.error(node.func, f"system call {typ.name} accepts at most {len(params)} arguments")
        passed = dict(zip(params, node.args, strict=False))
        for keyword in node.keywords:
            if keyword.arg in passed:
                raise self.error(node, f"the argument '{keyword.arg}' has been passed earlier as positional")
            if keyword.arg not in params:
                raise self.error(node, f"system call {typ.name} does not accept argument '{keyword.arg}'")
            passed[keyword.arg] = keyword.value
        for name, param in params.items():
            if name not in passed:
                raise self.error(node, f"mandatory argument '{name}' is not passed")
            self.same(passed[name], passed[name].t, param)
        node.order = list(params)
        self.same(node, result, annotation_type(signature.return_annotation, error))
        return True


def _empty(node: Any) -> bool:
    """Say whether `node` is an empty list, possibly nested."""
    return isinstance(node, ast.List) and (not node.elts or _empty(node.elts[0]))
