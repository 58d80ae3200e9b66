"""The management port: log and levels, configuration, reboot, allocator.  Source: ARTIQ 8 firmware, mgmt."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from .corelog import NAMES
from .stream import HungUp, ProtocolError, Stream, packed

if TYPE_CHECKING:
    from .server import Server

logger = logging.getLogger(__name__)
MAGIC = b"ARTIQ management\n"
_SUCCESS, _LOG, _REBOOTING, _ERROR, _DATA = 1, 2, 3, 6, 7  # to the client
_PATIENCE_S = 0.2  # in which a client that pulls the log is looked after


class Management:
    """One connection."""

    def __init__(self, connection: socket.socket, server: Server, who: str) -> None:
        self.who, self._stream, self._server, self._device = who, Stream(connection), server, server.device
        self._requests: dict[int, Callable[[], None]] = {
            1: lambda: self._say(_LOG, packed(self._device.log.content())),
            2: self._clear_log,
            3: self._set_level,
            5: self._reboot,
            6: self._set_terminal_level,
            7: self._pull_log,
            8: lambda: print(self._device.memory_in_use(), flush=True),
            12: self._read,
            13: lambda: self._done(self._device.flash.put(self._stream.text(), self._stream.field())),
            14: lambda: self._done(self._device.flash.remove(self._stream.text())),
            15: lambda: self._done(self._device.flash.erase()),
        }

    def serve(self) -> None:
        """Serve until it hangs up."""
        self._stream.expect(MAGIC, "management")
        self._stream.send(b"e")
        while True:
            request = self._stream.byte()
            if request not in self._requests:
                raise ProtocolError(f"it sent request {request}, must be one of {sorted(self._requests)}")
            self._requests[request]()

    def stop(self) -> None:
        """Nothing runs for it."""

    def over(self) -> None:
        """Nothing is left."""

    def _say(self, kind: int, fields: bytes = b"") -> None:
        self._stream.send(bytes([kind]) + fields)

    def _done(self, well: bool) -> None:
        self._say(_SUCCESS if well else _ERROR)

    def _clear_log(self) -> None:
        self._device.log.clear()
        self._say(_SUCCESS)

    def _pull_log(self) -> None:
        """Send what is logged from now on, until the client hangs up."""
        while not self._stream.hung_up():
            content = self._device.log.pull(_PATIENCE_S)
            if content:
                self._stream.send(packed(content))
        raise HungUp

    def _level(self, of_what: str) -> int:
        level = self._stream.byte()
        if level >= len(NAMES):
            raise ProtocolError(f"it sent log level {level}, must be 0 to {len(NAMES) - 1}")
        logger.info("changing %slog level to %s", of_what, NAMES[level])
        return level

    def _set_level(self) -> None:
        self._device.log.limit = self._level("")
        self._say(_SUCCESS)

    def _set_terminal_level(self) -> None:
        self._device.log.set_terminal_level(self._level("UART "))
        self._say(_SUCCESS)

    def _read(self) -> None:
        value = self._device.flash.get(self._stream.text())
        if value is None:
            self._say(_ERROR)
        else:
            self._say(_DATA, packed(value))

    def _reboot(self) -> None:
        self._say(_REBOOTING)
        logger.warning("restarting")
        self._server.reboot(self)
        raise HungUp
