"""Types of the kernel language and their unification.

A type is a `Type` (a name and parameters) or a `Var` (not known yet). Integers are `int` with a width parameter; the
width of a literal is a variable until something fixes it. Source: ARTIQ 8 manual, "Compiler"; the compiler's
behaviour on file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Unmatched(Exception):  # noqa: N818 - not an error yet: the rule that meets it makes one
    """Two types that must be the same are not."""

    def __init__(self, left: Type, right: Type) -> None:
        super().__init__(f"cannot unify {left} with {right}")
        self.left, self.right = left, right


class Type:
    """A type: name and parameters. Identity matters for classes and functions, which carry no parameters."""

    __slots__ = ("name", "args")
    same: Callable[[Type], bool]

    def __init__(self, name: str, args: tuple[Type, ...] = ()) -> None:
        self.name, self.args = name, args

    def find(self) -> Type:
        """Return what this type stands for."""
        return self

    def __str__(self) -> str:
        return show(self)


class Var(Type):
    """A type that is not known yet."""

    __slots__ = ("link",)
    bound = 0  # counts bindings of all variables, so that a solver sees progress

    def __init__(self) -> None:
        super().__init__("?")
        self.link: Type | None = None

    def find(self) -> Type:
        """Return what this variable is bound to, or itself."""
        here: Type = self
        while isinstance(here, Var) and here.link is not None:
            here = here.link
        if here is not self:
            self.link = here
        return here


class Instance(Type):
    """A host class. `values` are its objects that kernels reach, `attrs` and `methods` what kernels use of them."""

    __slots__ = ("cls", "values", "attrs", "methods", "invariants", "constructor")

    def __init__(self, cls: type) -> None:
        super().__init__(f"{cls.__module__}.{cls.__qualname__}")
        self.cls = cls
        self.values: list[Any] = []
        self.attrs: dict[str, Type] = {}
        self.methods: dict[str, Type] = {}
        self.invariants: set[str] = set()
        self.constructor = False


class Module(Type):
    """A host module; its attributes are typed as they are used."""

    __slots__ = ("module", "attrs")

    def __init__(self, module: Any) -> None:
        super().__init__(module.__name__)
        self.module = module
        self.attrs: dict[str, Type] = {}


class Exc(Type):
    """An exception class, or (with `constructor`) a value of it."""

    __slots__ = ("cls", "constructor")

    def __init__(self, cls: type, constructor: bool) -> None:
        super().__init__(cls.__qualname__)
        self.cls, self.constructor = cls, constructor


class Func(Type):
    """A callable: `kind` is kernel, rpc, syscall, builtin, math, method; `info` is what the kind needs."""

    __slots__ = ("kind", "info")

    def __init__(self, kind: str, name: str, info: Any) -> None:
        super().__init__(name)
        self.kind, self.info = kind, info


WIDTH32, WIDTH64 = Type("32"), Type("64")
INT32, INT64 = Type("int", (WIDTH32,)), Type("int", (WIDTH64,))
FLOAT, BOOL, STR, NONE = Type("float"), Type("bool"), Type("str"), Type("NoneType")
BYTES, BYTEARRAY = Type("bytes"), Type("bytearray")
BYTE = Type("int", (Type("8"),))
_DIMS: dict[int, Type] = {}


def dims(n: int) -> Type:
    """Return the type-level number `n` of dimensions."""
    return _DIMS.setdefault(n, Type(str(n)))


def new_int() -> Type:
    """Return an integer type whose width is not known yet."""
    return Type("int", (Var(),))


def list_of(elt: Type) -> Type:
    """Return the type of a list."""
    return Type("list", (elt,))


def array_of(elt: Type, n: int) -> Type:
    """Return the type of a NumPy array of `n` dimensions."""
    return Type("array", (elt, dims(n)))


def range_of(elt: Type) -> Type:
    """Return the type of a range."""
    return Type("range", (elt,))


def tuple_of(elts: list[Type]) -> Type:
    """Return the type of a tuple."""
    return Type("tuple", tuple(elts))


def is_(kind: str, typ: Type) -> bool:
    """Say whether `typ` is a type named `kind` (int, float, list, tuple ...)."""
    typ = typ.find()
    return type(typ) is Type and typ.name == kind


def is_var(typ: Type) -> bool:
    """Say whether `typ` is not known yet."""
    return isinstance(typ.find(), Var)


def is_numeric(typ: Type) -> bool:
    """Say whether `typ` is an integer or a float."""
    return is_("int", typ) or is_("float", typ)


def width(typ: Type) -> int | None:
    """Return the width of an integer type, None while it is not known."""
    w = typ.find().args[0].find()
    return None if isinstance(w, Var) else int(w.name)


def n_dims(typ: Type) -> int:
    """Return the number of dimensions of an array type."""
    return int(typ.find().args[1].find().name)


def has_var(typ: Type) -> bool:
    """Say whether a variable is left anywhere in `typ`."""
    typ = typ.find()
    return isinstance(typ, Var) or any(has_var(arg) for arg in typ.args)


def _occurs(var: Var, typ: Type) -> bool:
    typ = typ.find()
    return typ is var or any(_occurs(var, arg) for arg in typ.args)


def unify(left: Type, right: Type) -> None:
    """Make two types the same by binding variables; raise Unmatched where they differ."""
    left, right = left.find(), right.find()
    if left is right:
        return
    if isinstance(left, Var) or isinstance(right, Var):
        var, other = (left, right) if isinstance(left, Var) else (right, left)
        assert isinstance(var, Var)
        if _occurs(var, other):
            raise Unmatched(left, right)
        var.link = other
        Var.bound += 1
    elif isinstance(left, Func) and isinstance(right, Func):
        _unify_functions(left, right)
    elif type(left) is not Type or type(right) is not Type:
        if not _same_special(left, right):
            raise Unmatched(left, right)
    elif left.name != right.name or len(left.args) != len(right.args):
        raise Unmatched(left, right)
    else:
        for a, b in zip(left.args, right.args, strict=True):
            unify(a, b)


def _unify_functions(left: Func, right: Func) -> None:
    """Make two functions interchangeable: kernels whose parameters have the same names and can have the same types."""
    if left.kind != right.kind:
        raise Unmatched(left, right)
    if left.kind == "method":
        unify(left.info[1], right.info[1])
    elif left.kind == "kernel" and left.info is not right.info:
        mine, other = left.info.params, right.info.params
        if [(p.name, p.default is None) for p in mine] != [(p.name, p.default is None) for p in other]:
            raise Unmatched(left, right)
        for a, b in zip(mine, other, strict=True):
            unify(a.type, b.type)
        unify(left.info.ret, right.info.ret)
    elif left.info is not right.info and left.info != right.info:
        raise Unmatched(left, right)


def _same_special(left: Type, right: Type) -> bool:
    """Say whether two classes or exceptions are one."""
    if isinstance(left, Exc) and isinstance(right, Exc):
        return left.cls is right.cls and left.constructor == right.constructor
    return False


def allocated(typ: Type) -> bool:
    """Say whether a value of `typ` lives in memory that a function's end frees (lists, arrays, strings, objects)."""
    typ = typ.find()
    if isinstance(typ, Func):
        return typ.kind == "method" or typ.kind == "kernel" and _takes_allocated(typ)
    if isinstance(typ, Module):
        return False
    if type(typ) is Type and typ.name in ("NoneType", "bool", "int", "float", "range", "32", "64", "8"):
        return False
    if is_("tuple", typ):
        return any(allocated(arg) for arg in typ.args)
    return not (type(typ) is Type and typ.name.isdigit())


