"""Electronics of nanowire single-photon detectors: Single Quantum WebSQ (Atlas driver).

    control, TCP 12000: JSON objects one after the other; replies and broadcasts each end in 0x17
    counts, TCP 12345:  one line per measurement period: time in s, counts of detector 1, 2 …

Everything the instrument knows is a *label* (`BiasCurrent`, `TriggerLevel` …); `labelProps` asks for all of them, and
set commands name the one they change. Currents and levels are set for all detectors at once. A label with `Error` in
its name is the instrument's complaint. Detectors are numbered from 0 here, currents are uA, levels mV, periods ms.
A latched wire is resistive: it shows a voltage at its bias and gives no counts; taking the bias away resets it.
Source: Single Quantum's own client WebSQControl.py (MIT licence, 2020), read for the messages.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Protocol

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument
from .replies import parsed_json, text_of
from .transport import LineTransport, tcp_address

logger = logging.getLogger(__name__)
CONTROL_PORT, COUNTS_PORT = 12000, 12345
NEEDED = ("NumberOfDetectors", "BiasCurrent", "TriggerLevel", "InptMeasurementPeriod", "DetectorEnable", "BiasVoltage")
BIAS = Limits(0.0, 30.0, "uA")
TRIGGER = Limits(10.0, 200.0, "mV")
PERIOD = Limits(10.0, 1000.0, "ms")
NORMAL_OHM = 1e3  # a superconducting wire with its line has some 10 Ohm, a normal one kOhm
DETECTORS = Limits(1, 64, "detectors")
VOLTAGE = Limits(-1e4, 1e4, "mV")  # of a wire at its bias
_COUNTS = Limits(0, 1e15, "counts")
_LONGEST_BATCH = 1000  # messages; a peer that sends more labels than that is no WebSQ


class WebSqTransport(Protocol):
    """What the driver is given."""

    def write(self, text: str) -> None:
        """Send one JSON object to the control port."""

    def read(self) -> str:
        """Return the next message of the control port."""

    def heard(self) -> list[str]:
        """Return the messages of the control port that have come already, without waiting."""

    def counts_line(self) -> str:
        """Return the next line of the counts port that is begun now or later."""

    def clear(self) -> None:
        """Drop what the instrument may still have to say."""

    def close(self) -> None:
        """Let go of both connections."""


class Driver(Instrument):
    """Bias, trigger level and counts of each detector; found and reset when latched."""

    KIND = "Single Quantum WebSQ"
    IDENTITY = r"^WebSQ, [1-9][0-9]* detectors$"

    def __init__(self, name: str, transport: WebSqTransport, *, bias: Limits = BIAS, trigger: Limits = TRIGGER,
                 period: Limits = PERIOD, settle_s: float = 0.1) -> None:  # fmt: skip
        super().__init__(name, transport)
        self.bias_limits, self.trigger_limits, self.period_limits = bias, trigger, period
        self.settle_s = settle_s  # how long the bias stays away to let a wire cool
        self._labels: dict[str, Any] = {}
        self._order: list[str] = []  # of the labels in a reply to labelProps
        self._complaints: list[str] = []

    @classmethod
    def connect(cls, device: str, library: Any = "@py") -> WebSqTransport:
        """Return the transport to `HOST`, or `HOST:CONTROL` with the counts port 345 above it."""
        return WebSqTcp(device, cls.TIMEOUT_S)

    # -- set points ----------------------------------------------------------------------------------------------------

    @property
    def detectors(self) -> int:
        """Return how many detectors there are."""
        number = self._json_number(self._label("NumberOfDetectors"), "NumberOfDetectors", DETECTORS)
        if number != int(number):
            raise self._misread(str(number), "no number of detectors")
        return int(number)

    def bias_ua(self, channel: int) -> float:
        """Return the bias current of a detector in uA; 0 while detectors are disabled."""
        self._refresh()
        return self._numbers("BiasCurrent", self.bias_limits)[self._checked(channel)] if self._is_enabled() else 0.0

    def set_bias_ua(self, channel: int, value: float) -> float:
        """Set the bias current of a detector in uA and return what reads back."""
        return self._set_one(channel, "bias", value, self.bias_limits, "SetAllBiasCurrents", "BiasCurrent", 0.05)

    def trigger_mv(self, channel: int) -> float:
        """Return the trigger level of a detector in mV."""
        self._refresh()
        return self._numbers("TriggerLevel", self.trigger_limits)[self._checked(channel)]

    def set_trigger_mv(self, channel: int, value: float) -> float:
        """Set the trigger level of a detector in mV and return what reads back."""
        return self._set_one(channel, "trigger", value, self.trigger_limits, "SetAllTriggerLevels", "TriggerLevel", 0.5)

    def period_ms(self) -> float:
        """Return the measurement period of the counts in ms."""
        self._refresh()
        return self._json_number(self._label("InptMeasurementPeriod"), "InptMeasurementPeriod", self.period_limits)

    def set_period_ms(self, value: float) -> float:
        """Set the measurement period of the counts in ms and return what reads back."""
        return self._set("period", value, self.period_limits,
                         lambda ms: self._send("SetMeasurementPeriod", "InptMeasurementPeriod", ms),
                         self.period_ms, 0.5)  # fmt: skip

    def enabled(self) -> bool:
        """Return whether the detectors are biased at all."""
        self._refresh()
        return self._is_enabled()

    def enable(self, on: bool) -> None:
        """Switch the bias of all detectors on or off."""
        word = self._choice("enable", on, {True: "on", False: "off"})
        self._set_choice("enable", word,
                         lambda: self._send("DetectorEnable", "DetectorEnable", bool(on)),
                         lambda: "on" if self.enabled() else "off")  # fmt: skip

    # -- counts and latching -------------------------------------------------------------------------------------------

    def counts(self) -> list[int]:
        """Return the counts of each detector in the next measurement period."""
        self._ready()
        line = self.transport.counts_line()
        fields = line.split(",")
        if len(fields) != self.detectors + 1:
            raise DeviceError(f"{self.name} sent {line[:60]!r} as counts, but a time and {self.detectors} counts must "
                              "come.")  # fmt: skip
        self._number(fields[0])
        return [self._whole(field, _COUNTS) for field in fields[1:]]

    def rates_hz(self) -> list[float]:
        """Return the count rate of each detector in Hz, over one measurement period."""
        period_s = 1e-3 * self.period_ms()
        return [count / period_s for count in self.counts()]

    def bias_voltage_mv(self, channel: int) -> float:
        """Return the voltage of a detector at its bias in mV."""
        self._refresh()
        return self._numbers("BiasVoltage", VOLTAGE)[self._checked(channel)]

    def latched(self, channel: int) -> bool:
        """Return whether a detector is normal instead of superconducting, from its resistance at the present bias."""
        voltage, current = self.bias_voltage_mv(channel), self._numbers("BiasCurrent", self.bias_limits)[channel]
        return abs(voltage) > 1e-3 * NORMAL_OHM * abs(current) > 0

    def delatch(self, channel: int) -> bool:
        """Take a detector's bias away and give it back; return whether it is superconducting then."""
        bias = self.bias_ua(channel)
        self.set_bias_ua(channel, 0.0)
        if not self.simulated:
            time.sleep(self.settle_s)
        self.set_bias_ua(channel, bias)
        return not self.latched(channel)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _set_one(self, channel: int, what: str, value: float, limits: Limits, command: str, label: str,
                 tolerance: float) -> float:  # fmt: skip
        k = self._checked(channel)

        def write(number: float) -> None:
            self._refresh()
            values = self._numbers(label, limits)
            values[k] = number
            self._send(command, label, values)

        def read() -> float:
            self._refresh()
            return self._numbers(label, limits)[k]

        return self._set(f"detector {k} {what}", value, limits, write, read, tolerance)

    def _send(self, command: str, label: str, value: object) -> None:
        self._tell(json.dumps({"command": command, "label": label, "value": value}))

    def _checked(self, channel: int) -> int:
        if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel < self.detectors:
            raise DeviceError(f"{self.name}: the detector is {channel!r} but must be 0 to {self.detectors - 1}: "
                              "nothing was sent.")  # fmt: skip
        return channel

    def _label(self, label: str) -> Any:
        if label not in self._labels:
            raise DeviceError(f"{self.name} has no label {label}: is this a WebSQ?")
        return self._labels[label]

    def _is_enabled(self) -> bool:
        value = self._label("DetectorEnable")
        if not isinstance(value, bool):
            raise self._misread(f"DetectorEnable = {value!r}", "neither true nor false")
        return value

    def _numbers(self, label: str, limits: Limits) -> list[float]:
        values = self._label(label)
        if not isinstance(values, list) or len(values) != self.detectors:
            raise DeviceError(f"{self.name} has {label} = {str(values)[:60]}, but {self.detectors} numbers must come.")
        return [self._json_number(value, label, limits) for value in values]

    def _refresh(self) -> None:
        """Ask for all labels, over a new link if the old one is broken."""
        self._retried(self._ask_labels)

    def _ask_labels(self) -> str:
        """Ask for all labels; if what comes makes no sense, what follows it must not be taken for the next reply."""
        try:
            return self._read_labels()
        except DeviceError:
            self._stale = True
            raise

    def _read_labels(self) -> str:
        """Ask for all labels and read them, each once and in order; the first time, ask twice to learn the order.

        Labels of an earlier reply are never mixed with those of this one: what came before is dropped, and a label out
        of turn, or more of them than were asked for, is an error.
        """
        ask = json.dumps({"request": "labelProps", "value": "None"})
        for label in self._listen():
            logger.warning("%s sent %s unasked", self.name, label)
        self.transport.write(ask)
        if not self._order:
            self.transport.write(ask)
            order = [self._next_label()]
            while (label := self._next_label()) != order[0]:
                order.append(label)
                if len(order) > _LONGEST_BATCH:
                    raise DeviceError(f"{self.name} sent {_LONGEST_BATCH} different labels: is this a WebSQ?")
            found, self._order = [label, *(self._next_label() for _ in order[1:])], order
        else:
            found = [self._next_label() for _ in self._order]
        wrong = next((label for label, due in zip(found, self._order, strict=True) if label != due), "")
        if wrong or (found := list(self._listen())):
            raise self._misread(wrong or found[0], "a label out of turn: part of another reply")
        return self._order[-1]

    def _next_label(self) -> str:
        """Read messages until one has a label's properties; broadcasts in between are only taken note of."""
        for _ in range(_LONGEST_BATCH):
            label = self._taken(self.transport.read())
            if label:
                return label
        raise DeviceError(f"{self.name} sent {_LONGEST_BATCH} messages without a label's properties: is this a WebSQ?")

    def _listen(self) -> list[str]:
        """Take what has come already; return the labels among it, whose properties nobody waits for."""
        heard = getattr(self.transport, "heard", list)
        return [label for text in heard() if (label := self._taken(text))]

    def _taken(self, text: str) -> str:
        """Take a message: the properties of a label, which is returned, or a complaint, or a broadcast."""
        message = self._message(text)
        label, value = str(message.get("label", "")), message.get("value")
        if "Error" in label:
            self._complaints.append(str(value))
        elif isinstance(value, dict) and "value" in value:
            self._labels[label] = value["value"]
            return label
        return ""

    def _message(self, text: str) -> dict[str, Any]:
        try:
            message = parsed_json(text)
        except ValueError:
            raise DeviceError(f"{self.name} sent {text[:60]!r}, which is not JSON: is this a WebSQ?") from None
        if not isinstance(message, dict):
            raise DeviceError(f"{self.name} sent {text[:60]!r}, but a JSON object must come.")
        return message

    def _drain(self) -> list[str]:
        self._ask_labels()
        found, self._complaints = self._complaints, []
        return found

    def _read_identity(self) -> str:
        self._labels, self._order = {}, []
        self._ask_labels()
        missing = [label for label in NEEDED if label not in self._labels]
        return f"no {', no '.join(missing)}" if missing else f"WebSQ, {self.detectors} detectors"


