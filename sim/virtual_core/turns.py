"""Who may touch the lab: the kernel that runs, and in between whoever looks at the lab or sets an override.

Bus and gateware belong to one thread at a time. A kernel gives way between two system calls, while it waits for its
host, and in the middle of a computation where somebody asks for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AGAIN_S = 0.05  # the kernel is asked again: it may just have begun


class Turns:
    """Turns at the lab. `ask` asks the kernel that runs to give way."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._taken, self._waiting = False, 0
        self.ask: Callable[[], None] = nobody

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have the lab; wait until it is free."""
        with self._condition:
            self._waiting += 1
            try:
                while self._taken:
                    self.ask()
                    self._condition.wait(_AGAIN_S)
            finally:
                self._waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let others have the lab while its holder waits for something else."""
        self._release()
        try:
            yield
        finally:
            with self._condition:
                while self._taken:
                    self._condition.wait()
                self._taken = True

    def give_way(self) -> None:
        """Let everybody who waits have a turn."""
        with self._condition:
            self._taken = False
            self._condition.notify_all()
            while self._taken or self._waiting:
                self._condition.wait()
            self._taken = True

    def _release(self) -> None:
        with self._condition:
            self._taken = False
            self._condition.notify_all()


def nobody() -> None:
    """Ask nobody: no kernel runs."""
