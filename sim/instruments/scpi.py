"""The habits of SCPI instruments, for their twins.

Long and short forms, either case, a leading colon, commands joined by `;` (each then continues where the one before
stood, or starts at the root), optional nodes, units behind numbers, the FIFO error queue, and the common commands of
IEEE 488.2. Source: SCPI-1999 volume 1 (syntax and style, chapters 6 and 7) and volume 2, chapter 21 (error numbers).

A twin lists its commands as `"SOURce:FREQuency[:CW]": self._set_frequency` and `"SOURce:FREQuency[:CW]?": …`: capitals
are the short form, brackets what may be left out. A handler takes its arguments as text, returns the reply or None,
and raises `ScpiError` for what goes into the error queue.
"""

from __future__ import annotations

import inspect
import itertools
import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .twin import Twin

Handler = Callable[..., str | None]
Step = tuple[Handler, tuple[str, ...]]

QUEUE_LENGTH = 20
LONGEST_REQUEST = 10_000  # characters; more overflows the input buffer
_REMEMBERED = 256  # parsed requests
_NODE = re.compile(r"(\[?):?(\*?)([A-Z]+)([a-z]*)\]?")
_SUFFIX = re.compile(r"(?<=[A-Z])1(?=[:?]|$)")  # a numeric suffix of 1 is the same as none
_NUMBER = re.compile(r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?)\s*([A-Za-z%]*)$")
MESSAGES = {
    0: "No error", -102: "Syntax error", -104: "Data type error", -108: "Parameter not allowed",
    -109: "Missing parameter", -113: "Undefined header", -131: "Invalid suffix", -222: "Data out of range",
    -221: "Settings conflict", -224: "Illegal parameter value", -240: "Hardware error", -350: "Queue overflow",
    -363: "Input buffer overrun",
}  # fmt: skip


class ScpiError(Exception):
    """What an instrument puts into its error queue instead of obeying; the queue holds text, whatever was sent."""

    def __init__(self, number: int, detail: str = "") -> None:
        super().__init__(number, detail)
        self.number, self.detail = number, "".join(c if " " <= c <= "~" else "?" for c in detail)


class ScpiTwin(Twin):
    """A twin that speaks SCPI. Subclasses give `identity` and `commands()`."""

    identity = "ATOMLINK,TWIN,0,0"
    NO_ERROR = '0,"No error"'

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self._errors: deque[str] = deque()
        self._handlers = _all_forms({**self._common(), **self.commands()})
        self._steps = lru_cache(maxsize=_REMEMBERED)(self._parse)

    def commands(self) -> Mapping[str, Handler]:
        """Return the instrument's own commands."""
        raise NotImplementedError

    def reset(self) -> None:
        """Go to the state after *RST."""

    def handle(self, request: str) -> str | None:
        """Return the replies to the queries of one line, joined by `;`; None if it has none."""
        replies = []
        for handler, arguments in self._steps(request):
            try:
                reply = handler(*arguments)
            except ScpiError as error:
                self.error(error.number, error.detail)
            else:
                if reply is not None:
                    replies.append(reply)
        return ";".join(replies) if replies else None

    def error(self, number: int, detail: str = "") -> None:
        """Put an error into the queue; the last place of a full queue says that it overflowed."""
        if len(self._errors) == QUEUE_LENGTH:
            self._errors[-1] = f'-350,"{MESSAGES[-350]}"'
            return
        text = MESSAGES.get(number, "Device-specific error") + (f";{detail}" if detail else "")
        self._errors.append(f'{number},"{text}"')

    def _common(self) -> dict[str, Handler]:
        return {
            "*IDN?": lambda: self.identity,
            "*RST": self.reset,
            "*CLS": self._errors.clear,
            "*OPC": _nothing,
            "*OPC?": lambda: "1",
            "*WAI": _nothing,
            "*STB?": lambda: "4" if self._errors else "0",
            "*TST?": lambda: "0",
            "SYSTem:ERRor[:NEXT]?": self._next_error,
            "SYSTem:ERRor:COUNt?": lambda: str(len(self._errors)),
            "SYSTem:ERRor:ALL?": self._all_errors,
            "SYSTem:VERSion?": lambda: "1999.0",
        }

    def _next_error(self) -> str:
        return self._errors.popleft() if self._errors else self.NO_ERROR

    def _all_errors(self) -> str:
        found = ",".join(self._errors) or self.NO_ERROR
        self._errors.clear()
        return found

    # -- syntax --------------------------------------------------------------------------------------------------------

    def _parse(self, request: str) -> tuple[Step, ...]:
        if len(request) > LONGEST_REQUEST:
            return (_failing(-363),)
        steps: list[Step] = []
        path = ""
        for part in _split(request, ";"):
            text = part.strip()
            if text:
                step, path = self._command(text, path)
                steps.append(step)
        return tuple(steps)

    def _command(self, text: str, path: str) -> tuple[Step, str]:
        """Return what one command does, and where the next one of the line continues."""
        header, _, rest = text.partition(" ")
        header = header.upper()
        arguments = tuple(item.strip() for item in _split(rest, ",")) if rest.strip() else ()
        name = header.removeprefix(":")
        if not header.startswith((":", "*")) and f"{path}{name}" in self._handlers:
            name = f"{path}{name}"
        found = self._handlers.get(name) or self._handlers.get(_SUFFIX.sub("", name))
        if found is None:
            return _failing(-113, header), path
        handler, fewest, most = found
        if not name.startswith("*"):
            path = name[: name.rfind(":") + 1]
        if len(arguments) < fewest:
            return _failing(-109, header), path
        if len(arguments) > most:
            return _failing(-108, header), path
        return (handler, arguments), path


