"""Twin of the WebSQ: labels over JSON on the control port, and counts as comma-separated lines.

A request is the text of one or more JSON objects, with or without 0x17 between them; a reply is all messages, joined by
0x17. The request `COUNTS` (empty bytes) is what the counts port makes of the end of a measurement period. `take` cuts
complete objects out of what a socket brought. The first column of the counts is lab time.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.instruments.transport import NoReplyError
from sim.world.elements.snspd_electronics import BIAS_UA, PERIOD_MS, TRIGGER_MV

from .twin import Handle
from .twin import Twin as Base

COUNTS = b""
SEPARATOR = "\x17"
LONGEST_REQUEST = 100_000  # characters
_DEEPEST = 20  # brackets within brackets
_VOLTAGE_NOISE_MV = 0.02  # rms


class Twin(Base):
    """One WebSQ; `element` is the detectors' electronics."""

    ENDING = SEPARATOR
    REQUEST_ENDING = ""

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self._commands: dict[str, Callable[[Any], str]] = {
            "SetAllBiasCurrents": self._set_bias, "SetAllTriggerLevels": self._set_trigger,
            "SetMeasurementPeriod": self._set_period, "DetectorEnable": self._enable,
        }  # fmt: skip

    def handle(self, request: Any) -> str:
        """Return the messages that a request brings, joined by 0x17, or one line of counts."""
        if request == COUNTS:
            return self.counts_line()
        if not isinstance(request, str) or len(request) > LONGEST_REQUEST:
            return _error("request too long or no text")
        objects, rest = take(request)
        messages = [message for text in objects for message in self._answer(text)]
        if rest.strip(SEPARATOR + " \r\n\t"):
            messages.append(_error("JSON syntax error"))
        return SEPARATOR.join(messages)

    def in_process(self, handle: Handle) -> Any:
        """Return the driver's transport."""
        return InProcess(handle)

    def counts_line(self) -> str:
        """Return lab time in s and the counts of the last period, as one line of the counts port."""
        return ",".join([f"{self.element.now_s:.6f}", *(str(count) for count in self.element.counts())])

    # -- inside --------------------------------------------------------------------------------------------------------

    def _answer(self, text: str) -> list[str]:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return [_error("JSON syntax error")]
        if "request" in message:
            return self._requested(message["request"])
        command = message.get("command")
        if not isinstance(command, str) or command not in self._commands:
            return [_error(f"unknown command {str(command)[:40]}")]
        try:
            label = self._commands[command](message.get("value"))
        except (TypeError, ValueError) as error:
            return [_error(f"{command}: {error}")]
        return [_message(label, self._label(label)["value"])]

    def _requested(self, what: Any) -> list[str]:
        labels = self._labels()
        if what == "labelProps":
            return [_message(label, properties) for label, properties in labels.items()]
        if isinstance(what, str) and what in labels:
            return [_message(what, labels[what]["value"])]
        return [_error(f"unknown request {str(what)[:40]}")]

    def _label(self, label: str) -> dict[str, Any]:
        return self._labels()[label]

    def _labels(self) -> dict[str, dict[str, Any]]:
        element, number = self.element, len(self.element.bias_ua)
        noise = self.rng.normal(0.0, _VOLTAGE_NOISE_MV, number).tolist()
        return {
            "NumberOfDetectors": {"value": number},
            "BiasCurrent": {"value": list(element.bias_ua), "unit": "uA", **_range(BIAS_UA)},
            "TriggerLevel": {"value": list(element.trigger_mv), "unit": "mV", **_range(TRIGGER_MV)},
            "BiasVoltage": {"value": [round(element.voltage_mv(k) + noise[k], 4) for k in range(number)], "unit": "mV"},
            "InptMeasurementPeriod": {"value": element.period_ms, "unit": "ms", **_range(PERIOD_MS)},
            "DetectorEnable": {"value": element.enabled},
        }

    def _set_bias(self, value: Any) -> str:
        self.element.set_bias(self._numbers(value, *BIAS_UA))
        return "BiasCurrent"

    def _set_trigger(self, value: Any) -> str:
        self.element.set_trigger(self._numbers(value, *TRIGGER_MV))
        return "TriggerLevel"

    def _set_period(self, value: Any) -> str:
        self.element.period_ms = _number(value, *PERIOD_MS)
        return "InptMeasurementPeriod"

    def _enable(self, value: Any) -> str:
        if not isinstance(value, bool):
            raise ValueError("value must be true or false")
        self.element.enable(value)
        return "DetectorEnable"

    def _numbers(self, value: Any, lowest: float, highest: float) -> list[float]:
        number = len(self.element.bias_ua)
        if not isinstance(value, list) or len(value) != number:
            raise ValueError(f"value must be a list of {number} numbers")
        return [_number(item, lowest, highest) for item in value]


class InProcess:
    """The driver's transport when twin and driver are one process."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._messages: deque[str] = deque()

    def write(self, text: str) -> None:
        """Send JSON."""
        reply = self._handle(text)
        self._messages += reply.split(SEPARATOR) if reply else []

    def read(self) -> str:
        """Return the next message."""
        if not self._messages:
            raise NoReplyError("The WebSQ has nothing more to say.")
        return self._messages.popleft()

    def heard(self) -> list[str]:
        """Return what was not read."""
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def counts_line(self) -> str:
        """Return the counts of the last period."""
        return str(self._handle(COUNTS))

    def clear(self) -> None:
        """Drop what was not read."""
        self._messages.clear()

    def reopen(self) -> None:
        """Start afresh."""
        self._messages.clear()

    def close(self) -> None:
        """Let go."""
        self._messages.clear()


def take(buffer: str) -> tuple[list[str], str]:
    """Cut the JSON objects that are complete out of a buffer; return them and what is left."""
    objects, start, depth, quoted, escaped = [], 0, 0, False, False
    for i, character in enumerate(buffer):
        if quoted:
            escaped, quoted = character == "\\" and not escaped, character != '"' or escaped
        elif character == '"' and depth:
            quoted = True
        elif character == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                objects.append(buffer[start : i + 1].strip(SEPARATOR + " \r\n\t"))
                start = i + 1
        if depth > _DEEPEST:
            return objects, buffer[start:]
    return objects, buffer[start:]


def _number(value: Any, lowest: float, highest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("value must be a number")
    if not lowest <= value <= highest:
        raise ValueError(f"value {value:g} out of range {lowest:g} to {highest:g}")
    return float(value)


def _range(limits: tuple[float, float]) -> dict[str, float]:
    return {"min": limits[0], "max": limits[1]}


def _message(label: str, value: Any) -> str:
    return json.dumps({"label": label, "value": value})


def _error(text: str) -> str:
    return _message("ErrorMessage", text)
