"""What may be taken for the answer to a question: the text that comes after it, alone; and what is said otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

from atomlink.errors import DeviceError

BLANK = " \t\r\n\0"  # between two replies this is nothing
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all but tab, line feed, carriage return


class NoReplyError(DeviceError):
    """The instrument did not answer in time; its answer may come late, so `clear()` before the next query."""


class LinkLostError(DeviceError):
    """The connection is closed, refused or dead; `reopen()` makes a new one."""


class GarbledError(DeviceError):
    """What came is no text of this protocol; `clear()` before the next query, since more of it may follow."""


class UnaskedError(GarbledError):
    """Something had come that nobody asked for, so nothing was sent; `clear()`, and ask again."""


def parsed_json(text: str | bytes) -> Any:
    """Return what a JSON text says; ValueError for anything else, nested or long without end included."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def silent(source: object, unasked: str) -> None:
    """Raise UnaskedError if something has come that nobody asked for."""
    if unasked:
        raise UnaskedError(f"{source} said {unasked[:40]!r} unasked: no reply to an earlier question is taken for the "
                           "answer to this one, so nothing was sent.")  # fmt: skip


def alone(source: object, request: str, reply: str, unasked: str, ending: str = "\n") -> str:
    """Return a reply after which nothing more has come, or the same again; GarbledError if anything else has, since
    either may be the answer.
    """
    if unasked and {part.strip(BLANK) for part in unasked.split(ending)} - {"", reply.strip(BLANK)}:
        raise GarbledError(f"{source} answered {reply[:40]!r} to `{request[:60]}` and then {unasked[:40]!r}, which is "
                           "not text of one reply: either may be the answer. Ask again.")  # fmt: skip
    return reply


def text_of(line: bytes, source: str) -> str:
    """Return a reply as text, without carriage returns at its end; raise DeviceError for what is no text."""
    text = line.decode("latin-1").rstrip("\r\n")
    if not (text.isascii() and (text.isprintable() or _CONTROL.search(text) is None)):
        raise GarbledError(f"{source} answered {line[:40]!r}, which is not text: check address and baud rate.")
    return text