class WebSqTcp:
    """Both connections of the instrument."""

    def __init__(self, device: str, timeout_s: float) -> None:
        host, port = tcp_address(device, CONTROL_PORT)
        counts = port + COUNTS_PORT - CONTROL_PORT
        self._control = _Messages(_address(host, port), "\x17", timeout_s)
        self._counts = LineTransport(_address(host, counts), timeout_s=timeout_s + 1.0)

    def write(self, text: str) -> None:
        """Send one JSON object, without anything after it, as the vendor's client does."""
        self._control.write(text)

    def read(self) -> str:
        """Return the next message."""
        return self._control.read()

    def heard(self) -> list[str]:
        """Return the messages that have come already."""
        return self._control.whole()

    def counts_line(self) -> str:
        """Return the counts of the next period; what the stream brought before is dropped with its connection."""
        self._counts.reopen()
        return self._counts.read().strip()

    def clear(self) -> None:
        """Start new connections."""
        self._counts.close()
        self._control.reopen()

    def reopen(self) -> None:
        """Connect again."""
        self.clear()

    def close(self) -> None:
        """Close both connections."""
        self._control.close()
        self._counts.close()


class _Messages(LineTransport):
    """Replies end in 0x17, requests in nothing."""

    def whole(self) -> list[str]:
        """Return the messages that have come in full, without waiting."""
        self.unasked()
        *whole, rest = bytes(self._buffer).split(self.ending)
        self._buffer[:] = rest
        return [text_of(line, str(self)) for line in whole]

    def write(self, text: str) -> None:
        """Send a text as it is."""
        connection = self._connection()
        try:
            connection.sendall(text.encode("ascii"))
        except OSError as error:
            raise self._lost(error) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
