"""MonInj: look at levels, tuning words and DAC codes, and override levels.

A client names the probes and overrides that it watches; it is told their values at first and when they have changed,
looked at five times a second. An override holds, whoever goes away, until it is taken back, the device starts again, or
shutters are closed because a kernel was broken off.
Source: ARTIQ 8 firmware, moninj.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from typing import TYPE_CHECKING

from .stream import ProtocolError, Stream

if TYPE_CHECKING:
    from .device import Device

logger = logging.getLogger(__name__)
MAGIC = b"ARTIQ moninj\n"
_WATCH_PROBE, _INJECT, _ASK_INJECTION, _WATCH_INJECTION = range(4)  # from the client
_PROBE, _INJECTION = range(2)  # to the client
_EVERY_S = 0.2
_MOST = 4096  # watched by one client

Place = tuple[int, int]  # channel, number of the probe or override


class MonInj:
    """One connection."""

    def __init__(self, connection: socket.socket, device: Device, who: str) -> None:
        self.who, self._stream, self._device = who, Stream(connection), device
        self._probes: dict[Place, int | None] = {}
        self._injections: dict[Place, int | None] = {}

    def serve(self) -> None:
        """Serve until it hangs up."""
        self._stream.expect(MAGIC, "MonInj")
        look_s = time.monotonic()
        while True:
            if self._stream.ready(look_s - time.monotonic()):
                self._one()
            if time.monotonic() >= look_s:
                self._look()
                look_s = time.monotonic() + _EVERY_S

    def stop(self) -> None:
        """Nothing runs for it."""

    def over(self) -> None:
        """Overrides stay."""

    def _one(self) -> None:
        kind, read = self._stream.byte(), self._stream.read
        if kind in (_WATCH_PROBE, _WATCH_INJECTION):
            enable, channel, number = struct.unpack("<?IB", read(6))
            watched = self._probes if kind == _WATCH_PROBE else self._injections
            if not enable:
                watched.pop((channel, number), None)
            elif len(watched) < _MOST:
                watched.setdefault((channel, number), None)
            else:
                raise ProtocolError(f"it watches {_MOST} places, must do with those")
        elif kind == _INJECT:
            channel, number, value = struct.unpack("<IBB", read(6))
            self._device.inject(channel, number, value)
        elif kind == _ASK_INJECTION:
            channel, number = struct.unpack("<IB", read(5))
            self._tell(_INJECTION, (channel, number), self._device.look([], [(channel, number)])[1][0])
        else:
            raise ProtocolError(f"it sent a message of type {kind}, must be 0 to 3")

    def _look(self) -> None:
        probes, injections = self._device.look(list(self._probes), list(self._injections))
        for kind, watched, values in ((_PROBE, self._probes, probes), (_INJECTION, self._injections, injections)):
            for place, value in zip(list(watched), values, strict=True):
                if watched[place] != value:
                    watched[place] = value
                    self._tell(kind, place, value)

    def _tell(self, kind: int, place: Place, value: int) -> None:
        self._stream.send(struct.pack("<BIBQ" if kind == _PROBE else "<BIBB", kind, *place, value))
