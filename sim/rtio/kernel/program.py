"""A kernel and everything that it calls, typed and checked, ready to be written as Python.

Typing covers the whole program at once, as in ARTIQ: what a function does with an argument decides the type of a
literal in its caller.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from . import checks, validate
from .embed import Embedding
from .functions import Function, from_host
from .infer import Inferer
from .solver import Solver
from .types import NONE, Exc, Func, Instance, Module, Type, Unmatched, unify


class Program:
    """The typed program behind one call of a kernel from the host."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.solver = Solver()
        self.embedding = Embedding(self.solver, self._function)
        self.functions: dict[tuple[int, int], Func] = {}
        self.order: list[Function] = []
        self._waiting: list[Function] = []
        self.solver.pulls.append(self._pull)
        self.entry: Function = self._entry(function, args, kwargs)
        self.solver.solve()
        self.written = self._written()
        for made in self.order:
            validate.monomorphic(made)
            checks.check(made)
            validate.comparisons(made)
            validate.array_operations(made)

    def _function(self, function: Any, owner: Instance | None) -> Func:
        """Return the type of a kernel function, for the class `owner`; type it soon if that has not been done."""
        key = (id(function), id(owner))
        known = self.functions.get(key)
        if known is not None:
            return known
        made = from_host(function, owner)
        tree, named_in = self.solver.tree, self.embedding.named_in
        # ARTIQ reads a function that another one names before that one is complete, a method when it meets a call.
        tree.insert(tree.index(named_in) if named_in in tree else len(tree), made)
        self.functions[key] = typ = Func("kernel", made.name, made)
        if owner is not None and made.params:
            unify(made.params[0].type, owner)
        self._waiting.append(made)
        return typ

    def _pull(self) -> bool:
        """Type the functions that were met since the last time."""
        waiting, self._waiting = self._waiting, []
        for function in waiting:
            self.order.append(function)
            Inferer(function, self.embedding, self.solver, first=len(self.order) == 1).run()
        return bool(waiting)

    def _entry(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function:
        """Return the function that the host calls, its parameters typed by the values passed."""
        owner = None
        if args and getattr(type(args[0]), getattr(function, "__name__", ""), None) is function:
            owner = self.embedding.instance(args[0])
        entry: Function = self._function(function, owner).info
        self.arguments(entry, args, kwargs)
        return entry

    def arguments(self, entry: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Unify the entry's parameters with the types of the host's values."""
        if len(args) > len(entry.params):
            raise entry.error(entry.node, f"this function accepts at most {len(entry.params)} arguments")
        names = {param.name for param in entry.params}
        for name in kwargs:
            if name not in names:
                raise entry.error(entry.node, f"this function does not accept argument '{name}'")
        for i, param in enumerate(entry.params):
            if i >= len(args) and param.name not in kwargs:
                if param.default is None:
                    raise entry.error(entry.node, f"mandatory argument '{param.name}' is not passed")
                continue
            value = args[i] if i < len(args) else kwargs[param.name]
            error = entry.error(entry.node, f"the value of argument '{param.name}' is not supported in a kernel")
            try:
                unify(param.type, self.embedding.type_of(value, error))
            except Unmatched as e:
                raise entry.error(entry.node, f"argument '{param.name}': {e}") from None

    def _written(self) -> set[tuple[Instance, str]]:
        """Return the attributes that some kernel of the program assigns."""
        found: set[tuple[Instance, str]] = set()
        for function in self.order:
            for node in ast.walk(function.node):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    owner = node.value.t.find()  # type: ignore[attr-defined]
                    if isinstance(owner, Instance):
                        found.add((owner, node.attr))
        return found

    def state(self) -> list[tuple[Any, str, Type]]:
        """Return the host attributes that the program reads or writes: object, name, type."""
        return list(self.embedding.read.values())


def is_state(value: Any, name: str, typ: Type, owner: Instance) -> bool:
    """Say whether a kernel needs a value of its own of an attribute: one that is not constant, or not plain."""
    if isinstance(typ.find(), Func | Instance | Module | Exc) or typ.find() is NONE and name in owner.invariants:
        return False
    plain = type(getattr(value, name)) in (int, float, bool, str)
    return name not in owner.invariants or not plain


def signature(value: Any) -> Any:
    """Return what of a host value decides its type, so that a typed program can be used again."""
    kind = type(value)
    if kind is int:
        return 32 if -(2**31) <= value < 2**31 else 64
    if kind is list or kind is tuple:
        return (kind, *_squeezed([signature(elt) for elt in value], kind))
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        return kind, dtype.str, getattr(value, "ndim", 0)
    if kind in (float, bool, str, bytes, type(None)):
        return kind
    return id(value)


def _squeezed(parts: list[Any], kind: type) -> list[Any]:
    """Return the parts, for a list only those that differ: its length does not matter, whether it is empty does."""
    if kind is tuple or not parts:
        return parts
    first = parts[0]
    return [first] if all(part == first for part in parts) else parts
