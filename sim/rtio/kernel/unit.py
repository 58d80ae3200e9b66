"""The Python that a typed program becomes: one namespace, its functions written when they are first called.

The namespace is executed; its only source is the kernel's own syntax tree, which the user's program already contains.
"""

from __future__ import annotations

import ast
import logging
import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from sim.rtio.burst import Step, burst
from sim.rtio.counting import counting

from . import arrays as ar
from . import exceptions
from . import numbers as nb
from . import sequences as sq
from .codegen import Writer
from .embed import MATH, Rpc
from .functions import Function
from .known import plain
from .program import Program
from .rpc import returned, to_host, to_kernel
from .types import Func, Instance, Type

_core_logger = logging.getLogger("core_log")
# Python's own functions are the C library's, as the core device's are; NumPy has some of its own.
_FROM_C = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "log": math.log, "log10": math.log10,
    "log2": math.log2, "sqrt": math.sqrt, "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "arcsinh": math.asinh, "arccosh": math.acosh,
    "arctanh": math.atanh, "expm1": math.expm1,
}  # fmt: skip
_SPECIAL_MATH = {"rint": nb.rint, "fabs": math.fabs, "arctan2": math.atan2}


def _from_c(function: Callable[[float], float], ufunc: Any) -> Callable[[float], float]:
    """Return a function of the C library, with infinities and NaN in place of Python's exceptions."""

    def apply(value: float) -> float:
        try:
            return function(value)
        except (ValueError, OverflowError):
            with np.errstate(all="ignore"):
                return float(ufunc(value))

    return apply


def core_log(*values: Any) -> None:
    """Write to the core device's log."""
    _core_logger.info(" ".join(map(str, values)))


def reordered(function: Callable[..., Any], order: Sequence[int], *args: Any) -> Any:
    """Call a function with its arguments in another order than that in which they were evaluated."""
    return function(*[args[i] for i in order])


def base_namespace() -> dict[str, Any]:
    """Return the engine's names, to which a program adds its own."""
    helpers: list[Callable[..., Any]] = [
        nb.wrap32, nb.wrap64, nb.floordiv, nb.mod, nb.truediv, nb.floatfloordiv, nb.floatmod, nb.unchecked_floordiv,
        nb.unchecked_mod, nb.unchecked_truediv, nb.unchecked_floatfloordiv, nb.unchecked_floatmod, nb.intpow, nb.power,
        nb.lshift32, nb.lshift64, nb.rshift, nb.truncate, nb.truncate32, nb.round_away, nb.round_away32, nb.lesser,
        nb.greater, nb.magnitude, nb.nonzero, sq.device_range, sq.Range, sq.up_to, sq.length, sq.get, sq.put,
        sq.get_slice, sq.put_slice, sq.unpack, sq.repeat, sq.compare, ar.get_number, ar.get_row, ar.put_number,
        ar.new_array, ar.array_op, ar.array_negative, ar.matmul, ar.as_floats, core_log, reordered,
        exceptions.new_exception, exceptions.exactly, exceptions.exactly_own, exceptions.anything,
        exceptions.in_flight, exceptions.passing, exceptions.passed_by, exceptions.assertion,
    ]  # fmt: skip
    names: dict[str, Any] = {"_K" + helper.__name__: helper for helper in helpers}
    python: list[Any] = [bool, float, list, range, len, abs, min, max]
    names |= {"_K" + thing.__name__: thing for thing in python}
    names |= {"_KLt": operator.lt, "_KLtE": operator.le, "_KGt": operator.gt, "_KGtE": operator.ge, "_KEq": operator.eq}
    names |= {
        "_Kpartial": partial,
        "_Kmissing": object(),
        "_Knp": np,
        "_Kcopyto": np.copyto,
        "_Kfull": np.full,
        "_Ktranspose": np.transpose,
    }
    return names


def _quiet(ufunc: Any) -> Callable[..., float]:
    """Return a NumPy function of plain floats that does not warn."""

    def apply(*args: float) -> float:
        with np.errstate(all="ignore"):
            return float(ufunc(*args))

    return apply


