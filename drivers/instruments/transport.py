"""How text reaches an instrument: over VISA, or as lines over TCP.

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
from functools import cached_property
from typing import Any, Protocol

from atomlink.errors import DeviceError

from .replies import BLANK, alone, silent, text_of
from .replies import GarbledError as GarbledError
from .replies import LinkLostError as LinkLostError
from .replies import NoReplyError as NoReplyError
from .replies import UnaskedError as UnaskedError

_CHUNK = 1 << 16
_BABBLE = 100  # replies that are dropped in search of silence
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
                self._buffer += self._socket.recv(_CHUNK)
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
            connection.sendall(_line(text, self.ending))
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


class VisaTransport:
    """A PyVISA resource. `library` is what PyVISA's ResourceManager takes: `@py`, a vendor's path, or the twins'.

    `ending` ends a reply and, unless `write_ending` is given, a request; `settings` are PyVISA's for
    a serial line (baud_rate …).
    """

    def __init__(self, device: str, library: Any = "@py", timeout_s: float = 2.0, ending: str = "\n",
                 write_ending: str | None = None, **settings: Any) -> None:  # fmt: skip
        self.device, self._library, self._timeout_s = visa_address(device), library, timeout_s
        self._ending, self._write_ending = ending.encode(), (ending if write_ending is None else write_ending).encode()
        self._settings = settings
        self._resource: Any = None

    def query(self, text: str) -> str:
        """Send a request and return the reply; nothing may come before it or after it."""
        silent(self, self.unasked())
        self.write(text)
        return alone(self, text, self.read(), self.unasked(), self._ending.decode())

    def unasked(self) -> str:
        """Return what has come and was not read: from a socket or a serial line of pyvisa-py, or a twin. Buses that
        drop it by themselves (USBTMC, GPIB, VXI-11), and vendors' libraries, which do not tell, have nothing.
        """
        if self._resource is None:
            return ""
        try:
            return _waiting(self._resource).decode("latin-1").strip(BLANK)
        except OSError as error:
            raise self._lost(error) from error

    def write(self, text: str) -> None:
        """Send a command."""
        resource = self._resource or self._open()
        data = _line(text, self._write_ending)
        try:
            resource.visalib.write(resource.session, data)
        except self._errors as error:
            raise self._failure(error) from error

    def read(self) -> str:
        """Return the next reply."""
        resource = self._resource or self._open()
        ending = self._ending
        try:
            # The library itself: PyVISA's read_raw() does the same and takes three times as long about it.
            data, _ = resource.visalib.read(resource.session, _CHUNK)
            while not data.endswith(ending) and len(data) < LONGEST_REPLY:
                more, _ = resource.visalib.read(resource.session, _CHUNK)
                data += more
        except self._errors as error:
            raise self._failure(error) from error
        if not data.endswith(ending):
            raise self._lost(f"{LONGEST_REPLY} bytes without an end of line")
        return text_of(data[: -len(ending)], self.device)

    def clear(self) -> None:
        """Drop what may still come: a new connection of a socket, silence on a serial line, VISA's clear elsewhere."""
        if self._resource is None or self.device.upper().endswith("::SOCKET"):
            self.reopen()
        elif self.device.upper().startswith("ASRL"):
            self._await_silence()
        else:
            try:
                self._resource.clear()
            except self._errors as error:
                raise self._failure(error) from error

    def _await_silence(self) -> None:
        """Read until nothing has come for the time of the time-out; a line that is never silent is left at that."""
        resource = self._resource
        for _ in range(_BABBLE):
            try:
                resource.visalib.read(resource.session, _CHUNK)
            except self._errors as error:
                if isinstance(failure := self._failure(error), NoReplyError):
                    return
                raise failure from error

    def reopen(self) -> None:
        """Close and open the resource again."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close the resource."""
        resource, self._resource = self._resource, None
        if resource is not None:
            resource.close()

    def __str__(self) -> str:
        return self.device

    @cached_property
    def _errors(self) -> tuple[type[Exception], ...]:
        import pyvisa

        return (pyvisa.Error, OSError)

    def _open(self) -> Any:
        import pyvisa

        try:
            manager = pyvisa.ResourceManager(self._library)
        except (OSError, ValueError) as error:
            remedy = "pip install 'atomlink[instruments]'"
            raise DeviceError(f"PyVISA has no {self._library} ({error}): {remedy}.") from error
        try:
            self._resource = manager.open_resource(
                self.device,
                timeout=1e3 * self._timeout_s,
                read_termination=self._ending.decode(),
                **(self._settings if self.device.upper().startswith("ASRL") else {}),
            )
        except (pyvisa.Error, OSError, ValueError) as error:
            raise LinkLostError(
                f"{self} cannot be opened ({error}): check the address, and that it is switched on."
            ) from error
        connection = _socket_of(self._resource)
        if connection is not None:
            self._start_talking(connection)
        return self._resource

    def _start_talking(self, connection: socket.socket) -> None:
        """See that somebody is there: pyvisa-py opens a dead port without complaint. Then send small writes at once:
        it leaves Nagle's algorithm on, which costs 40 ms per write and query.
        """
        try:
            connection.getpeername()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> DeviceError:
        from pyvisa.constants import StatusCode

        if getattr(error, "error_code", None) == StatusCode.error_timeout and not _closed_by_peer(self._resource):
            return NoReplyError(f"{self} did not answer in full within {self._timeout_s:g} s.")
        return self._lost(error)

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


def visa_address(device: str) -> str:
    """Return a VISA resource string if it parses; raise DeviceError otherwise."""
    from pyvisa import rname

    try:
        rname.ResourceName.from_string(device)
    except rname.InvalidResourceName as error:
        raise DeviceError(
            f"The address is {device!r} but must be a VISA resource such as TCPIP::192.168.1.81::5025::SOCKET: correct "
            "--device."
        ) from error
    return device


def _readable(connection: socket.socket) -> bool:
    """Tell whether a socket has something to read, without waiting."""
    look = select.poll()
    look.register(connection, select.POLLIN)
    return bool(look.poll(0))


def _waiting(resource: Any) -> bytes:
    """Return what has come and was not read, as far as the library lets it be seen; from a socket it stays there."""
    session = getattr(resource.visalib, "sessions", {}).get(resource.session)
    if session is None:
        return b""
    if hasattr(session, "unread"):  # a twin in this process
        return bytes(session.unread())
    interface = getattr(session, "interface", None)
    if isinstance(interface, socket.socket):
        held = bytes(getattr(session, "_pending_buffer", b""))
        try:
            return held + interface.recv(_CHUNK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return held
    number = getattr(interface, "in_waiting", 0)  # a serial line
    return bytes(interface.read(number)) if interface is not None and number else b""


def _line(text: str, ending: bytes) -> bytes:
    if not (text.isascii() and text.isprintable()):
        raise DeviceError(f"The request {text!r} must be one line of ASCII text: nothing was sent.")
    return text.encode("ascii") + ending


def _socket_of(resource: Any) -> socket.socket | None:
    """Return the socket of a pyvisa-py SOCKET resource; other back ends keep theirs to themselves."""
    session = getattr(resource.visalib, "sessions", {}).get(resource.session)
    connection = getattr(session, "interface", None)
    return connection if isinstance(connection, socket.socket) else None


def _closed_by_peer(resource: Any) -> bool:
    """Tell a peer that is gone from one that is slow: to pyvisa-py both are time-outs."""
    connection = _socket_of(resource)
    if connection is None:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
