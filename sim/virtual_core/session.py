"""One client of the virtual core: ARTIQ's session protocol, from its greeting to its end.

Messages are four sync bytes, a type and its fields, little endian. Asynchronous calls are gathered and leave with the
next message that the client waits for. A client that breaks off or talks nonsense loses its connection, nothing else.
"""

from __future__ import annotations

import logging
import socket
import struct
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from atomlink.errors import LabError

from .elf import LoadError
from .exceptions import Uncaught
from .identity import MAGIC, SYNC
from .kernel import Kernel
from .memory import GuestFault
from .stream import ProtocolError, Stream, packed

if TYPE_CHECKING:
    from .device import Device

logger = logging.getLogger(__name__)
_SYSTEM_INFO, _LOAD, _RUN, _RPC_REPLY, _RPC_EXCEPTION, _SUBKERNEL = 3, 5, 6, 7, 8, 9  # from the host
_INFO, _LOADED, _LOAD_FAILED, _FINISHED, _STARTUP_FAILED, _EXCEPTION, _CALL = 2, 5, 6, 7, 8, 9, 10  # to the host
_ERRORS = {"collision": 1, "busy error": 2, "sequence error": 4}
_GATHERED = 1 << 16


class Session:
    """A connection. `who` names its client in messages."""

    def __init__(self, connection: socket.socket, device: Device, who: str) -> None:
        self._stream, self._device, self.who = Stream(connection, self._away), device, who
        self.read = self._stream.read
        self.kernel: Kernel | None = None
        self.running = False

    def serve(self) -> None:
        """Serve the client until it hangs up, or is told what it did wrong."""
        self._stream.expect(MAGIC, "kernels")
        self._stream.send(b"e")
        while True:
            self._one()

    def over(self) -> None:
        """Let go of its kernel and of the core."""
        self._drop_kernel()
        self._device.leave(self, safely=not self.running)

    def hung_up(self) -> bool:
        """Say whether the client has gone."""
        return self._stream.hung_up()

    def _away(self) -> AbstractContextManager[None]:
        """Others may have the lab while a kernel waits for its host."""
        return self._device.turns.away() if self.running else nullcontext()

    def stop(self) -> None:
        """End the kernel that runs, from another thread."""
        kernel = self.kernel
        if kernel is not None and self.running:
            kernel.cpu.stop()

    # Messages

    def _one(self) -> None:
        """Carry out the next message."""
        kind = self._next()
        if kind == _SYSTEM_INFO:
            self._send(_INFO, b"AROR" + packed(self._device.ident.encode()) + bytes([self._device.finished_cleanly]))
        elif kind == _LOAD:
            self._load(self._stream.field())
        elif kind == _RUN:
            self._run()
        elif kind == _SUBKERNEL:
            self.read(5)
            self._stream.field()
            self._send(_LOAD_FAILED, packed(b"subkernels are not modelled by the virtual core: satellites have no CPU "
                                            b"in the twin; make it a @kernel"))  # fmt: skip
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
            self.kernel = Kernel(self._device.take(self), self, library, self._device.analyzer)
        except (LabError, LoadError) as error:
            self._send(_LOAD_FAILED, packed(str(error).encode()))
            return
        self._send(_LOADED)

    def _run(self) -> None:
        if self.kernel is None:
            self._send(_STARTUP_FAILED)
            return
        report = None
        try:
            with self._device.serving(self.kernel) as engine:
                self.running = True
                try:
                    self.kernel.run()
                except Uncaught as uncaught:
                    report = uncaught.report
                engine.dma.end_kernel()
                engine.cache.end_kernel()
                engine.bus.note_busy()
                errors = sum(_ERRORS[kind] for kind, n in engine.bus.errors.items() if n)
                engine.bus.errors = dict.fromkeys(engine.bus.errors, 0)
                self.running = False
        except GuestFault as fault:
            raise ProtocolError(str(fault)) from None
        except ProtocolError:
            raise
        except LabError as error:  # the lab refuses, or is lost: the client hears of it as of an exception
            report, errors, self.running = self.kernel.failure(str(error)), 0, False
        self._device.finished_cleanly = True
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
        self._stream.out += SYNC + bytes([_CALL, asynchronous]) + message
        if asynchronous and len(self._stream.out) > _GATHERED:
            self._stream.flush()

    def answer(self) -> tuple[str, None] | tuple[None, tuple[Any, ...]]:
        """Wait for the answer: the tag of a value that follows, or what `Exceptions.raise_new` takes."""
        kind = self._next()
        if kind == _RPC_REPLY:
            return self._stream.field().decode("latin-1"), None
        if kind == _RPC_EXCEPTION:
            name, message, *params, file, line, column, function = struct.unpack("<IIqqqIiiI", self.read(48))
            return None, (name, message, params, file, line, column, function)
        raise ProtocolError(f"it sent a message of type {kind} while a kernel waits for the answer to an RPC")

    def _send(self, kind: int, fields: bytes = b"") -> None:
        self._stream.send(SYNC + bytes([kind]) + fields)
