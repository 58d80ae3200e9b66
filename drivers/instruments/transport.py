"""How text reaches an instrument: as lines over TCP, or straight into a twin; over VISA: `visa.py`.

A transport moves text and knows nothing of its meaning. What goes wrong is one of three `DeviceError`s:
`NoReplyError` (the time-out passed; a late reply may still come), `LinkLostError` (closed, refused, dead: open it
again) and `GarbledError` (what came is no text, or more than one answer). A question is only put into silence: what
comes unasked, a late reply or a second one, is never taken for the answer to the next question (`UnaskedError`).
"""

import re
import select
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from atomlink.errors import DeviceError

from .replies import BLANK, alone, silent, text_of
from .replies import GarbledError as GarbledError
from .replies import LinkLostError as LinkLostError
from .replies import NoReplyError as NoReplyError
from .replies import UnaskedError as UnaskedError

CHUNK = 1 << 16
LONGEST_REPLY = 1 << 20  # bytes; a peer that sends more without an end of line does not speak this protocol
_TCP = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_.-]+)):(?P<port>[0-9]{1,5})$")


class Transport(Protocol):
    """What a driver of a text protocol is given."""

    def query(self, text: str) -> str:
        """Send a request and return the reply without its terminator."""

    def write(self, text: str) -> None:
        """Send a command that has no reply."""

    def clear(self) -> None:
        """Drop what the instrument may still have to say."""

    def reopen(self) -> None:
        """Make the connection anew."""

    def close(self) -> None:
        """Let go of the connection; a second time does nothing."""


def tcp_address(device: str, default_port: int | None = None) -> tuple[str, int]:
    """Return (host, port) of `host:port`, `[v6]:port`, or `host` where the protocol has a port of its own."""
    text = device if ":" in device or default_port is None else f"{device}:{default_port}"
    match = _TCP.match(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise DeviceError(f"The address is {device!r} but must be HOST:PORT, as 192.168.1.80:1234: correct --device.")
    return match["v6"] or match["host"], int(match["port"])


class LineTransport:
    """Text lines over TCP. `ending` ends each line both ways; `greeting` lines are read when the connection opens."""

    def __init__(self, device: str, ending: str = "\n", timeout_s: float = 2.0, greeting: int = 0,
                 default_port: int | None = None) -> None:  # fmt: skip
        self.address = tcp_address(device, default_port)
        self.ending, self.timeout_s, self._greeting = ending.encode(), timeout_s, greeting
        self.greeted: list[str] = []
        self._socket: socket.socket | None = None
        self._buffer = bytearray()

    def query(self, text: str) -> str:
        """Send a line and return the line that comes; nothing may come before it or after it."""
        silent(self, self.unasked())
        self.write(text)
        return alone(self, text, self.read(), self.unasked(), self.ending.decode())

    def unasked(self) -> str:
        """Return what has come and was not read; empty lines are nothing."""
        if self._socket is not None and _readable(self._socket):
            try:
                self._buffer += self._socket.recv(CHUNK)
            except OSError as error:
                raise self._lost(error) from error
        text = self._buffer.decode("latin-1").strip(BLANK)
        if not text:
            self._buffer.clear()
        return text

    def write(self, text: str) -> None:
        """Send a line."""
        connection = self._connection()
        try:
            connection.sendall(line_of(text, self.ending))
        except OSError as error:
            raise self._lost(error) from error

    def read(self) -> str:
        """Return the next line; it must be whole, printable and not endless."""
        deadline = time.monotonic() + self.timeout_s
        connection = self._connection()
        while (end := self._buffer.find(self.ending)) < 0:
            self._receive(connection, deadline)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + len(self.ending)]
        return text_of(line, str(self))

    def clear(self) -> None:
        """Start a new connection, on which no late reply of the old one can come."""
        self.reopen()

    def reopen(self) -> None:
        """Close and connect again."""
        self.close()
        self._connection()

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer.clear()

    def __str__(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def _connection(self) -> socket.socket:
        if self._socket is None:
            try:
                self._socket = socket.create_connection(self.address, self.timeout_s)
            except OSError as error:
                raise self._lost(error) from error
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.greeted = [self.read() for _ in range(self._greeting)]
                if self._greeting:
                    silent(self, self.unasked())
            except DeviceError:
                self.close()  # half greeted: the next request starts afresh
                raise
        return self._socket

    def _receive(self, connection: socket.socket, deadline: float) -> None:
        if len(self._buffer) > LONGEST_REPLY:
            self.close()
            raise LinkLostError(f"{self} sent {LONGEST_REPLY} bytes without an end of line: check the address.")
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        connection.settimeout(left)
        try:
            data = connection.recv(1 << 16)
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise self._lost(error) from error
        if not data:
            raise self._lost("the peer closed the connection")
        self._buffer += data

    def _late(self) -> NoReplyError:
        came = bytes(self._buffer[:40])
        return NoReplyError(f"{self} did not answer in full within {self.timeout_s:g} s ({came!r} came).")

    def _lost(self, reason: object) -> LinkLostError:
        self.close()
        return LinkLostError(f"The connection to {self} is lost ({reason}): check that the instrument is on.")


class DirectTransport:
    """No wire: requests go to a function, which returns the reply or None. For a twin in the same process."""

    def __init__(self, handle: Callable[[str], Any]) -> None:
        self._handle = handle

    def query(self, text: str) -> str:
        """Return the reply."""
        reply = self._handle(text)
        if reply is None:
            raise NoReplyError(f"There is no reply to {text!r}.")
        return str(reply)

    def write(self, text: str) -> None:
        """Pass a command on."""
        self._handle(text)

    def clear(self) -> None:
        """Do nothing: no reply comes late."""

    def reopen(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _readable(connection: socket.socket) -> bool:
    """Tell whether a socket has something to read, without waiting."""
    look = select.poll()
    look.register(connection, select.POLLIN)
    return bool(look.poll(0))


def line_of(text: str, ending: bytes) -> bytes:
    """Return a request as it goes over the wire; DeviceError unless it is one line of ASCII."""
    if not (text.isascii() and text.isprintable()):
        raise DeviceError(f"The request {text!r} must be one line of ASCII text: nothing was sent.")
    return text.encode("ascii") + ending
