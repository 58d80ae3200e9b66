"""The base of every instrument driver: who answers, what was asked and applied, and what to do when a link breaks.

    open() --[ connect ]--[ identity ]--[ drain error queue ]--[ apply the device's own limits ]-- ready
    set    --[ limits ]--[ write ]--[ error queue ]--[ read back ]--[ log ]

A driver is a subclass named `Driver` with docstrings that give units, one transport, and `Limits` per channel:
- `_ask(text)` for queries, `_tell(text)` for commands, `_set(...)` for a set point with its read-back;
- a query whose link breaks is sent once more over a new one; a command is not, since nobody knows whether it took
  effect: the error says so, and the next request finds a new link;
- after a time-out, a reply that makes no sense, or words that nobody asked for, the link is cleared and the identity
  asked for until it comes, so that no late reply is taken for the answer to another question;
- a reply is read by `_number`, `_whole` or `_word`, which take what can be one and nothing else: a number within
  limits, a word of a few. There is no default.
Protocols without `*IDN?` or without an error queue override `_read_identity` and `_read_error`, those that acknowledge
each command `_command`; those with a library of their own override `connect`.
"""

from __future__ import annotations

import getpass
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .replies import GarbledError, LinkLostError, NoReplyError, UnaskedError, parsed_json
from .visa import VisaTransport

logger = logging.getLogger(__name__)

ERROR_QUEUE_CAP = 100  # entries; instruments hold 10 to 50, so a longer queue never empties
_STALE_REPLIES = 5  # a time-out leaves few late replies behind
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\s*")
_NO_NUMBER = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE)
ON_OFF = {"1": True, "0": False, "ON": True, "OFF": False}  # SCPI's words of a boolean (SCPI-1999, volume 1, 7.3)
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Record:
    """One change of an instrument: what was requested, what was sent, what the instrument says it is now."""

    instrument: str
    quantity: str
    unit: str
    requested: float | str
    applied: float | str
    read_back: float | str
    who: str
    rid: int | None
    utc: str
    monotonic_s: float


class Instrument:
    """One instrument behind a transport. Use as a context manager, or call `open()` and `close()`."""

    KIND = "instrument"
    IDENTITY = r"(?!)"  # regular expression that the identity must contain; matches nothing until a driver says
    ENDING = "\n"
    TIMEOUT_S = 2.0
    VISA: dict[str, Any] = {}  # further settings of PyVISA's resource

    def __init__(self, name: str, transport: Any) -> None:
        self.name, self.transport = name, transport
        self.identity = ""
        self.who = _user()
        self.rid: int | None = None
        self.simulated = False
        self.keeps: Any = None  # what must live as long as this driver does
        self.on_record: Callable[[Record], None] | None = None
        self.on_errors: Callable[[str, str, list[str]], None] | None = None  # name, request, the instrument's own texts
        self.left_over: list[str] = []  # in the error queue when it was opened
        self._stale = self._opened = False

    @classmethod
    def connect(cls, device: str, library: Any = "@py") -> Any:
        """Return the transport to an address, not yet open; raise DeviceError if the address does not parse."""
        return VisaTransport(device, library, cls.TIMEOUT_S, cls.ENDING, **cls.VISA)

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Connect, check that the right instrument answers, and start from an empty error queue."""
        try:
            self._greet()
            self.left_over = self._drain()
            self._opened = True
            self._protect()
        except (GarbledError, LinkLostError, NoReplyError) as error:
            self.close()
            raise self._named(error) from error
        except BaseException:
            self.close()
            raise
        for text in self.left_over:
            logger.warning("%s: left over in the error queue: %s", self.name, text)
        logger.info("%s: %s%s", self.name, self.identity, " (simulation)" if self.simulated else "")
        return self

    def ping(self) -> bool:
        """Ask for the identity; True if the instrument that was opened answers."""
        return self._matches(self._retried(self._read_identity))

    def close(self) -> None:
        """Let go of the connection; a second time does nothing. What was set stays set."""
        self._opened = False
        self.transport.close()

    def __enter__(self) -> Self:
        return self if self._opened else self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what a protocol overrides -------------------------------------------------------------------------------------

    def _read_identity(self) -> str:
        """Return who answers."""
        return str(self.transport.query("*IDN?"))

    def _read_error(self) -> tuple[int, str]:
        """Return the oldest entry of the error queue as (number, the instrument's own text); 0 if it is empty."""
        text = str(self.transport.query("SYST:ERR?"))
        number = re.match(r"\s*([+-]?[0-9]+)\s*(?:,|$)", text)
        if number is None:
            raise self._misread(text, "no entry of an error queue")
        return int(number[1]), text

    def _command(self, text: str) -> None:
        """Send a command and raise what the instrument has to say against it."""
        self.transport.write(text)
        self._raise_errors(text)

    def _protect(self) -> None:
        """Set the device's own limits, the last thing of `open()`; nothing where it has none."""

    # -- requests ------------------------------------------------------------------------------------------------------

    def _ask(self, text: str) -> str:
        """Return the reply to a query, over a new link if the old one is broken."""
        return self._retried(self.transport.query, text)

    def _tell(self, text: str) -> None:
        """Carry out a command; where the link fails nobody knows whether it took effect, so it is not sent again."""
        self._ready()
        try:
            self._command(text)
        except (LinkLostError, NoReplyError, GarbledError) as error:
            self._stale = True
            raise self._unknown_fate(text, error) from error

    def _set(self, quantity: str, value: object, limits: Limits, write: Callable[[float], None],
             read: Callable[[], float], tolerance: float) -> float:  # fmt: skip
        """Set a quantity within its limits and return what reads back; raise DeviceError if they are apart."""
        what = f"{self.name} {quantity}"
        applied = limits.check_range(what, value)
        if limits.max_step is not None:
            limits.check(what, applied, read())
        write(applied)
        found = read()
        self._log(quantity, limits.unit, applied, applied, found)
        # `not <=` so that a read-back that is no number counts as apart.
        if not abs(found - applied) <= tolerance:
            raise DeviceError(
                f"{what} was set to {applied:g} {limits.unit} but reads back {found:g} {limits.unit} (more than "
                f"{tolerance:g} {limits.unit} apart): look at the instrument."
            )
        return found

    def _set_choice(self, quantity: str, value: str, write: Callable[[], None], read: Callable[[], str]) -> None:
        """Set what is no number (on, off, a path), and check that it reads back."""
        write()
        found = read()
        self._log(quantity, "", value, value, found)
        if found != value:
            raise DeviceError(
                f"{self.name} {quantity} was set to {value} but reads back {found}: look at the instrument."
            )

    def _choice(self, quantity: str, value: object, words: dict[Any, str]) -> str:
        """Return the word for one of a few values; DeviceError for any other, before anything is sent."""
        for allowed, word in words.items():
            if value is allowed or (value == allowed and type(value) is type(allowed)):
                return word
        listed = ", ".join(repr(allowed) for allowed in words)
        raise DeviceError(f"{self.name} {quantity} is {value!r} but must be one of {listed}: nothing was sent.")

    def _number(self, text: str, limits: Limits | None = None, slack: float = 0.0) -> float:
        """Return a reply as a finite number within limits; a measured one may be beyond them by `slack`."""
        if _NUMBER.fullmatch(text) is None and _NO_NUMBER.fullmatch(text) is None:
            raise self._misread(text, "not a number")
        value = float(text)
        if not abs(value) < 9e37:  # SCPI's 9.91e37 is "not a number", 9.9e37 infinity (IEEE 488.2)
            raise DeviceError(f"{self.name} answered {text[:60]!r}, which is no finite number: is it in range?")
        return self._inside(value, text, limits, slack)

    def _inside(self, value: float, text: str, limits: Limits | None, slack: float = 0.0) -> float:
        """Return what was answered if it lies within limits."""
        if limits is not None and not limits.lowest - slack <= value <= limits.highest + slack:
            raise self._misread(text, f"outside {limits.lowest:g} to {limits.highest:g} {limits.unit}: the answer to "
                                      "another question, or set at the instrument itself")  # fmt: skip
        return value

    def _whole(self, text: str, limits: Limits) -> int:
        """Return a reply as a whole number within limits."""
        value = self._number(text, limits)
        if value != int(value):
            raise self._misread(text, "no whole number")
        return int(value)

    def _word(self, text: str, words: Mapping[str, Choice]) -> Choice:
        """Return what one of a few words means; any other is an error, and stands for nothing."""
        found = text.strip().upper()
        if found not in words:
            raise self._misread(text, f"none of {', '.join(words)}")
        return words[found]

    def _parsed(self, text: str | bytes) -> Any:
        """Return what a reply in JSON says."""
        try:
            return parsed_json(text)
        except ValueError:
            shown = text if isinstance(text, str) else text.decode("latin-1")
            raise self._misread(shown, "not JSON") from None

    def _json_number(self, value: Any, what: str, limits: Limits | None = None) -> float:
        """Return a number that came in JSON; text and true are none."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 9e37:
            raise self._misread(str(value)[:60], f"no finite number ({what})")
        return self._inside(float(value), f"{what} = {value}", limits)

    def _misread(self, text: str, what: str) -> DeviceError:
        """Return the error for a reply that makes no sense; what may follow it is no answer to the next question."""
        self._stale = True
        return DeviceError(f"{self.name} answered {text[:60]!r}, which is {what}.")

    def _log(self, quantity: str, unit: str, requested: float | str, applied: float | str,
             read_back: float | str) -> None:  # fmt: skip
        """Log a change, and tell whoever wants to know."""
        utc = datetime.now(UTC).isoformat(timespec="microseconds")
        record = Record(self.name, quantity, unit, requested, applied, read_back, self.who, self.rid, utc,
                        time.monotonic())  # fmt: skip
        logger.info("%s: %s requested %s, applied %s, read back %s %s (%s, rid %s)", self.name, quantity, requested,
                    applied, read_back, unit, self.who, self.rid, extra={"instrument_record": record})  # fmt: skip
        if self.on_record is not None:
            self.on_record(record)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _retried(self, read: Callable[..., str], *arguments: str) -> str:
        try:
            try:
                self._ready()
                return read(*arguments)
            except (LinkLostError, UnaskedError) as error:
                logger.warning("%s: %s Connecting again.", self.name, error)
            self._stale = True
            self._ready()
            return read(*arguments)
        except (LinkLostError, NoReplyError, GarbledError) as error:
            self._stale = True
            raise self._named(error) from error

    def _named(self, error: DeviceError) -> DeviceError:
        """Return an error of the transport's with the name of the instrument."""
        return error if self.name in str(error) else type(error)(f"{error} ({self.name})")

    def _ready(self) -> None:
        """After a time-out, a broken link or unasked words, start afresh and see that the same instrument is there."""
        unasked = getattr(self.transport, "unasked", None)
        if not self._stale and unasked is not None and (text := unasked()):
            logger.warning("%s said %r unasked: connecting again", self.name, text[:60])
            self._stale = True
        if self._stale:
            self.transport.clear()
            self._greet()
            self._stale = False
            if self._opened:
                self._protect()  # it may have been switched off and on meanwhile

    def _greet(self) -> None:
        """Read the identity; replies to earlier questions that come in its place are dropped."""
        for attempt in range(_STALE_REPLIES if self._stale else 1):
            if attempt:
                self.transport.clear()
            try:
                self.identity = self._read_identity()
            except GarbledError:
                if not self._stale or attempt == _STALE_REPLIES - 1:
                    raise
                continue  # a late reply, and the identity behind it
            if self._matches(self.identity):
                return
        raise DeviceError(
            f"{self.name} identifies as {self.identity[:80]!r} but must match {self.IDENTITY!r} ({self.KIND}): nothing "
            "was sent. Check the address."
        )

    def _matches(self, identity: str) -> bool:
        return re.search(self.IDENTITY, identity, re.IGNORECASE) is not None

    def _drain(self) -> list[str]:
        """Return the entries of the error queue, oldest first, until it is empty."""
        found: list[str] = []
        for _ in range(ERROR_QUEUE_CAP):
            number, text = self._read_error()
            if number == 0:
                return found
            found.append(text)
        raise DeviceError(
            f"{self.name} still reports {found[-1]!r} after {ERROR_QUEUE_CAP} reads of its error queue: switch it off "
            "and on."
        )

    def _raise_errors(self, text: str) -> None:
        found = self._drain()
        if found:
            raise self._refusal(text, found)

    def _refusal(self, text: str, found: list[str]) -> DeviceError:
        """Return the error for a request that the instrument refuses, and tell whoever wants to know."""
        if self.on_errors is not None:
            self.on_errors(self.name, text, found)
        return DeviceError(f"{self.name} refused `{text}`: {'; '.join(found)}")

    def _unknown_fate(self, text: str, error: DeviceError) -> DeviceError:
        return DeviceError(
            f"{self.name}: the link failed around `{text}`, so whether it took effect is unknown; it was not "
            f"sent again. Read it back before you go on. {error}"
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"
