"""Toptica DLC pro with a DL pro head: diode current, piezo, emission, frequency lock.

The wire is DeCoP text on TCP port 1998, spoken by Toptica's own SDK (`toptica.lasersdk`, MIT); the transport passed in
is an SDK connection. Errors come inline, as `Error: ...` or as a negative status, so there is no error queue. Source:
the SDK 3.3 and its parameter tree of firmware 3.x; `laser1:dl:lock:state` 5 = locked and 9 = relocking from the design
page, other states are passed on by number with the instrument's own text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from toptica.lasersdk.asyncio.connection import ConnectionClosedError, UnavailableError
from toptica.lasersdk.client import (
    Client,
    Connection,
    DecopError,
    DecopValueError,
    DeviceNotFoundError,
    DeviceTimeoutError,
    SerialConnection,
)  # fmt: skip
from toptica.lasersdk.client import NetworkConnection as SdkConnection

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument
from .replies import GarbledError, LinkLostError, NoReplyError, UnaskedError, alone, silent
from .transport import tcp_address

logger = logging.getLogger(__name__)
COMMAND_PORT = 1998
ACTUAL = Limits(-5.0, 1000.0, "mA")  # measured: noise around 0 when it is off
OF_THE_CONTROLLER = Limits(0.0, 1000.0, "mA or V")  # its own limits before this driver has brought them down
STATES = Limits(0, 99, "(lock state)")
_PASSES = 4  # of the event loop, for what a socket has to come through
LOCKED, RELOCKING = 5, 9
Value = TypeVar("Value", bool, int, float, str)


class NetworkConnection(SdkConnection):
    """The SDK's network connection, whose opening has a time-out too: the SDK waits for a dead host without end."""

    async def open(self) -> None:
        """Connect within the time-out; DeviceNotFoundError otherwise."""
        try:
            await asyncio.wait_for(super().open(), self.timeout)
        except TimeoutError:
            raise DeviceNotFoundError(f"no answer within {self.timeout:g} s") from None


class OneReply(Connection):
    """An SDK connection on which a question is only put into silence, and answered once: the SDK takes whatever line
    comes next for the answer.
    """

    def __init__(self, inner: Connection) -> None:
        self.inner, self._request = inner, ""

    async def open(self) -> None:
        """Open the connection."""
        await self.inner.open()

    async def close(self) -> None:
        """Close the connection."""
        await self.inner.close()

    async def write_command_line(self, message: str) -> None:
        """Send a request; UnaskedError if something came that nobody asked for."""
        silent(self, await self._unasked())
        self._request = message.strip()
        await self.inner.write_command_line(message)

    async def read_command_line(self) -> str:
        """Return the reply; GarbledError if it is not the only one."""
        reply: str = await self.inner.read_command_line()
        if not reply.startswith(('"', "Error", "error")) and ("_" in reply or not reply.isascii()):
            # To Python 1_0 would be 10.
            raise GarbledError(f"{self} answered {self._request} with {reply[:40]!r}, which is no DeCoP value.")
        return alone(self, self._request, reply, await self._unasked(), "\n> ")

    async def write_monitoring_line(self, message: str) -> None:
        """Send a request to the monitoring line."""
        await self.inner.write_monitoring_line(message)

    async def read_monitoring_line(self) -> str:
        """Return the next line of the monitoring line."""
        line: str = await self.inner.read_monitoring_line()
        return line

    @property
    def timeout(self) -> float:
        """Time-out in s."""
        return float(self.inner.timeout)

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return bool(self.inner.is_open)

    @property
    def command_line_available(self) -> bool:
        """Whether there is a command line."""
        return bool(self.inner.command_line_available)

    @property
    def monitoring_line_available(self) -> bool:
        """Whether there is a monitoring line."""
        return bool(self.inner.monitoring_line_available)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it was opened in."""
        return self.inner.loop

    def __repr__(self) -> str:
        return repr(self.inner)

    async def _unasked(self) -> str:
        """Return what has come and was not read, without waiting; half a line, too, where the SDK lets it be seen."""
        reader = getattr(self.inner, "_command_line_reader", None)
        reading = asyncio.ensure_future(self.inner.read_command_line() if reader is None else reader.read(1 << 16))
        for _ in range(_PASSES):
            await asyncio.sleep(0)
            if reading.done():
                found = reading.result()
                return found if isinstance(found, str) else found.decode("utf-8", "replace")
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return ""


class DecopTransport:
    """Parameters of one DeCoP device through the SDK's client; what fails becomes one of our errors."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._client: Client | None = None

    def get(self, parameter: str, kind: type[Value]) -> Value:
        """Return the value of a parameter."""
        return kind(self._run(lambda client: client.get(parameter, kind), f"(param-ref '{parameter})"))

    def set(self, parameter: str, value: bool | int | float | str) -> None:
        """Set a parameter; DeviceError if the instrument answers with an error."""
        self._run(lambda client: client.set(parameter, value), f"(param-set! '{parameter} {value})")

    def clear(self) -> None:
        """Start a new connection: a late reply would be taken for the answer to the next question."""
        self.reopen()

    def reopen(self) -> None:
        """Close and connect again."""
        self.close()
        self._opened()

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except (DecopError, OSError) as error:
                logger.info("%s: the connection did not close in order: %s", self, error)

    def __str__(self) -> str:
        return repr(self.connection)

    def _opened(self) -> Client:
        if self._client is None:
            inner = self.connection
            client = Client(inner if isinstance(inner, SerialConnection) else OneReply(inner))  # a serial read blocks
            try:
                client.open()
            except (DecopError, OSError) as error:
                raise LinkLostError(f"{self} cannot be opened ({error}): check that the controller is on.") from error
            self._client = client
        return self._client

    def _run(self, ask: Callable[[Client], Any], request: str) -> Any:
        client = self._opened()
        try:
            return ask(client)
        except DeviceTimeoutError as error:
            raise NoReplyError(f"{self} did not answer {request} within {self.connection.timeout:g} s.") from error
        except (ConnectionClosedError, UnavailableError, OSError) as error:
            self.close()
            reason = str(error) or "the peer closed it"
            raise LinkLostError(f"The connection to {self} was lost at {request} ({reason}).") from error
        except DecopValueError as error:
            raise GarbledError(f"{self} answered {request} with what is none: {str(error).strip()}") from error
        except DecopError as error:
            raise DeviceError(f"{self} refused {request}: {str(error).strip()}") from error
        # The SDK takes the last line of a reply to a set, and converts numbers, without looking: garbage ends here.
        except (IndexError, ValueError, OverflowError) as error:
            raise GarbledError(f"{self} answered {request} with what is no DeCoP value ({error}).") from error


