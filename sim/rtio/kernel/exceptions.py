"""Exceptions of kernels: what a handler catches, and what the host sees of one that nobody caught.

An exception that an RPC raised comes into the kernel by the name of its class; a built-in one is then caught only by
the names that ARTIQ's own language has. What leaves the kernel is made anew on the host: the class of the first
exception that was still being handled, with the message of the last. Source: ARTIQ 8, behaviour of its runtime and
of `coredevice/comm_kernel.py`.
"""

from __future__ import annotations

import builtins
import sys
from typing import Any

from atomlink.errors import LabError

_LANGUAGE = (IndexError, ValueError, ZeroDivisionError, RuntimeError)
# The built-in exceptions that ARTIQ finds when a kernel ends with one that came from the host.
_KNOWN = {
    "AssertionError", "AttributeError", "IndexError", "OSError", "KeyError", "NotImplementedError", "OverflowError",
    "RuntimeError", "TimeoutError", "TypeError", "ValueError", "ZeroDivisionError",
}  # fmt: skip


def is_foreign(cls: type) -> bool:
    """Say whether a class is a built-in exception that kernels know only by way of the host's names."""
    return cls.__module__ == "builtins" and cls not in _LANGUAGE


def new_exception(cls: type[BaseException], message: str | None = None, *params: int) -> BaseException:
    """Return an exception that a kernel raises; its message is formatted with its parameters."""
    if message is None:
        known = cls in _LANGUAGE or cls is Exception
        message = cls.__qualname__ if known else f"{cls.__module__}.{cls.__qualname__}"
    made = _made(cls, message.format(*params, *[0] * (3 - len(params))) if _formattable(message) else message)
    made._kernel = message, (*params, *[0] * (3 - len(params)))  # type: ignore[attr-defined]
    return made


def _made(cls: type[BaseException], text: str) -> BaseException:
    """Return an exception of a class that may want other arguments than a text; the host is told when it sees it."""
    try:
        return cls(text)
    except Exception:  # noqa: BLE001 - whatever the class makes of one string
        made = cls.__new__(cls)
        made.args = (text,)
        return made


def _formattable(message: str) -> bool:
    if "{" not in message and "}" not in message:
        return False
    try:
        message.format(0, 0, 0)
    except (LookupError, ValueError, AttributeError):
        return False
    return True


def exactly(cls: type[BaseException]) -> Any:
    """Return what an `except` clause must name to catch only exceptions of exactly this class."""
    error = sys.exc_info()[1]
    return _caught(error) if type(error) is cls else ()


def exactly_own(cls: type[BaseException]) -> Any:
    """Return the same for a built-in class that is not of the language: only what a kernel raised itself."""
    error = sys.exc_info()[1]
    return _caught(error) if type(error) is cls and hasattr(error, "_kernel") else ()


def anything() -> Any:
    """Return what an `except` clause must name to catch every exception."""
    return _caught(sys.exc_info()[1]) if isinstance(sys.exc_info()[1], Exception) else ()


def _caught(error: Any) -> type:
    """Note that the kernel handles an exception now, and return its class."""
    error._caught = True
    return type(error)


def in_flight() -> None:
    """Note that a `finally` runs because of an exception, if it does."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception):
        _caught(error)


def from_host(error: Exception, handled: BaseException | None) -> Exception:
    """Note of an exception that an RPC raised what the kernel was handling when it called."""
    error._handled = handled  # type: ignore[attr-defined]
    if hasattr(error, "_kernel"):  # it comes back from a kernel's run before
        del error._kernel
    return error


def seen_by_host(error: Exception, before: BaseException | None) -> Exception:
    """Return the exception that the host gets of a kernel that ended with `error`; `before` was there already."""
    chain = _chain(error, before)
    first = chain[-1]
    if isinstance(error, LabError) or len(chain) == 1 and not hasattr(error, "_kernel") and not _came_in(error):
        return error  # the engine's own
    message, _ = getattr(error, "_kernel", (str(error), ()))
    _, params = getattr(first, "_kernel", ("", (0, 0, 0)))
    cls = type(first)
    if is_foreign(cls) and _came_in(first) and cls.__name__ not in _KNOWN:
        return _because(
            AttributeError(f"module 'artiq.coredevice.exceptions' has no attribute '{cls.__qualname__}'"), error
        )
    try:
        text = message.format(*params)
        made = cls(text)
    except Exception as reason:  # noqa: BLE001 - whatever the class makes of one string
        return _because(RuntimeError(f"Exception type={cls}, which couldn't be reconstructed ({reason})"), error)
    assert isinstance(made, Exception)
    return error if type(error) is cls and str(made) == str(error) else _because(made, error)


def _came_in(error: BaseException) -> bool:
    return hasattr(error, "_handled")


def _because(made: Exception, error: Exception) -> Exception:
    made.__cause__ = error
    return made


def _chain(error: BaseException, before: BaseException | None) -> list[BaseException]:
    """Return an exception and those that the kernel still handled when it was raised, the last one first."""
    chain = [error]
    while True:
        here = chain[-1]
        quiet = here.__suppress_context__ or here.__cause__ is not None
        outer = here._handled if hasattr(here, "_handled") else None if quiet else here.__context__
        if outer is None or outer is before or outer in chain or not hasattr(outer, "_caught"):
            return chain
        chain.append(outer)


def assertion(message: str) -> AssertionError:
    """Return what a failed assertion raises; no handler names it."""
    made = builtins.AssertionError(message)
    made._handled = sys.exc_info()[1]  # type: ignore[attr-defined]
    return made