class Unit:
    """One program as Python; `engine` provides system calls, RPCs, costs and the meaning of time."""

    def __init__(self, program: Program, engine: Any) -> None:
        self.program, self.engine = program, engine
        self.written = program.written
        self.names = base_namespace() | engine.namespace() | {"_Kcallable": self.callable}
        self._functions: dict[tuple[int, int], str] = {}
        self._objects: dict[int, str] = {}
        self._shared: dict[int, Any] = {}
        self.handlers = 0
        self._rpcs = 0

    # What writers ask for

    def object(self, value: Any) -> ast.expr:
        """Return an expression for a host object."""
        name = self._objects.get(id(value))
        if name is None:
            name = self._objects[id(value)] = f"_Ko{len(self._objects)}"
            self.names[name] = value
        return ast.Name(id=name, ctx=ast.Load())

    def default(self, value: Any, typ: Type) -> ast.expr:
        """Return an expression for the default value of a parameter; what can be changed is made anew each time."""
        value = plain(value, typ)
        if value is None or isinstance(value, bool | int | str) or isinstance(value, float) and math.isfinite(value):
            return ast.Constant(value=value)
        if isinstance(value, list | tuple | np.ndarray):
            return ast.Call(func=self.object(partial(to_kernel(typ), value)), args=[], keywords=[])
        return self.object(value)

    def shared(self, value: Any, typ: Type) -> ast.expr:
        """Return an expression for a list or array of the host of which elements are only read."""
        key = id(value)
        if key not in self._shared:
            self._shared[key] = to_kernel(typ)(value)
        return self.object(self._shared[key])

    def callable(self, value: Any) -> Any:
        """Return the function that a kernel calls where a host function came to it as a value, as in a list."""
        function = getattr(value, "__func__", value)
        if getattr(function, "artiq_embedded", None) is None:
            return value
        bound = getattr(value, "__self__", None)
        owner = None if bound is None else self.program.embedding.instances[type(bound)]
        callee = self.program.functions[(id(function), id(owner))].info
        return self.names[self.function(callee, None if bound is None else (bound,))]

    def to_mu(self, seconds: float) -> int:
        """Return a delay in machine units."""
        return int(self.engine.to_mu(seconds))

    def to_whole_mu(self, seconds: float) -> int:
        """Return a delay in machine units as interleaving has it: without what is left over."""
        return int(seconds / self.engine.ref_period)

    def instance(self, value: Any) -> Instance:
        """Return the type of an object."""
        return self.program.embedding.instance(value)

    def syscall(self, name: str, node: Any, function: Function) -> str:
        """Return the name of a system call's implementation."""
        key = "_Ksys_" + name
        if key not in self.names:
            raise function.error(
                node, f"system call '{name}' is not simulated; the engine knows {self.engine.syscall_names()}"
            )
        return key

    def burst(self, steps: Sequence[Step]) -> str:
        """Return the name of a function that submits output events with these delays before them, at once."""
        name = f"_Kburst{len(self.names)}"
        self.names[name] = burst(self.engine.bus, steps)
        return name

    def counting(self, channel: int, most: int) -> str:
        """Return the name of a function that counts the input events of a channel up to a time, on from a number."""
        name = f"_Kcount_{channel:#x}_{most:#x}"
        if name not in self.names:
            self.names[name] = counting(self.engine.bus, channel, most)
        return name

    def math(self, typ: Func) -> str:
        """Return the name of a mathematical function of plain floats."""
        name, _, ufunc = MATH[typ.info]
        key = "_Kmath_" + name
        if key not in self.names:
            special = _SPECIAL_MATH.get(name)
            made = _from_c(_FROM_C[name], ufunc) if name in _FROM_C else special or _quiet(ufunc)
            self.names[key] = made
        return key

    def math_array(self, typ: Func) -> Any:
        """Return a mathematical function of arrays."""
        return np.vectorize(self.names[self.math(typ)], otypes=[float])

    def cost_of(self, known_self: Any, callee: Function) -> int | None:
        """Return what a whole call of this method costs, None where its events are charged one by one."""
        owner = callee.owner.cls if callee.owner is not None else type(known_self)
        cost: int | None = self.engine.method_cost(owner, callee.name)
        return cost

    def rpc(self, rpc: Rpc, types: list[Type], keywords: dict[str, Type]) -> str:
        """Return the name of a function that carries out one RPC call site."""
        self._rpcs += 1
        name = f"_Kr{self._rpcs}"
        converts = [to_host(typ) for typ in types]
        by_name = {key: to_host(typ) for key, typ in keywords.items()}
        receive = returned(rpc.ret, rpc.function)
        engine, function, is_async = self.engine, rpc.function, rpc.is_async

        def site(*args: Any, **kwargs: Any) -> Any:
            sent = [convert(arg) for convert, arg in zip(converts, args, strict=True)]
            named = {key: by_name[key](value) for key, value in kwargs.items()}
            return engine.call_host(function, sent, named, receive, is_async)

        self.names[name] = site
        return name

    def function(self, callee: Function, known_self: Any) -> str:
        """Return the name of a kernel function, written for one object where its self is known."""
        specific = id(known_self[0]) if known_self is not None else 0
        key = (id(callee), specific)
        name = self._functions.get(key)
        if name is None:
            name = self._functions[key] = f"_Kf{len(self._functions)}_{callee.name}"
            self.names[name] = self._lazy(name, callee, known_self)
        return name

    # Writing

    def _lazy(self, name: str, callee: Function, known_self: Any) -> Callable[..., Any]:
        """Return a stand-in that writes the function at its first call."""

        def first(*args: Any, **kwargs: Any) -> Any:
            return self.write(name, callee, known_self)(*args, **kwargs)

        return first

    def write(self, name: str, callee: Function, known_self: Any) -> Callable[..., Any]:
        """Write one function and put it into the namespace."""
        given = {} if known_self is None else {callee.params[0].name: known_self}
        made = Writer(callee, self, given).function_def(name)
        module = ast.Module(body=[made], type_ignores=[])
        exec(compile(module, callee.filename, "exec"), self.names)  # noqa: S102 - the user's own kernel, see above
        function: Callable[..., Any] = self.names[name]
        if known_self is not None or callee.owner is not None:
            cost = self.cost_of(known_self[0] if known_self else None, callee)
            if cost is not None:
                function = self.names[name] = self.engine.charged(function, cost)
        return function

    def check_interleaving(self) -> None:
        """Write every function that interleaves once, so that a refusal comes before the kernel runs."""
        for function in self.program.order:
            if any(getattr(node, "context", None) == "interleave" for node in ast.walk(function.node)):
                Writer(function, self, {}).function_def(function.name)


__all__ = ["Unit"]
