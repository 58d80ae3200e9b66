"""Exceptions of kernels: what a handler catches, and what the host sees of one that nobody caught.

An exception that an RPC raised comes into the kernel by the name of its class; a built-in one is then caught only by
the names that ARTIQ's own language has. What leaves the kernel is made anew on the host: the class of the first
exception that was still being handled, with the message of the last. Source: ARTIQ 8, behaviour of its runtime and
of `coredevice/comm_kernel.py`.
"""

from __future__ import annotations

import builtins
import math
import sys
import time
from typing import Any

from atomlink.errors import LabError

_MOST = 10  # exceptions at a time on the device
_LANGUAGE = (IndexError, ValueError, ZeroDivisionError, RuntimeError)
# The built-in exceptions that ARTIQ finds when a kernel ends with one that came from the host.
_KNOWN = {
    "AssertionError", "AttributeError", "IndexError", "OSError", "KeyError", "NotImplementedError", "OverflowError",
    "RuntimeError", "TimeoutError", "TypeError", "ValueError", "ZeroDivisionError",
}  # fmt: skip


class HostFailure(BaseException):
    """The host cannot go on with an RPC: the run ends with the exception `error`, which no kernel can catch."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


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


left_behind: list[BaseException] = []  # of the run that goes on: exceptions that stay on the device's stack


def exactly(cls: type[BaseException], here: int, around: tuple[int, ...]) -> Any:
    """Return what an `except` clause must name to catch only exceptions of exactly this class.

    `here` is the number of the handler, `around` those of the handlers that it is in.
    """
    error = sys.exc_info()[1]
    return _caught(error, here, around) if type(error) is cls else ()


def exactly_own(cls: type[BaseException], here: int, around: tuple[int, ...]) -> Any:
    """Return the same for a built-in class that is not of the language: only what a kernel raised itself."""
    error = sys.exc_info()[1]
    return _caught(error, here, around) if type(error) is cls and hasattr(error, "_kernel") else ()


def anything(here: int, around: tuple[int, ...]) -> Any:
    """Return what an `except` clause must name to catch every exception."""
    error = sys.exc_info()[1]
    return _caught(error, here, around) if isinstance(error, Exception) else ()


def in_flight(here: int, around: tuple[int, ...]) -> None:
    """Note that a `finally` runs because of an exception, if it does."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and not hasattr(error, "_caught"):
        _caught(error, here, around)


def passing(cls: type[BaseException] | None, finals: tuple[int, ...]) -> Any:
    """Return what an `except` clause must name to note which `finally` an exception of a class passes by."""
    error: Any = sys.exc_info()[1]
    if not isinstance(error, Exception) or cls is not None and type(error) is not cls:
        return ()
    error._passes = finals  # type: ignore[attr-defined]
    return type(error)


def passed_by(final: int) -> bool:
    """Say whether the exception in flight passes by a `finally`."""
    return final in getattr(sys.exc_info()[1], "_passes", ())


def _caught(error: Any, here: int, around: tuple[int, ...]) -> type:
    """Note where the kernel handles an exception, and return its class.

    One that was replaced inside its handler stays behind where the replacement is caught in the same function.
    """
    frame = sys._getframe(2)
    outer = _outer(error)
    while outer is not None and hasattr(outer, "_caught"):
        where, handler, _ = outer._caught
        if where == id(frame) and handler not in around:
            left_behind.append(outer)
            if len(left_behind) == _MOST:
                raise HostFailure(seen_by_host(_too_many(), None))
        elif where == id(frame) or _is_running(where, frame):
            break
        outer = _outer(outer)
    error._caught = id(frame), here, time.perf_counter_ns()
    return type(error)


def _too_many() -> Exception:
    made = new_exception(RuntimeError, "too many nested exceptions")
    assert isinstance(made, RuntimeError)
    return made


def _is_running(where: int, frame: Any) -> bool:
    while frame is not None:
        if id(frame) == where:
            return True
        frame = frame.f_back
    return False


def _outer(error: BaseException) -> BaseException | None:
    """Return what was being handled when an exception was raised."""
    if hasattr(error, "_handled"):
        handled: BaseException | None = error._handled
        return handled
    return None if error.__suppress_context__ or error.__cause__ is not None else error.__context__


def from_host(error: Exception, handled: BaseException | None) -> Exception:
    """Note of an exception that an RPC raised what the kernel was handling when it called."""
    error._handled = handled  # type: ignore[attr-defined]
    if hasattr(error, "_kernel"):  # it comes back from a kernel's run before
        del error._kernel
    return error


def seen_by_host(error: Exception, before: BaseException | None) -> Exception:
    """Return the exception that the host gets of a kernel that ended with `error`; `before` was there already."""
    chain = _chain(error, before)
    first = min([*left_behind, *chain], key=_since)
    if isinstance(error, LabError) or first is error and not hasattr(error, "_kernel") and not _came_in(error):
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


def _since(error: BaseException) -> float:
    """Return when the kernel began to handle an exception; one that nobody handled comes last."""
    return float(error._caught[2]) if hasattr(error, "_caught") else math.inf


def _chain(error: BaseException, before: BaseException | None) -> list[BaseException]:
    """Return an exception and those that the kernel still handled when it was raised, the last one first."""
    chain = [error]
    while True:
        outer = _outer(chain[-1])
        if outer is None or outer is before or outer in chain or not hasattr(outer, "_caught"):
            return chain
        chain.append(outer)


def assertion(message: str) -> AssertionError:
    """Return what a failed assertion raises; no handler names it."""
    made = builtins.AssertionError(message)
    made._handled = sys.exc_info()[1]  # type: ignore[attr-defined]
    return made
