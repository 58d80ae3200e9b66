"""Types of host values: what a kernel sees of the objects, constants and functions of the program around it.

Every object of one class has one type; the types of an attribute must agree over all its objects that kernels reach.
Source: ARTIQ 8, behaviour of its embedding layer.
"""

from __future__ import annotations

import inspect
import types as python
import typing
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import AssertionError, KernelError
from .solver import Solver
from .types import (
    BOOL,
    BYTEARRAY,
    BYTES,
    FLOAT,
    INT32,
    INT64,
    NONE,
    STR,
    Exc,
    Func,
    Instance,
    Module,
    Type,
    Unmatched,
    Var,
    array_of,
    list_of,
    new_int,
    range_of,
    tuple_of,
    unify,
)

_DISPATCHED = type(np.sum)
_BY_HOST_TYPE: dict[Any, Type] = {
    np.int32: INT32,
    np.int64: INT64,
    float: FLOAT,
    bool: BOOL,
    str: STR,
    bytes: BYTES,
    bytearray: BYTEARRAY,
    type(None): NONE,
    None: NONE,
}
_DTYPES = {"int32": INT32, "int64": INT64, "float64": FLOAT, "bool": BOOL}
_VALUE_BUILTINS = {
    id(float): "float",
    id(np.int32): "int32",
    id(np.int64): "int64",
    id(np.array): "array",
    id(np.full): "make_array",
    id(np.transpose): "transpose",
}
_UNARY_MATH = [
    "sin",
    "cos",
    "exp",
    "exp2",
    "log",
    "log10",
    "log2",
    "fabs",
    "floor",
    "ceil",
    "trunc",
    "sqrt",
    "rint",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "expm1",
    "cbrt",
]
_BINARY_MATH = ["arctan2", "copysign", "fmax", "fmin", "hypot", "nextafter"]
MATH: dict[int, tuple[str, int, Any]] = {id(getattr(np, name)): (name, 1, getattr(np, name)) for name in _UNARY_MATH}
MATH |= {id(getattr(np, name)): (name, 2, getattr(np, name)) for name in _BINARY_MATH}


def embedded(function: Any) -> Any:
    """Return what ARTIQ's decorators say about a function; None where it is a plain host function."""
    info = getattr(function, "artiq_embedded", None)
    plain = info is None or (
        info.core_name is None
        and not info.portable
        and info.syscall is None
        and info.destination is None
        and not info.forbidden
    )
    return None if plain else info


