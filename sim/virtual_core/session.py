"""One client of the virtual core: ARTIQ's session protocol, from its greeting to its end.

Messages are four sync bytes, a type and its fields, little endian. Asynchronous calls are gathered and leave with the
next message that the client waits for. A client that breaks off or talks nonsense loses its connection, nothing else.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import TYPE_CHECKING, Any

from atomlink.errors import DeviceError, LabError

from .cpu import Stopped
from .elf import LoadError
from .exceptions import Uncaught
from .identity import MAGIC, SYNC
from .kernel import Kernel
from .memory import GuestFault

if TYPE_CHECKING:
    from .device import Device

logger = logging.getLogger(__name__)
_SYSTEM_INFO, _LOAD, _RUN, _RPC_REPLY, _RPC_EXCEPTION, _SUBKERNEL = 3, 5, 6, 7, 8, 9  # from the host
_INFO, _LOADED, _LOAD_FAILED, _FINISHED, _STARTUP_FAILED, _EXCEPTION, _CALL = 2, 5, 6, 7, 8, 9, 10  # to the host
_ERRORS = {"collision": 1, "busy error": 2, "sequence error": 4}
_LONGEST = 64 << 20
_GATHERED = 1 << 16


class HungUp(Exception):  # noqa: N818 - no error: clients come and go
    """The client has closed the connection."""


class ProtocolError(DeviceError):
    """The client sent what is no message of the protocol, or not one that has its place here."""


class Session:
    """A connection. `who` names its client in messages."""

    def __init__(self, connection: socket.socket, device: Device, who: str) -> None:
        self._socket, self._device, self.who = connection, device, who
        self._in, self._out = bytearray(), bytearray()
        self.kernel: Kernel | None = None
        self.running = False

    def serve(self) -> None:
        """Serve the client until it hangs up; never raises what it did wrong."""
        try:
            self._greet()
            while True:
                self._one()
        except (HungUp, Stopped, OSError):
            pass
        except LabError as error:
            logger.warning("%s is disconnected: %s", self.who, error)
        finally:
            self._socket.close()
            self._drop_kernel()
            self._device.leave(self, safely=not self.running)

    def hung_up(self) -> bool:
        """Say whether the client has gone, without taking anything from what it has sent."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def stop(self) -> None:
        """End the kernel that runs, from another thread."""
        kernel = self.kernel
        if kernel is not None and self.running:
            kernel.cpu.stop()

    # Messages

    def _greet(self) -> None:
        greeting = self.read(len(MAGIC))
        if greeting != MAGIC:
            raise ProtocolError(f"it greeted with {greeting!r}, must be {MAGIC!r}: this is the port for kernels")
        self._out += b"e"
        self._flush()

    def _one(self) -> None:
        """Carry out the next message."""
        kind = self._next()
        if kind == _SYSTEM_INFO:
            self._send(_INFO, b"AROR" + _string(self._device.ident) + bytes([self._device.finished_cleanly]))
        elif kind == _LOAD:
            self._load(self._bytes())
        elif kind == _RUN:
            self._run()
        elif kind == _SUBKERNEL:
            self.read(5)
            self._bytes()
            self._send(_LOAD_FAILED, _string("subkernels are not modelled by the virtual core: satellites have no CPU "
                                             "in the twin; make it a @kernel"))  # fmt: skip
        else:
            raise ProtocolError(f"it sent a message of type {kind}, which has no place here")

    def _next(self) -> int:
        sync = self.read(4)
        if sync != SYNC:
            raise ProtocolError(f"it sent {sync!r} where a message should begin")
        return self.read(1)[0]

    def _load(self, library: bytes) -> None:
        self._drop_kernel()
        try:
            self.kernel = Kernel(self._device.take(self), self, library)
        except (LabError, LoadError) as error:
            self._send(_LOAD_FAILED, _string(str(error)))
            return
        self._send(_LOADED)

    def _run(self) -> None:
        if self.kernel is None:
            self._send(_STARTUP_FAILED)
            return
        self.running, report = True, None
        try:
            with self._device.serving() as engine:
                try:
                    self.kernel.run()
                except Uncaught as uncaught:
                    report = uncaught.report
                engine.dma.end_kernel()
                engine.cache.end_kernel()
                engine.bus.note_busy()
                errors = sum(_ERRORS[kind] for kind, n in engine.bus.errors.items() if n)
                engine.bus.errors = dict.fromkeys(engine.bus.errors, 0)
        except GuestFault as fault:
            raise ProtocolError(str(fault)) from None
        except ProtocolError:
            raise
        except LabError as error:  # the lab refuses, or is lost: the client hears of it as of an exception
            report, errors = self.kernel.failure(str(error)), 0
        self.running, self._device.finished_cleanly = False, True
        self._drop_kernel()
        if report is None:
            self._send(_FINISHED, bytes([errors]))
        else:
            self._send(_EXCEPTION, report + bytes([errors]))

    def _drop_kernel(self) -> None:
        kernel, self.kernel = self.kernel, None
        if kernel is not None:
            kernel.close()

    # What the kernel asks of its host

    def call(self, message: bytes, asynchronous: bool) -> None:
        """Send the request for a remote procedure call."""
        self._out += SYNC + bytes([_CALL, asynchronous]) + message
        if not asynchronous or len(self._out) > _GATHERED:
            self._flush()

    def answer(self) -> tuple[str, None] | tuple[None, tuple[Any, ...]]:
        """Wait for the answer: the tag of a value that follows, or what `Exceptions.raise_new` takes."""
        kind = self._next()
        if kind == _RPC_REPLY:
            return self._bytes().decode("latin-1"), None
        if kind == _RPC_EXCEPTION:
            name, message, *params, file, line, column, function = struct.unpack("<IIqqqIiiI", self.read(48))
            return None, (name, message, params, file, line, column, function)
        raise ProtocolError(f"it sent a message of type {kind} while a kernel waits for the answer to an RPC")

    # Bytes

    def read(self, size: int) -> bytes:
        """Return the next bytes that the client sends; HungUp where it has gone."""
        while len(self._in) < size:
            more = self._socket.recv(max(65536, size - len(self._in)))
            if not more:
                raise HungUp
            self._in += more
        taken = bytes(self._in[:size])
        del self._in[:size]
        return taken

    def _bytes(self) -> bytes:
        (length,) = struct.unpack("<I", self.read(4))
        if length > _LONGEST:
            raise ProtocolError(f"it announced {length} bytes, must be at most {_LONGEST}")
        return self.read(length)

    def _send(self, kind: int, fields: bytes = b"") -> None:
        self._out += SYNC + bytes([kind]) + fields
        self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._out)
        self._out.clear()


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw
