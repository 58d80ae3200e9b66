"""The bytes of one connection: what comes is asked for by length, what goes is gathered until it must leave."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from atomlink.errors import DeviceError

LONGEST = 64 << 20  # bytes of a field


class HungUp(Exception):  # noqa: N818 - no error: clients come and go
    """The client has closed the connection."""


class ProtocolError(DeviceError):
    """The client sent what is no message of the protocol, or not one that has its place here."""


class Stream:
    """One connection. `waiting` makes what surrounds a wait for the client."""

    def __init__(self, connection: socket.socket,
                 waiting: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:  # fmt: skip
        self._socket, self._waiting = connection, waiting
        self._in, self.out = bytearray(), bytearray()

    def expect(self, magic: bytes, what: str) -> None:
        """Take the greeting of a protocol; ProtocolError says for what this port is."""
        greeting = self.read(len(magic))
        if greeting != magic:
            raise ProtocolError(f"it greeted with {greeting!r}, must be {magic!r}: this is the port for {what}")

    def read(self, size: int) -> bytes:
        """Return the next bytes that the client sends, after what waits has left; HungUp where it has gone."""
        if len(self._in) < size:
            with self._waiting():
                self._send()
                while len(self._in) < size:
                    more = self._socket.recv(max(65536, size - len(self._in)))
                    if not more:
                        raise HungUp
                    self._in += more
        taken = bytes(self._in[:size])
        del self._in[:size]
        return taken

    def byte(self) -> int:
        """Return the next byte."""
        return self.read(1)[0]

    def field(self) -> bytes:
        """Return the next field of bytes, its length first."""
        (length,) = struct.unpack("<I", self.read(4))
        if length > LONGEST:
            raise ProtocolError(f"it announced {length} bytes, must be at most {LONGEST}")
        return self.read(length)

    def text(self) -> str:
        """Return the next field as text."""
        raw = self.field()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ProtocolError(f"it sent {raw[:40]!r} for a text, must be UTF-8") from None

    def send(self, data: bytes) -> None:
        """Send bytes, after those that wait."""
        self.out += data
        self.flush()

    def flush(self) -> None:
        """Let go what waits."""
        with self._waiting():
            self._send()

    def _send(self) -> None:
        if self.out:
            self._socket.sendall(self.out)
            self.out.clear()

    def ready(self, patience_s: float) -> bool:
        """Say whether something comes within a time; a connection that was closed counts."""
        return bool(self._in or select.select([self._socket], [], [], max(0.0, patience_s))[0])

    def hung_up(self) -> bool:
        """Say whether the client has gone, without taking anything from what it has sent."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def packed(raw: bytes) -> bytes:
    """Return a field: the length, then the bytes."""
    return struct.pack("<I", len(raw)) + raw