def annotation_type(annotation: Any, error: Callable[[str], KernelError]) -> Type:
    """Return the type that an annotation means: ARTIQ's own types, NumPy's integers, Python's plain types."""
    if isinstance(annotation, type(None)) or _is_hashable(annotation) and annotation in _BY_HOST_TYPE:
        return _BY_HOST_TYPE[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and len(args) == 1:
        return list_of(annotation_type(args[0], error))
    if origin is tuple:
        return tuple_of([annotation_type(arg, error) for arg in args])
    if annotation is int:
        raise error("'int' cannot be used as an ARTIQ type. Use numpy's int32 or int64 instead.")
    found = _artiq_type(annotation)
    if found is None:
        raise error(f"type annotation '{annotation!r}' is not an ARTIQ type")
    return found


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _artiq_type(annotation: Any) -> Type | None:
    """Translate a type object of ARTIQ's language layer, real or ours."""
    typ = annotation.find() if hasattr(annotation, "find") and not isinstance(annotation, str) else annotation
    name, params = getattr(typ, "name", None), getattr(typ, "params", {})
    elt = getattr(typ, "elt", None) or params.get("elt")
    if hasattr(typ, "elts"):
        return tuple_of([_artiq_type(part) or Var() for part in typ.elts])
    if type(typ).__name__ == "TVar":
        return Var()
    if not isinstance(name, str):
        return None
    simple = {"NoneType": NONE, "bool": BOOL, "float": FLOAT, "str": STR, "bytes": BYTES, "bytearray": BYTEARRAY}
    if name in simple:
        return simple[name]
    if name.startswith(("int", "numpy.int")):
        bits = getattr(typ, "width", None) or params["width"].find().value
        return {32: INT32, 64: INT64}[bits]
    kind = name.partition("(")[0].removeprefix("numpy.")
    inner = _artiq_type(elt) if elt is not None else None
    if kind == "array":
        n = getattr(typ, "num_dims", None) or params["num_dims"].value
        return array_of(inner or Var(), n)
    return {"list": list_of, "range": range_of}[kind](inner or Var()) if kind in ("list", "range") else None


class Embedding:
    """The host values that one program uses, by type."""

    def __init__(self, solver: Solver, make_function: Callable[[Any, Instance | None], Func]) -> None:
        self.solver, self.make_function = solver, make_function
        self.instances: dict[type, Instance] = {}
        self.constructors: dict[type, Type] = {}
        self.modules: dict[Any, Module] = {}
        self.read: dict[tuple[int, str], tuple[Any, str, Type]] = {}
        self._keep: dict[int, Func] = {}
        self.named_in: Any = None  # the outermost function in which a name is being looked up

    def type_of(self, value: Any, error: KernelError, literal: bool = True) -> Type:
        """Return the type of a host value; integers may take either width where `literal`."""
        if value is None:
            return NONE
        if isinstance(value, bool | np.bool_):
            return BOOL
        if isinstance(value, int) and not isinstance(value, bool):
            typ = new_int()
            self.solver.literal(typ, value, error)
            return typ if literal else self._sized(value, error)
        host = type(value)
        if host in _BY_HOST_TYPE:
            return _BY_HOST_TYPE[host]
        if isinstance(value, float):
            return FLOAT
        if isinstance(value, list):
            return list_of(self._common([self.type_of(elt, error, literal) for elt in value], error))
        if isinstance(value, tuple):
            return tuple_of([self.type_of(elt, error, literal) for elt in value])
        if isinstance(value, np.ndarray):
            return self._array(value, error)
        return self._special(value, error)

    def _sized(self, value: int, error: KernelError) -> Type:
        if not -(2**63) <= value < 2**63:
            raise error
        return INT32 if -(2**31) <= value < 2**31 else INT64

    def _common(self, elts: list[Type], error: KernelError) -> Type:
        common: Type = Var()
        for elt in elts:
            try:
                unify(common, elt)
            except Unmatched as e:
                raise KernelError(str(e), error.filename, error.line, error.column) from None
        return common

    def _array(self, value: np.ndarray[Any, Any], error: KernelError) -> Type:
        if value.dtype.name not in _DTYPES:  # its elements are objects that a kernel can only pass on
            objects = [self.type_of(elt, error, False) for elt in value.reshape(-1)]
            return array_of(self._common(objects, error), value.ndim)
        return array_of(_DTYPES[value.dtype.name], value.ndim)

    def _special(self, value: Any, error: KernelError) -> Type:
        """Return the type of a function, class, module or object."""
        if id(value) in _VALUE_BUILTINS:
            name = _VALUE_BUILTINS[id(value)]
            return Func("builtin", name, name)
        if id(value) in MATH:
            return Func("math", MATH[id(value)][0], id(value))
        if inspect.ismethod(value):
            return self._bound(value, error)
        if isinstance(value, np.ufunc | _DISPATCHED):
            raise AssertionError(f"{value!r} has no counterpart in a kernel", error.filename, error.line)
        if isinstance(value, python.FunctionType | python.BuiltinFunctionType):
            return self.function_type(value, None)
        if isinstance(value, python.ModuleType):
            if value not in self.modules:
                self.modules[value] = Module(value)
            return self.modules[value]
        if isinstance(value, type):
            return self._class(value)
        return self.instance(value)

    def _class(self, cls: type) -> Type:
        if cls not in self.constructors:
            if issubclass(cls, BaseException):
                self.constructors[cls] = Exc(cls, True)
            else:
                made = Instance(cls)
                made.constructor = True
                self.constructors[cls] = made
        return self.constructors[cls]

    def instance(self, value: Any) -> Instance:
        """Return the type of an object, and note that kernels reach the object."""
        typ = self.instances.get(type(value))
        if typ is None:
            typ = self.instances[type(value)] = Instance(type(value))
            typ.invariants = set(getattr(value, "kernel_invariants", ()))
        if not any(value is known for known in typ.values):
            typ.values.append(value)
            typ.invariants &= set(getattr(value, "kernel_invariants", ()))
            for name in typ.attrs:
                self._agree(typ, value, name)
        return typ

    def _bound(self, value: Any, error: KernelError) -> Func:
        """Return the type of a bound method that is passed about as a value."""
        self_type = self._special(value.__self__, error)
        owner = self_type if isinstance(self_type, Instance) else None
        return Func("method", value.__name__, (value.__self__, self.function_type(value.__func__, owner)))

    def function_type(self, function: Any, owner: Instance | None) -> Func:
        """Return the type of a host function as a kernel calls it: kernel, RPC or system call."""
        if id(function) in MATH:
            return Func("math", MATH[id(function)][0], id(function))
        info = embedded(function)
        if info is not None and info.forbidden:
            raise KernelError(f"this function cannot be called as an RPC: {function!r} is marked host_only")
        if info is None:
            key = id(function)
            if key not in self._keep:
                self._keep[key] = Func("rpc", getattr(function, "__name__", repr(function)), Rpc(function))
            return self._keep[key]
        if info.syscall is not None:
            if id(function) not in self._keep:
                self._keep[id(function)] = Func("syscall", info.syscall, function)
            return self._keep[id(function)]
        return self.make_function(function, owner)

    def attribute(self, typ: Type, name: str, missing: Callable[[str], KernelError]) -> Type | None:
        """Return the type of attribute `name` of an object, class or module; None where the type has no attributes."""
        if isinstance(typ, Module):
            return self._module_attribute(typ, name, missing)
        if not isinstance(typ, Instance):
            return None
        if typ.constructor:
            return self._class_attribute(typ, name, missing)
        if name in typ.methods:
            return typ.methods[name]
        for value in typ.values:
            self._agree(typ, value, name, missing)
        return typ.methods.get(name) or typ.attrs.get(name)

    def _agree(self, typ: Instance, value: Any, name: str, missing: Callable[[str], KernelError] | None = None) -> None:
        """Note the type of `value.name`, which must be that of the other objects of the class."""
        key = (id(value), name)
        if key in self.read or name in typ.methods:
            return
        if not hasattr(value, name):
            reason = f"host object does not have an attribute '{name}'"
            raise missing(reason) if missing else KernelError(reason)
        attribute = getattr(value, name)
        if inspect.ismethod(attribute) and name not in getattr(value, "__dict__", {}):
            function = self.function_type(attribute.__func__, typ)
            typ.methods[name] = Func("method", name, (None, function))
            return
        error = (
            missing("attribute value is not supported") if missing else KernelError("attribute value is not supported")
        )
        found = self.type_of(attribute, error, literal=False)
        self.read[key] = (value, name, found)
        known = typ.attrs.setdefault(name, found)
        try:
            unify(known, found)
        except Unmatched:
            raise KernelError(
                f"host object has an attribute '{name}' of type {found}, which is different from previously inferred "
                f"type {known} for the same attribute",
                error.filename,
                error.line,
                error.column,
            ) from None

    def _class_attribute(self, typ: Instance, name: str, missing: Callable[[str], KernelError]) -> Type:
        if not hasattr(typ.cls, name):
            raise missing(f"host object does not have an attribute '{name}'")
        if name not in typ.attrs:
            typ.attrs[name] = self.type_of(getattr(typ.cls, name), missing("attribute value"), literal=False)
        return typ.attrs[name]

    def _module_attribute(self, typ: Module, name: str, missing: Callable[[str], KernelError]) -> Type:
        if not hasattr(typ.module, name):
            raise missing(f"host object does not have an attribute '{name}'")
        if name not in typ.attrs:
            typ.attrs[name] = self.type_of(getattr(typ.module, name), missing("attribute value"), literal=False)
        return typ.attrs[name]


class Rpc:
    """A host function that kernels call: its declared return type, and whether the kernel waits for it."""

    def __init__(self, function: Any) -> None:
        self.function = function
        info = getattr(function, "artiq_embedded", None)
        self.is_async = info is not None and "async" in info.flags
        self.ret: Type = NONE
        # The language layer's own functions (watchdog ...) are annotated for Python, not for ARTIQ.
        if isinstance(function, python.FunctionType) and function.__module__ != "artiq.language.core":
            annotation = function.__annotations__.get("return")
            if isinstance(annotation, str):
                annotation = inspect.signature(function, eval_str=True).return_annotation
            if "return" in function.__annotations__:
                self.ret = annotation_type(annotation, self._error)
        if self.is_async and self.ret is not NONE:
            raise self._error("functions that return a value cannot be defined as async RPCs")

    def _error(self, reason: str) -> KernelError:
        code = self.function.__code__
        return KernelError(reason, code.co_filename, code.co_firstlineno)
