"""The host attributes that a kernel sees: its own values while it runs, the host's while an RPC does.

ARTIQ sends attributes to the device when a kernel starts and writes them back when it ends normally. So an RPC sees
the values from before the kernel, what an RPC changes is not seen by the kernel, and a kernel that ends with an
exception changes nothing. Here the values are swapped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel.program import Program, is_state
from .kernel.rpc import to_host, to_kernel
from .kernel.types import Instance, Type, is_


class State:
    """The attributes of one program's objects."""

    def __init__(self, program: Program) -> None:
        self._cells: list[tuple[Any, str, Type, Any, Any, bool]] = []
        for value, name, typ in program.state():
            owner = program.embedding.instances.get(type(value))
            if owner is None:
                continue
            written = (owner, name) in program.written
            if written or is_state(value, name, typ, owner):
                keep = name not in owner.invariants
                self._cells.append((value, name, typ, to_kernel(typ), to_host(typ), keep))
        self._host: list[Any] = []
        self._own: list[Any] = []

    def enter(self) -> None:
        """Give the kernel its own values."""
        self._host = [getattr(obj, name) for obj, name, *_ in self._cells]
        for (obj, name, _, convert, _, _), value in zip(self._cells, self._host, strict=True):
            setattr(obj, name, convert(value))

    def to_host(self) -> None:
        """Show the host its own values, because an RPC is about to run."""
        self._own = [getattr(obj, name) for obj, name, *_ in self._cells]
        for (obj, name, *_), value in zip(self._cells, self._host, strict=True):
            setattr(obj, name, value)

    def to_kernel(self) -> None:
        """Show the kernel its own values again; what the RPC set is kept for the case that the kernel fails."""
        for i, ((obj, name, *_), value) in enumerate(zip(self._cells, self._own, strict=True)):
            self._host[i] = getattr(obj, name)
            setattr(obj, name, value)

    def leave(self, normally: bool) -> None:
        """Write the kernel's values back, or restore the host's."""
        for (obj, name, typ, _, convert, keep), host in zip(self._cells, self._host, strict=True):
            if not normally or not keep:
                setattr(obj, name, host)
                continue
            setattr(obj, name, _written_back(getattr(obj, name), host, typ, convert))


def _written_back(value: Any, host: Any, typ: Type, convert: Any) -> Any:
    """Return what the host finds in an attribute: NumPy's numbers; its own list or array where nothing changed."""
    if is_("array", typ):
        return host if isinstance(host, np.ndarray) and np.array_equal(value, host) else value
    if is_("list", typ):
        return host if list(host) == value else convert(value)
    if isinstance(typ.find(), Instance):
        return value
    return convert(value)
