"""Exceptions that the core device raises, and the Python exceptions that kernels may raise.

Class names are ARTIQ's. `artiq_builtin` marks those that the device's own runtime raises, as in ARTIQ.
"""

# ruff: noqa: N818 - the names are ARTIQ's

import builtins
import linecache
from collections.abc import Iterable, Sequence
from typing import Any

AssertionError = builtins.AssertionError
AttributeError = builtins.AttributeError
IndexError = builtins.IndexError
IOError = builtins.IOError
KeyError = builtins.KeyError
NotImplementedError = builtins.NotImplementedError
OverflowError = builtins.OverflowError
RuntimeError = builtins.RuntimeError
TimeoutError = builtins.TimeoutError
TypeError = builtins.TypeError
ValueError = builtins.ValueError
ZeroDivisionError = builtins.ZeroDivisionError
OSError = builtins.OSError


class InternalError(Exception):
    """The runtime met a condition that must not occur."""

    artiq_builtin = True


class CacheError(Exception):
    """A cache row was put while a kernel still holds what it got from that row."""

    artiq_builtin = True


class RTIOUnderflow(Exception):
    """An output event was submitted too late for its time stamp; the event is discarded, the core goes on."""

    artiq_builtin = True


class RTIOOverflow(Exception):
    """An input FIFO was full and dropped events; this read is cancelled, later reads work."""

    artiq_builtin = True


class RTIODestinationUnreachable(Exception):
    """An RTIO operation went to a destination that no link reaches."""

    artiq_builtin = True


class DMAError(Exception):
    """A DMA operation is invalid: unknown trace, stale handle, nested recording."""

    artiq_builtin = True


class SubkernelError(Exception):
    """A subkernel operation is invalid or cannot be completed."""

    artiq_builtin = True


class ClockFailure(Exception):
    """The RTIO PLL has lost lock."""

    artiq_builtin = True


class I2CError(Exception):
    """An I2C transaction failed."""

    artiq_builtin = True


class SPIError(Exception):
    """An SPI transaction failed."""

    artiq_builtin = True


class UnwrapNoneError(Exception):
    """A None option was unwrapped."""

    artiq_builtin = True


class CoreException:
    """What is known of an exception that went through the core device, for messages.

    `exceptions` holds tuples (name, message, params, file, line, column, function), the first being the one that
    reached the host; `name` may carry ARTIQ's numeric id in front, as in "0:RTIOUnderflow".
    `exception_info[i][1]` is the index in `traceback` at which the trace of exception i starts;
    `traceback` holds tuples (file, line, column, function, address, inlined).
    """

    def __init__(
        self,
        exceptions: Sequence[Sequence[Any]],
        exception_info: Sequence[Sequence[int]],
        traceback: Iterable[Sequence[Any]],
        stack_pointers: Sequence[int],
    ) -> None:
        self.exceptions = exceptions
        self.exception_info = exception_info
        self.traceback = list(traceback)
        self.stack_pointers = stack_pointers
        self.id, self.name = _split_name(exceptions[0][0])
        self.message = exceptions[0][1]
        self.params = exceptions[0][2]

    def single_traceback(self, exception_index: int) -> str:
        """Return the trace of one exception, most recent call first reading from the bottom."""
        exception = self.exceptions[exception_index]
        ident, name = _split_name(exception[0])
        frames = self.traceback[self.exception_info[exception_index][1] :]
        lines = ["Traceback (most recent call first):"]
        for file, line, column, function, *_ in [*reversed(frames), tuple(exception[3:7])]:
            place = f"line {line}" if column == -1 else f"line {line}, column {column + 1}"
            lines.append(f'  File "{file}", {place}, in {function}')
            lines.append(f"    {linecache.getline(file, line).strip() or '<unknown>'}")
        lines.append(f"{name}({ident}): {exception[1].format(*exception[2])}")
        return "\n".join(lines)

    def __str__(self) -> str:
        between = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        traces = between.join(self.single_traceback(i) for i in range(len(self.exceptions)))
        return f"Core Device Traceback:\n{traces}\n\nEnd of Core Device Traceback\n"


def _split_name(name: str) -> tuple[int, str]:
    """Split ARTIQ's "id:name" into its two parts."""
    ident, colon, rest = name.partition(":")
    return (int(ident), rest) if colon else (0, name)
