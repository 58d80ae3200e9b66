"""Constraints between types, retried until nothing moves any more.

ARTIQ's inferencer walks the program again and again until no type changes. Here each rule is stated once: at once
where its types are known, otherwise as a constraint that waits. Literals whose width nothing fixed then become 32 bit
where they fit, else 64, and what waited for them is tried once more, in the order in which ARTIQ's last walk meets it:
what is still open then, ARTIQ calls "cannot be fully inferred". Source: the rules of ARTIQ 8's inferencer and integer
monomorphizers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import KernelError
from .types import INT32, INT64, Type, Var, is_, unify, width

Constraint = Callable[[], bool]


class Solver:
    """Hold what is not decided yet."""

    def __init__(self) -> None:
        self.pending: list[tuple[Any, Constraint]] = []  # with the function that they are about
        self.literals: list[tuple[Type, int, KernelError]] = []
        self.casts: list[tuple[Any, int, int, Callable[[], None]]] = []  # by place: an outer cast decides first
        self.pulls: list[Callable[[], bool]] = []
        self.tree: list[Any] = []  # the functions in the order of ARTIQ's walk
        self.current: Any = None

    def when(self, constraint: Constraint) -> None:
        """Apply a constraint, which returns True once it has nothing left to say, now and as often as needed."""
        if not constraint():
            self.later(constraint)

    def later(self, constraint: Constraint) -> None:
        """Apply a constraint at the next walk."""
        self.pending.append((self.current, constraint))

    def literal(self, typ: Type, value: int, error: KernelError) -> None:
        """Note an integer literal; `error` is raised where it does not fit 64 bits."""
        self.literals.append((typ, value, error))

    def settle(self) -> None:
        """Retry constraints until nothing moves; the constraints may bring in functions not seen before."""
        while True:
            before = Var.bound
            waiting, self.pending = self.pending, []
            moved = False
            for function, constraint in waiting:
                self.current = function
                if constraint():
                    moved = True
                else:
                    self.pending.append((function, constraint))
            for pull in self.pulls:
                moved |= pull()
            if not moved and Var.bound == before:
                return

    def solve(self) -> None:
        """Settle everything: constraints, then the widths of literals, then casts, then what waited for them."""
        self.settle()
        for typ, value, error in self.literals:
            if is_("int", typ) and width(typ) is None:
                if not -(2**63) <= value < 2**63:
                    raise error
                unify(typ, INT32 if -(2**31) <= value < 2**31 else INT64)
        place = {id(function): i for i, function in enumerate(self.tree)}
        for *_, cast in sorted(self.casts, key=lambda item: (place[id(item[0].root)], *item[1:3])):
            cast()
        for _, constraint in sorted(self.pending, key=lambda item: place[id(item[0].root)]):
            constraint()
