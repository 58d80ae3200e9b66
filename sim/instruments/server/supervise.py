"""What keeps a lab up whatever goes wrong in one of its parts: the failure goes into the log, the part begins again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from atomlink.errors import LabError

logger = logging.getLogger(__name__)
PAUSE_S = 0.05  # before a part begins again


class Guard:
    """A block whose failure is logged and goes no further: the lab's own refusals (a drift out of range) in a line,
    anything else, which is a fault of ours, with its trace. `failure` is what it was; a guard may be used again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: Exception | None = None

    def __enter__(self) -> Guard:
        self.failure = None
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False  # a task that is cancelled goes
        self.failure = error
        self.report(error)
        return True

    def report(self, error: Exception) -> None:
        """Log a failure."""
        trace = None if isinstance(error, LabError) else error
        logger.error("%s: %s", self.name, error if trace is None else repr(error), exc_info=trace)


def attempt(name: str, step: Callable[[], object]) -> bool:
    """Take one step of making safe; what it raises is logged, so that the next one is taken too. True if it went well.
    """
    with Guard(name) as guard:
        step()
    return guard.failure is None


async def supervised(name: str, work: Callable[[], Awaitable[None]], pause_s: float = PAUSE_S) -> None:
    """Do the work again and again until this task is cancelled; a failure that repeats itself is logged once."""
    guard = _Once(name)
    while True:
        with guard:
            await work()
        await asyncio.sleep(pause_s)


class _Once(Guard):
    """A guard that does not say the same twice in a row."""

    _said = ""

    def report(self, error: Exception) -> None:
        """Log a failure unless it is the last one again."""
        if repr(error) != self._said:
            self._said = repr(error)
            super().report(error)
