"""Twin of a Toptica DLC pro with one DL pro head: the DeCoP command line (TCP 1998) and monitoring line (TCP 1999).

    (param-ref 'laser1:dl:cc:current-set)        -> 95.0
    (param-set! 'laser1:dl:cc:current-set 90.0)  -> 0, or a negative number where it is refused
    (add 'laser1:dl:lock:state) on the monitoring line -> (2026-11-22T13:00:00.000Z 'laser1:dl:lock:state 5) at changes
Booleans are #t and #f, strings are quoted, errors of reading are `Error: ...`. The command line ends each reply with a
prompt. Source: the requests and replies that Toptica's SDK (3.3) writes and reads. The numbers of refusals and the
words behind `Error:` are the twin's own: clients look at the sign and at the word `Error` only.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from toptica.lasersdk.asyncio.connection import ConnectionClosedError
from toptica.lasersdk.client import Connection

from sim.world.elements.laser import HIGHEST_MA, HIGHEST_V

from . import twin

UNKNOWN, WRONG_TYPE, READ_ONLY, OUT_OF_RANGE = -1, -2, -3, -4
LOCK_IDLE, LOCKED, RELOCKING = 0, 5, 9
LOCK_WORDS = {LOCK_IDLE: "Idle", LOCKED: "Locked", RELOCKING: "Relocking"}
CURRENT_NOISE_MA, PIEZO_NOISE_V = 0.005, 0.002
_NAME = r"([A-Za-z0-9][A-Za-z0-9:-]*)"
_READ = re.compile(rf"^\((param-ref|param-gsv) '{_NAME}\)$")
_SET = re.compile(rf"^\(param-set! '{_NAME} (.+)\)$", re.DOTALL)
_USER_LEVEL = re.compile(r"^\(exec 'change-ul ([0-4])(?: \"[^\"]*\")?\)$")
_WATCH = re.compile(rf"^\((add|remove) '{_NAME}(?: [^()]*)?\)$")
_REAL = re.compile(r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$")


class Parameter(NamedTuple):
    """One parameter: how it is read, and how it is set (returning a status) if it can be."""

    read: Callable[[], bool | int | float | str]
    write: Callable[[Any], int] | None = None


class Twin(twin.Twin):
    """One DLC pro. `element` is the laser."""

    ENDING = "\r\n> "
    REQUEST_ENDING = "\n"
    GREETING = "Welcome to DLC pro (twin) command line.\r\n> "

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self._current_ma, self._clip_ma = element.current_ma, HIGHEST_MA
        self._highest_v = HIGHEST_V
        self._button, self._level = True, 3
        self._parameters = self._table()

    def handle(self, request: str) -> str:
        """Return the reply to one line of the command line."""
        line = request.strip()
        if (match := _READ.match(line)) is not None:
            return self._read(match[2])
        if (match := _SET.match(line)) is not None:
            return str(self._write(match[1], match[2].strip()))
        if (match := _USER_LEVEL.match(line)) is not None:
            self._level = int(match[1]) if int(match[1]) >= 3 else self._level  # higher levels need a password
            return str(self._level)
        return f"Error: cannot evaluate {line[:40]!r}" if line else ""

    def in_process(self, handle: twin.Handle) -> Any:
        """Return an SDK connection."""
        return TwinConnection(handle, self.element.name)

    def _read(self, name: str) -> str:
        parameter = self._parameters.get(name)
        return f"Error: no parameter '{name}" if parameter is None else decop(parameter.read())

    def _write(self, name: str, text: str) -> int:
        parameter = self._parameters.get(name)
        if parameter is None:
            return UNKNOWN
        if parameter.write is None:
            return READ_ONLY
        value = _value(text)
        wanted = parameter.read()
        if value is None or isinstance(value, bool) != isinstance(wanted, bool):
            return WRONG_TYPE
        return parameter.write(value)

    # -- the parameters ------------------------------------------------------------------------------------------------

    def _table(self) -> dict[str, Parameter]:
        laser, head = self.element, "laser1:dl"
        return {
            "system-type": Parameter(lambda: "DLC pro"),
            "serial-number": Parameter(lambda: f"TWIN-{laser.name}"),
            "fw-ver": Parameter(lambda: "3.3.3"),
            "system-label": Parameter(lambda: laser.name),
            "system-health": Parameter(lambda: 0),
            "system-health-txt": Parameter(lambda: "OK"),
            "interlock-open": Parameter(lambda: False),
            "frontkey-locked": Parameter(lambda: False),
            "emission-button-enabled": Parameter(lambda: self._button, self._set_button),
            "emission": Parameter(lambda: laser.enabled),
            "ul": Parameter(lambda: self._level),
            "laser1:type": Parameter(lambda: "DL pro"),
            "laser1:product-name": Parameter(lambda: "DL pro 780"),
            "laser1:emission": Parameter(lambda: laser.enabled),
            f"{head}:cc:enabled": Parameter(lambda: laser.enabled, self._set_enabled),
            f"{head}:cc:emission": Parameter(lambda: laser.enabled),
            f"{head}:cc:current-set": Parameter(lambda: self._current_ma, self._set_current),
            f"{head}:cc:current-act": Parameter(self._actual_current),
            f"{head}:cc:current-clip": Parameter(lambda: self._clip_ma, self._set_clip),
            f"{head}:cc:current-clip-limit": Parameter(lambda: HIGHEST_MA),
            f"{head}:pc:enabled": Parameter(lambda: True),
            f"{head}:pc:voltage-set": Parameter(lambda: float(laser.piezo_v), self._set_piezo),
            f"{head}:pc:voltage-act": Parameter(lambda: round(laser.piezo_v + self._noise(PIEZO_NOISE_V), 6)),
            f"{head}:pc:voltage-min": Parameter(lambda: 0.0),
            f"{head}:pc:voltage-max": Parameter(lambda: self._highest_v, self._set_highest),
            f"{head}:lock:lock-enabled": Parameter(lambda: laser.lock_enabled, self._set_lock),
            f"{head}:lock:relock:enabled": Parameter(lambda: laser.relock_enabled, self._set_relock),
            f"{head}:lock:state": Parameter(self._lock_state),
            f"{head}:lock:state-txt": Parameter(lambda: LOCK_WORDS[self._lock_state()]),
        }

    def _lock_state(self) -> int:
        if self.element.is_locked:
            return LOCKED
        return RELOCKING if self.element.searching else LOCK_IDLE

    def _noise(self, rms: float) -> float:
        return float(rms * self.rng.standard_normal())

    def _actual_current(self) -> float:
        on = min(self._current_ma, self._clip_ma) if self.element.enabled else 0.0
        return round(on + self._noise(CURRENT_NOISE_MA), 6)

    def _set_current(self, value: float) -> int:
        if not 0 <= value <= self._clip_ma:
            return OUT_OF_RANGE
        self._current_ma = float(value)
        self.element.set_current(self._current_ma)
        return 0

    def _set_clip(self, value: float) -> int:
        if not 0 <= value <= HIGHEST_MA:
            return OUT_OF_RANGE
        self._clip_ma = float(value)
        self.element.set_current(min(self._current_ma, self._clip_ma))
        return 0

    def _set_piezo(self, value: float) -> int:
        if not 0 <= value <= self._highest_v:
            return OUT_OF_RANGE
        self.element.set_piezo(float(value))
        return 0

    def _set_highest(self, value: float) -> int:
        if not self.element.piezo_v <= value <= HIGHEST_V:
            return OUT_OF_RANGE
        self._highest_v = float(value)
        return 0

    def _set_enabled(self, on: bool) -> int:
        if on and not self._button:
            return OUT_OF_RANGE
        self.element.set_enabled(on)
        return 0

    def _set_button(self, on: bool) -> int:
        self._button = on
        return 0 if on else self._set_enabled(False)

    def _set_lock(self, on: bool) -> int:
        self.element.set_lock(on)
        return 0

    def _set_relock(self, on: bool) -> int:
        self.element.relock_enabled = on
        return 0


class Monitor:
    """One client of the monitoring line: what it watches, and what it has been told."""

    def __init__(self, handle: twin.Handle) -> None:
        self._handle = handle
        self._told: dict[str, str] = {}

    def handle(self, request: str) -> list[str]:
        """Take one line; return the lines that it brings."""
        match = _WATCH.match(request.strip())
        if match is None:
            return []
        verb, name = match[1], match[2]
        if verb == "remove":
            self._told.pop(name, None)
            return []
        if str(self._handle(f"(param-ref '{name})")).startswith("Error"):
            return [f"(Error: {UNKNOWN} ({_now()} '{name}) no parameter)"]
        self._told[name] = ""
        return self.changes()

    def changes(self) -> list[str]:
        """Return a line for each watched parameter that has changed since it was told last."""
        lines = []
        for name, told in self._told.items():
            value = str(self._handle(f"(param-ref '{name})"))
            if value != told:
                self._told[name] = value
                lines.append(f"({_now()} '{name} {value})")
        return lines


class TwinConnection(Connection):
    """An SDK connection to a twin in the same process: both lines, without a socket."""

    def __init__(self, handle: twin.Handle, name: str, timeout_s: float = 5.0) -> None:
        self._handle, self._name, self._timeout_s = handle, name, timeout_s
        self._monitor = Monitor(handle)
        self._replies: asyncio.Queue[str] | None = None
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Open both lines."""
        self._loop = asyncio.get_running_loop()
        self._replies, self._lines, self._monitor = asyncio.Queue(), asyncio.Queue(), Monitor(self._handle)

    async def close(self) -> None:
        """Close both lines."""
        self._replies = None

    async def write_command_line(self, message: str) -> None:
        """Let the twin answer each line."""
        replies = self._open()
        for line in message.splitlines():
            reply = self._handle(line)
            if reply is not None:
                replies.put_nowait(str(reply))
        for line in self._monitor.changes():
            self._lines.put_nowait(line)

    async def read_command_line(self) -> str:
        """Wait for the next reply."""
        return await self._open().get()

    async def write_monitoring_line(self, message: str) -> None:
        """Let the monitor take each line."""
        self._open()
        for request in message.splitlines():
            for line in self._monitor.handle(request):
                self._lines.put_nowait(line)

    async def read_monitoring_line(self) -> str:
        """Wait for the next line."""
        self._open()
        return await self._lines.get()

    @property
    def timeout(self) -> float:
        """Time-out in s."""
        return self._timeout_s

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._replies is not None

    command_line_available = monitoring_line_available = is_open

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it was opened in."""
        if self._loop is None:
            raise ConnectionClosedError("the connection has not been opened")
        return self._loop

    def __repr__(self) -> str:
        return f"<twin of {self._name}>"

    def _open(self) -> asyncio.Queue[str]:
        if self._replies is None:
            raise ConnectionClosedError("the connection is closed")
        return self._replies


def decop(value: bool | int | float | str) -> str:
    """Return a value as DeCoP writes it."""
    if isinstance(value, bool):
        return "#t" if value else "#f"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _value(text: str) -> bool | float | None:
    """Return a boolean or a number; None for anything else."""
    if text.lower() in ("#t", "#f"):
        return text.lower() == "#t"
    if not _REAL.match(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
