"""The core device's log: what kernels print, what the bus reports, who connects. Lines are those of ARTIQ's firmware.

`aqctl_corelog` reads them as `[  12.345678s]  INFO(target): text`. The oldest are dropped where the buffer is full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

OFF, ERROR, WARN, INFO, DEBUG, TRACE = range(6)
NAMES = ("OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")
_FROM_PYTHON = ((logging.ERROR, ERROR), (logging.WARNING, WARN), (logging.INFO, INFO), (logging.DEBUG, DEBUG))
_TO_PYTHON = (logging.CRITICAL + 1, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, 1)
_SIZE = 1 << 17  # bytes, as in the firmware
_PACKAGE = __package__ or ""
_SOURCES = ("core_log", _PACKAGE)


class CoreLog(logging.Handler):
    """A log of one device. `terminal` is what the firmware calls its UART: the handler that prints."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._start_s = time.monotonic()
        self._levels_before: dict[str, int] = {}
        self.terminal: logging.Handler | None = None
        self.limit = INFO

    def attach(self) -> None:
        """Listen to what this device and its bus say."""
        self._start_s = time.monotonic()
        for name in _SOURCES:
            logger = logging.getLogger(name)
            self._levels_before[name] = logger.level
            logger.setLevel(1)
            logger.addHandler(self)

    def detach(self) -> None:
        """Listen no more."""
        for name, level in self._levels_before.items():
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).setLevel(level)
        self._levels_before.clear()

    def set_terminal_level(self, level: int) -> None:
        """Print what is at least as important as a level."""
        if self.terminal is not None:
            self.terminal.setLevel(_TO_PYTHON[level])

    def emit(self, record: logging.LogRecord) -> None:
        """Take a message, line by line."""
        level = next((ours for python, ours in _FROM_PYTHON if record.levelno >= python), TRACE)
        if level > self.limit:
            return
        head = f"[{time.monotonic() - self._start_s:13.6f}s] {NAMES[level]:>5}({_target(record)}): "
        lines = [f"{head}{line or ' '}\n".encode() for line in record.getMessage().splitlines() or [""]]
        with self._changed:
            self._lines.extend(lines)
            self._size += sum(map(len, lines))
            while self._size > _SIZE:
                self._size -= len(self._lines.popleft())
            self._changed.notify_all()

    def content(self) -> bytes:
        """Return what is in the log."""
        with self._changed:
            return b"".join(self._lines)

    def clear(self) -> None:
        """Empty the log."""
        with self._changed:
            self._empty()

    def pull(self, patience_s: float) -> bytes:
        """Return and remove what is in the log; nothing where none comes within a time."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines, patience_s)
            return self._empty()

    def _empty(self) -> bytes:
        content = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        return content


def _target(record: logging.LogRecord) -> str:
    """Return who speaks, as the firmware names it."""
    if record.name == "core_log":
        return "kernel" if record.levelno == logging.INFO else "runtime::rtio_mgt"
    return f"runtime::{record.name.rpartition('.')[2]}"