def _takes_allocated(typ: Func) -> bool:
    """Say whether a function takes or returns something allocated, which makes it such a value itself."""
    if typ.info.sizing:  # a recursion adds nothing
        return False
    typ.info.sizing = True
    found = any(allocated(part) for part in (*(p.type for p in typ.info.params), typ.info.ret))
    typ.info.sizing = False
    return found


def show(typ: Type) -> str:
    """Return the name by which ARTIQ's messages call the type."""
    typ = typ.find()
    if isinstance(typ, Var):
        return "'a"
    if isinstance(typ, Instance):
        return f"<constructor {typ.name}>" if typ.constructor else f"<instance {typ.name}>"
    if isinstance(typ, Func):
        return f"<{typ.kind} {typ.name}>"
    if isinstance(typ, Module | Exc):
        return f"<{type(typ).__name__.lower()} {typ.name}>"
    if typ.name == "int":
        w = width(typ)
        return "numpy.int?" if w is None else f"numpy.int{w}"
    if typ.name in ("list", "range"):
        return f"{typ.name}(elt={show(typ.args[0])})"
    if typ.name == "array":
        return f"numpy.array(elt={show(typ.args[0])}, num_dims={show(typ.args[1])})"
    if typ.name == "tuple":
        return "(" + ", ".join(map(show, typ.args)) + ("," if len(typ.args) == 1 else "") + ")"
    return typ.name
