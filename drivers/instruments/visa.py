"""How text reaches an instrument over VISA, with PyVISA: by pyvisa-py, a vendor's library, or into the twins."""

import socket
from functools import cached_property
from typing import Any

from atomlink.errors import DeviceError

from .replies import BLANK, LinkLostError, NoReplyError, alone, silent, text_of
from .transport import CHUNK, LONGEST_REPLY, line_of

_BABBLE = 100  # replies that are dropped in search of silence


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
        data = line_of(text, self._write_ending)
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
            data, _ = resource.visalib.read(resource.session, CHUNK)
            while not data.endswith(ending) and len(data) < LONGEST_REPLY:
                more, _ = resource.visalib.read(resource.session, CHUNK)
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
                resource.visalib.read(resource.session, CHUNK)
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
            return held + interface.recv(CHUNK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return held
    number = getattr(interface, "in_waiting", 0)  # a serial line
    return bytes(interface.read(number)) if interface is not None and number else b""


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