def number(text: str, units: Mapping[str, float] | None = None, lowest: float = -math.inf,
           highest: float = math.inf, default: float | None = None) -> float:  # fmt: skip
    """Return a numeric parameter; `units` maps the suffixes that may follow (upper case) to their factors."""
    word = text.upper()
    named = {"MIN": lowest, "MINIMUM": lowest, "MAX": highest, "MAXIMUM": highest, "DEF": default, "DEFAULT": default}
    if word in named and (value := named[word]) is not None and math.isfinite(value):
        return value
    match = _NUMBER.match(text)
    if match is None:
        raise ScpiError(-104, text[:40])
    suffix = match[2].upper()
    if suffix and suffix not in (units or {}):
        raise ScpiError(-131, match[2][:40])
    value = float(match[1]) * ((units or {})[suffix] if suffix else 1.0)
    if not lowest <= value <= highest or not math.isfinite(value):
        raise ScpiError(-222, text[:40])
    return value


def boolean(text: str) -> bool:
    """Return a parameter ON, OFF, 1 or 0."""
    word = text.upper()
    if word not in ("ON", "OFF", "1", "0"):
        raise ScpiError(-104, text[:40])
    return word in ("ON", "1")


def nr3(value: float) -> str:
    """Return a number as instruments write it: one digit, six decimals, exponent."""
    return f"{value:.6E}"


def _split(text: str, separator: str) -> list[str]:
    """Split outside parentheses and quotes."""
    if "(" not in text and '"' not in text and "'" not in text:
        return text.split(separator)
    parts, start, depth, quote = [], 0, 0, ""
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == separator and depth <= 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _all_forms(commands: Mapping[str, Handler]) -> dict[str, tuple[Handler, int, int]]:
    """Return handler and numbers of arguments by every spelling of a header, in upper case."""
    found = {}
    for pattern, handler in commands.items():
        query = "?" if pattern.endswith("?") else ""
        choices = [_node_forms(*match.groups()) for match in _NODE.finditer(pattern)]
        fewest, most = _arity(handler)
        for nodes in itertools.product(*choices):
            found[":".join(node for node in nodes if node) + query] = (handler, fewest, most)
    return found


def _node_forms(optional: str, star: str, short: str, rest: str) -> list[str]:
    forms = [star + short, star + short + rest.upper()]
    return [*dict.fromkeys(forms), *([""] if optional else [])]


def _arity(handler: Handler) -> tuple[int, int]:
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:  # a method of a built-in type, such as deque.clear
        return 0, 0
    fewest = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
    unbounded = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return fewest, 1 << 30 if unbounded else len(parameters)


def _failing(number: int, header: str = "") -> Step:
    def fail() -> None:
        raise ScpiError(number, header[:40])

    return fail, ()


def _nothing() -> None:
    """A command that takes effect at once here."""
