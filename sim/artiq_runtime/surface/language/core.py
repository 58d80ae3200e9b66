"""ARTIQ's extensions of Python: what marks a function as a kernel, and what moves the timeline cursor.

A decorator only attaches `artiq_embedded`, with ARTIQ's own fields, so that an engine treats functions marked here and
functions marked by the real ARTIQ alike. The timeline functions pass on to a time manager, which an engine provides.
"""

# ruff: noqa: N818 - the names are ARTIQ's

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NamedTuple, NoReturn

# Names that the compiler gives to every kernel without an import.
kernel_globals = ("sequential", "parallel", "interleave", "delay_mu", "now_mu", "at_mu", "delay", "watchdog")

__all__ = [
    "TerminationRequested", "at_mu", "delay", "delay_mu", "host_only", "interleave", "kernel", "kernel_from_string",
    "now_mu", "parallel", "portable", "rpc", "sequential", "set_time_manager", "set_watchdog_factory", "subkernel",
    "syscall", "watchdog",
]  # fmt: skip


class _ARTIQEmbeddedInfo(NamedTuple):
    """What the decorators say about a function."""

    core_name: str | None
    portable: bool
    function: Callable[..., Any] | str | None
    syscall: str | None
    forbidden: bool
    destination: int | None
    flags: set[str]


_PLAIN = _ARTIQEmbeddedInfo(
    core_name=None, portable=False, function=None, syscall=None, forbidden=False, destination=None, flags=set()
)


def kernel(arg: Any = None, flags: Iterable[str] = ()) -> Any:
    """Mark a method to run on the core device that the attribute `core` (or the one named by `arg`) drives."""
    if arg is None:
        return lambda function: kernel(function, flags)
    if not isinstance(arg, str):
        return kernel("core", flags)(arg)

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run_on_core(self: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(self, arg).run(run_on_core, (self, *args), kwargs)

        info = _PLAIN._replace(core_name=arg, function=function, flags=set(flags))
        run_on_core.artiq_embedded = info  # type: ignore[attr-defined]
        return run_on_core

    return mark


def subkernel(arg: Any = None, destination: int = 0, flags: Iterable[str] = ()) -> Any:
    """Mark a method to run on the satellite `destination`; calling it needs the real ARTIQ and its satellites."""
    if arg is None:
        return lambda function: subkernel(function, destination, flags)
    if not isinstance(arg, str):
        return subkernel("core", destination, flags)(arg)

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run_subkernel(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
            raise NotImplementedError(
                f"{function.__qualname__} is a subkernel for satellite {destination}, and this runtime has no "
                "satellite CPU to run it on; make it a @kernel, or install ARTIQ and run it on hardware"
            )

        info = _PLAIN._replace(core_name=arg, function=function, destination=destination, flags=set(flags))
        run_subkernel.artiq_embedded = info  # type: ignore[attr-defined]
        return run_subkernel

    return mark


def portable(arg: Any = None, flags: Iterable[str] = ()) -> Any:
    """Mark a function to run wherever its caller runs, on the host or in a kernel."""
    if arg is None:
        return lambda function: portable(function, flags)
    arg.artiq_embedded = _PLAIN._replace(portable=True, function=arg, flags=set(flags))
    return arg


def rpc(arg: Any = None, flags: Iterable[str] = ()) -> Any:
    """Mark a function to run on the host when a kernel calls it; the flag "async" makes the kernel not wait."""
    if arg is None:
        return lambda function: rpc(function, flags)
    arg.artiq_embedded = _PLAIN._replace(function=arg, flags=set(flags))
    return arg


def syscall(arg: Any = None, flags: Iterable[str] = ()) -> Any:
    """Mark a function as a call into the device's runtime, by the function's name or the one in `arg`."""
    if arg is None:
        return lambda function: syscall(function.__name__, flags)(function)
    if not isinstance(arg, str):
        return syscall(arg.__name__)(arg)

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        info = _PLAIN._replace(syscall=arg, flags=set(flags))
        function.artiq_embedded = info  # type: ignore[attr-defined]
        return function

    return mark


def host_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function that a kernel must not call."""
    function.artiq_embedded = _PLAIN._replace(forbidden=True, flags=set())  # type: ignore[attr-defined]
    return function


def kernel_from_string(parameters: Any, body_code: str, decorator: Any = kernel) -> NoReturn:
    """Refuse to make a kernel of text: this runtime executes no text that it is handed."""
    raise NotImplementedError(
        "kernel_from_string() makes a kernel of text, and the pip-only runtime executes no text; "
        "write the kernel as a method, or install the real ARTIQ"
    )


class _NoTimeManager:
    """Stand for the time manager where there is none: kernels need an engine."""

    def _refuse(self, *args: Any) -> NoReturn:
        raise NotImplementedError("Attempted to interpret kernel without a time manager")

    enter_sequential = enter_parallel = exit = _refuse
    take_time_mu = get_time_mu = set_time_mu = take_time = _refuse


_time_manager: Any = _NoTimeManager()


def set_time_manager(time_manager: Any) -> None:
    """Say which object moves the timeline when a kernel's statements run in the host's Python."""
    global _time_manager
    _time_manager = time_manager


class _Sequential:
    """A block whose statements follow one another."""

    def __enter__(self) -> None:
        _time_manager.enter_sequential()

    def __exit__(self, *exception: object) -> None:
        _time_manager.exit()


class _Parallel:
    """A block whose top-level statements all start at the block's start."""

    def __enter__(self) -> None:
        _time_manager.enter_parallel()

    def __exit__(self, *exception: object) -> None:
        _time_manager.exit()


sequential = _Sequential()
parallel = _Parallel()
interleave = _Parallel()  # the compiler interleaves submissions; on the host the two are one


def delay_mu(duration: int) -> None:
    """Move the timeline cursor by `duration` machine units."""
    _time_manager.take_time_mu(duration)


def now_mu() -> Any:
    """Return the timeline cursor in machine units; this is not the RTIO counter."""
    return _time_manager.get_time_mu()


def at_mu(time: int) -> None:
    """Move the timeline cursor to the absolute `time` in machine units."""
    _time_manager.set_time_mu(time)


def delay(duration: float) -> None:
    """Move the timeline cursor by `duration` seconds."""
    _time_manager.take_time(duration)


class _NoWatchdog:
    """Time nothing: nobody enforces a watchdog here."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


_watchdog_factory: Callable[[float], Any] = _NoWatchdog


def set_watchdog_factory(f: Callable[[float], Any]) -> None:
    """Say what makes watchdogs; ARTIQ's worker does."""
    global _watchdog_factory
    _watchdog_factory = f


def watchdog(timeout: float) -> Any:
    """Return a context manager that limits the wall-clock time of its block, where somebody enforces it."""
    return _watchdog_factory(timeout)


class TerminationRequested(Exception):
    """Raised by the scheduler's `pause()` when the user asked this experiment to end."""