class Driver(Instrument):
    """One DL pro behind a DLC pro. Currents in mA, piezo in V; out of range is refused before anything is sent."""

    KIND = "DLC pro laser controller"
    IDENTITY = r"^DLC ?pro\b"

    def __init__(self, name: str, transport: Any, current_ma: Limits | None = None, piezo_v: Limits | None = None,
                 laser: str = "laser1") -> None:  # fmt: skip
        super().__init__(name, transport if isinstance(transport, DecopTransport) else DecopTransport(transport))
        self.current_limits = current_ma or Limits(0.0, 130.0, "mA")
        self.piezo_limits = piezo_v or Limits(0.0, 140.0, "V")
        self._head = f"{laser}:dl"

    @classmethod
    def connect(cls, device: str, library: str = "") -> DecopTransport:
        """Return the transport to HOST[:PORT] (port 1998), not yet open; there is no choice of library."""
        host, port = tcp_address(device, COMMAND_PORT)
        return DecopTransport(NetworkConnection(host, port, 0, cls.TIMEOUT_S))

    def open(self) -> Driver:
        """Connect, check who answers, and bring the controller's own limits down to those of this driver."""
        super().open()
        if self._get_number("cc:current-clip", OF_THE_CONTROLLER) > self.current_limits.highest:
            self.set_current_clip_ma(self.current_limits.highest)
        if self._get_number("pc:voltage-max", OF_THE_CONTROLLER) > self.piezo_limits.highest:
            self.set_piezo_limit_v(self.piezo_limits.highest)
        return self

    # -- diode ---------------------------------------------------------------------------------------------------------

    def current_ma(self) -> float:
        """Return the set point of the diode current in mA."""
        return self._get_number("cc:current-set", self.current_limits)

    def actual_current_ma(self) -> float:
        """Return the measured diode current in mA."""
        return self._get_number("cc:current-act", ACTUAL)

    def set_current_ma(self, value: float) -> float:
        """Set the diode current in mA, up to the limit and the controller's own clip; return what reads back."""
        limits = self.current_limits
        replace(limits, max_step=None).check(f"{self.name} current", value)
        clip = self.current_clip_ma()
        if clip < limits.highest:
            limits = replace(limits, highest=clip)
        return self._set("current", value, limits, self._writer("cc:current-set"), self.current_ma, 0.05)

    def current_clip_ma(self) -> float:
        """Return the controller's own limit of the current in mA."""
        return self._get_number("cc:current-clip", self.current_limits)

    def set_current_clip_ma(self, value: float) -> float:
        """Set the controller's own limit of the current in mA; return what reads back."""
        limits = replace(self.current_limits, max_step=None)
        return self._set("current clip", value, limits, self._writer("cc:current-clip"), self.current_clip_ma, 0.05)

    def emission(self) -> bool:
        """Tell whether the diode emits."""
        return self._get("cc:emission", bool)

    def set_emission(self, on: bool) -> None:
        """Switch the current driver on or off; DeviceError if the controller's key or interlock keeps it off."""
        self._switch("emission", "cc:enabled", on, self.emission)

    # -- frequency -----------------------------------------------------------------------------------------------------

    def piezo_v(self) -> float:
        """Return the set point of the grating piezo in V."""
        return self._get_number("pc:voltage-set", self.piezo_limits)

    def set_piezo_v(self, value: float) -> float:
        """Set the grating piezo in V; return what reads back."""
        return self._set("piezo", value, self.piezo_limits, self._writer("pc:voltage-set"), self.piezo_v, 0.01)

    def piezo_limit_v(self) -> float:
        """Return the controller's own limit of the piezo in V."""
        return self._get_number("pc:voltage-max", self.piezo_limits)

    def set_piezo_limit_v(self, value: float) -> float:
        """Set the controller's own limit of the piezo in V; return what reads back."""
        limits = replace(self.piezo_limits, max_step=None)
        return self._set("piezo limit", value, limits, self._writer("pc:voltage-max"), self.piezo_limit_v, 0.01)

    def lock_state(self) -> int:
        """Return the controller's lock state: 5 locked, 9 relocking."""
        state = self._get("lock:state", int)
        return int(self._inside(state, f"lock:state {state}", STATES))

    def lock_state_text(self) -> str:
        """Return the lock state in the controller's words."""
        return self._get("lock:state-txt", str)

    def is_locked(self) -> bool:
        """Tell whether the frequency lock holds."""
        return self.lock_state() == LOCKED

    def set_lock(self, enabled: bool) -> None:
        """Switch the frequency lock on or off; whether it catches is for `lock_state`."""
        self._switch("lock enabled", "lock:lock-enabled", enabled, lambda: self._get("lock:lock-enabled", bool))

    def relock(self) -> bool:
        """Switch the lock off and on again; return whether it holds now (a search may still be under way: state 9)."""
        self.set_lock(False)
        self.set_lock(True)
        return self.is_locked()

    # -- protocol ------------------------------------------------------------------------------------------------------

    def _read_identity(self) -> str:
        parts = [self.transport.get(name, str) for name in ("system-type", "serial-number", "fw-ver")]
        return " ".join(parts)

    def _read_error(self) -> tuple[int, str]:
        return 0, ""  # errors come inline: there is no queue

    def _get(self, parameter: str, kind: type[Value]) -> Value:
        return self._retried(lambda: self.transport.get(f"{self._head}:{parameter}", kind))  # type: ignore[return-value]

    def _get_number(self, parameter: str, limits: Limits) -> float:
        value = self._get(parameter, float)
        return self._number(repr(value), limits)

    def _writer(self, parameter: str) -> Callable[[float], None]:
        return lambda value: self._write(parameter, value)

    def _write(self, parameter: str, value: bool | float) -> None:
        """Set a parameter once: after a broken link nobody knows whether it took effect."""
        self._ready()
        name = f"{self._head}:{parameter}"
        try:
            self._set_once(name, value)
        except (LinkLostError, NoReplyError, GarbledError) as error:
            self._stale = True
            raise self._unknown_fate(f"{name} = {value}", error) from error

    def _set_once(self, name: str, value: bool | float) -> None:
        try:
            self.transport.set(name, value)
        except UnaskedError as error:  # so nothing was sent
            logger.warning("%s: %s Connecting again.", self.name, error)
            self._stale = True
            self._ready()
            self.transport.set(name, value)

    def _switch(self, quantity: str, parameter: str, on: bool, read: Callable[[], bool]) -> None:
        if not isinstance(on, bool):
            raise DeviceError(f"{self.name} {quantity} is {on!r} but must be True or False: nothing was sent.")
        words = {True: "on", False: "off"}
        self._set_choice(quantity, words[on], lambda: self._write(parameter, on), lambda: words[read()])
