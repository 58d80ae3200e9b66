"""Kernel functions under inference: parameters, local names, and the syntax tree that carries the types.

Every node of the tree gets an attribute `t`, its type; an operand that is widened gets `co`, the type it is widened
to; a name or attribute that stands for a host value gets `host`, a tuple of that value.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from .embed import annotation_type
from .errors import KernelError, refuse
from .scope import host_names, local_names, own_statements, parse_function
from .types import Instance, Type, Var


class Param:
    """A formal parameter; `default` is a host value (of a nested function: an expression) in a tuple, or None."""

    def __init__(self, name: str, typ: Type, default: tuple[Any] | None) -> None:
        self.name, self.type, self.default = name, typ, default


class Function:
    """One kernel function, for one class of `self` where it is a method, or one function nested in a kernel."""

    def __init__(self, node: Any, filename: str, params: list[Param], ret: Type, outer: Function | None) -> None:
        self.node, self.filename, self.params, self.ret, self.outer = node, filename, params, ret, outer
        self.names: dict[str, Any] = outer.names if outer else {}
        self.env: dict[str, Type] = {p.name: p.type for p in params}
        self.nonlocals: set[str] = set()
        self.has_return = False
        self.name: str = getattr(node, "name", "<lambda>")
        self.host: Any = None
        self.sizing = False
        self.owner: Instance | None = None
        self.nested: list[Function] = []

    @cached_property
    def assigned(self) -> frozenset[str]:
        """Return the names that the body assigns; a kernel that is called in many places is looked through once."""
        found = (n for stmt in self.node.body for n in ast.walk(stmt) if isinstance(n, ast.Name))
        return frozenset(n.id for n in found if isinstance(n.ctx, ast.Store))

    @property
    def self_name(self) -> str | None:
        """Return the name of a method's first parameter."""
        return self.params[0].name if self.owner is not None and self.params else None

    @property
    def root(self) -> Function:
        """Return the outermost function around this one, itself where it is not nested."""
        return self if self.outer is None else self.outer.root

    def bind_locals(self) -> None:
        """Give every name that the body binds a type variable."""
        for stmt in own_statements(self.node.body):
            if isinstance(stmt, ast.Nonlocal):
                self.nonlocals.update(stmt.names)
        for name in local_names(self.node.body):
            if name not in self.nonlocals:
                self.env.setdefault(name, Var())

    def error(self, node: Any, reason: str, *notes: str) -> KernelError:
        """Return the error that refuses the source at `node`."""
        return refuse(node, self.filename, reason, *notes)


def from_host(function: Callable[..., Any], owner: Instance | None) -> Function:
    """Return the kernel function that a host function is the source of."""
    embedded: Any = function.artiq_embedded.function  # type: ignore[attr-defined]
    node = parse_function(embedded)
    filename = embedded.__code__.co_filename

    def error(reason: str) -> KernelError:
        return refuse(node, filename, reason)

    if function.artiq_embedded.destination is not None:  # type: ignore[attr-defined]
        raise subkernel_refused(function)
    params = []
    texts = any(isinstance(a, str) for a in embedded.__annotations__.values())
    signature = inspect.signature(embedded, eval_str=texts)
    for p in signature.parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise error(f"variadic arguments are not supported; '{p.name}' is variadic")
        typ = Var() if p.annotation is p.empty else annotation_type(p.annotation, error)
        params.append(Param(p.name, typ, None if p.default is p.empty else (p.default,)))
    note = signature.return_annotation
    ret = Var() if note is inspect.Signature.empty else annotation_type(note, error)
    made = Function(node, filename, params, ret, None)
    made.names, made.host, made.owner = host_names(embedded), function, owner
    made.bind_locals()
    return made


def subkernel_refused(function: Callable[..., Any]) -> KernelError:
    """Return the error that refuses a subkernel."""
    embedded: Any = function.artiq_embedded  # type: ignore[attr-defined]
    code = embedded.function.__code__
    return KernelError(
        f"{embedded.function.__qualname__} is a subkernel for satellite {embedded.destination}, and subkernels are not"
        " simulated: satellites have no CPU here; make it a @kernel, or run it on hardware with ARTIQ",
        code.co_filename,
        code.co_firstlineno,
    )


def nested(node: ast.FunctionDef, outer: Function) -> Function:
    """Return the function defined by `node` inside the kernel `outer`."""
    args = node.args
    if args.vararg or args.kwarg:
        raise refuse(node, outer.filename, "variadic arguments are not supported")
    for arg in args.args:
        if arg.annotation is not None:
            raise refuse(arg, outer.filename, "type annotations are not supported here")
    mandatory = len(args.args) - len(args.defaults)
    defaults: list[tuple[Any] | None] = [None] * mandatory + [(default,) for default in args.defaults]
    params = [Param(arg.arg, Var(), default) for arg, default in zip(args.args, defaults, strict=True)]
    made = Function(node, outer.filename, params, Var(), outer)
    made.bind_locals()
    outer.nested.append(made)
    return made
