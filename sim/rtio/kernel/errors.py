"""What the front end says when it refuses a kernel."""

from __future__ import annotations

import builtins
from typing import Any

from atomlink.errors import UsageError


class KernelError(UsageError):
    """A kernel that ARTIQ's compiler would reject, or that is not simulated: file, line, column and the reason."""

    def __init__(
        self, reason: str, filename: str = "<kernel>", line: int = 0, column: int = 0, notes: tuple[str, ...] = ()
    ) -> None:
        self.reason, self.filename, self.line, self.column, self.notes = reason, filename, line, column, notes
        super().__init__(f"{filename}:{line}:{column + 1}: {reason}" + "".join(f" ({note})" for note in notes))


class CompilerFailure(UsageError):  # noqa: N818 - the subclasses have the names that count
    """A kernel on which ARTIQ's compiler itself fails: the subclasses have the names of what its user sees."""

    def __init__(self, reason: str, filename: str, line: int) -> None:
        super().__init__(f"{filename}:{line}: {reason}; ARTIQ's compiler fails on it without saying so")


class AssertionError(CompilerFailure, builtins.AssertionError):
    """An assertion of ARTIQ's compiler."""


class TypeError(CompilerFailure, builtins.TypeError):
    """A value of another type in ARTIQ's compiler."""


class NameError(CompilerFailure, builtins.NameError):
    """A missing name in ARTIQ's compiler."""


def refuse(node: Any, filename: str, reason: str, *notes: str) -> KernelError:
    """Return the error that refuses the source at `node`."""
    return KernelError(reason, filename, getattr(node, "lineno", 0), getattr(node, "col_offset", 0), notes)
