"""Twin of a QUARTIQ Stabilizer with dual-iir: a tree of settings over Miniconf, and telemetry.

`handle(message)` takes one MQTT message and returns those that the instrument publishes for it:
    payload, leaf                   set; Ok or Error to the response topic, if there is one
    no payload, leaf, response      its value
    no payload, node, response      the paths below it, one message each (Continue), then Ok
    no payload, node, no response   the values below it, each on its own topic
`handle(None)` returns what is due by itself at lab time: `alive` and `meta` at first, telemetry every period; a message
to the telemetry's own topic asks for it out of turn, which whoever serves the twin does while lab time stands. Source:
QUARTIQ's miniconf_mqtt 0.20 (README and source) and stabilizer (dual-iir); the words of an error are the twin's own.
Channel 0 is the cavity's servo, its input 0 the error signal, input 1 the light behind the cavity; channel 1 is spare.
"""

from __future__ import annotations

import json
import math
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from drivers.instruments.miniconf import Message, Publication, accepted
from drivers.instruments.transport import NoReplyError
from sim.world.elements.cavity_lock import EXTERNAL, HOLD, RANGE_V, RUN

from . import twin

Check = Callable[[Any], Any]
FULL_SCALE_V = 10.24
SAMPLE_S = 1.28e-6
LONGEST_PAYLOAD = 1024
_TYPES = ("Ba", "Raw", "Pid", "Filter")
_SIGNALS = ("Cosine", "Square", "Triangle", "WhiteNoise", "SweptSine")
_SHAPES = ("Lowpass", "Highpass", "Bandpass", "Allpass", "Notch", "Peaking", "Lowshelf", "Highshelf", "IHo")


class RefusedError(Exception):
    """A request that the instrument answers with an error, in these words."""


class Twin(twin.Twin):
    """One Stabilizer. `element` is the cavity lock."""

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        mac = zlib.crc32(element.name.encode()).to_bytes(4, "big")
        self.prefix = "dt/sinara/dual-iir/04-91-" + "-".join(f"{byte:02x}" for byte in mac)
        self._values: dict[str, Any] = {"/trigger": False, "/telemetry_period": 10.0, "/stream": "0.0.0.0:0"}
        self._checks: dict[str, Check] = {"/trigger": _flag, "/telemetry_period": _positive, "/stream": _text}
        for channel in (0, 1):
            self._add_channel(channel)
        self._add_filter(0, "Pid")
        for leaf, value in (("gain/p", -0.1), ("gain/i", -1000.0), ("min", -RANGE_V), ("max", RANGE_V)):
            self._values[f"/ch/0/biquad/0/repr/Pid/{leaf}"] = value
        self._next_telemetry_s = -math.inf
        self._announced = False

    def handle(self, request: Message | None) -> tuple[Message, ...]:
        """Return what the instrument publishes for a message, or by itself (None)."""
        if request is None:
            return tuple(self._due())
        if request.topic == f"{self.prefix}/telemetry":
            return (self.telemetry(),)
        path = request.topic.removeprefix(f"{self.prefix}/settings")
        if path == request.topic or len(request.payload) > LONGEST_PAYLOAD:
            return ()
        try:
            return tuple(self._answers(request, path))
        except RefusedError as error:
            return self._reply(request, str(error), "Error")

    def in_process(self, handle: twin.Handle) -> Any:
        """Return the driver's transport without a broker."""
        return DirectMqtt(self.prefix, handle)

    def period_s(self) -> float:
        """Return how often telemetry is published."""
        return float(self._values["/telemetry_period"])

    def telemetry(self) -> Message:
        """Return the telemetry of this moment."""
        signals = (self.element.error_v(), self.element.transmission_v())
        table = {
            "adcs": [self._converted(k, volts) for k, volts in enumerate(signals)],
            "dacs": [round(self.element.output_v, 5), self._values["/ch/1/source/offset"]],
            "digital_inputs": [self.element.input_high, False],
            "cpu_temp": 41.0,  # the simulated lab has no weather
        }
        return Message(f"{self.prefix}/telemetry", json.dumps(table, separators=(",", ":")).encode())

    # -- requests ------------------------------------------------------------------------------------------------------

    def _answers(self, request: Message, path: str) -> Iterator[Message]:
        if path in self._values:
            if request.payload:
                self._set(path, request.payload)
                yield from self._reply(request, "OK", "Ok")
            else:
                yield from self._reply(request, _json(self._values[path]), "Ok")
            return
        below = [leaf for leaf in self._values if leaf.startswith(f"{path}/")]
        if not below:
            raise RefusedError("Path not found")
        if request.payload:
            raise RefusedError("Path does not resolve to a leaf")
        if request.response_topic:
            for leaf in below:
                yield from self._reply(request, leaf, "Continue")
            yield from self._reply(request, "", "Ok")
        else:
            for leaf in below:
                yield Message(f"{self.prefix}/settings{leaf}", _json(self._values[leaf]).encode(), code="Ok")

    def _reply(self, request: Message, text: str, code: str) -> tuple[Message, ...]:
        if not request.response_topic:
            return ()
        return (Message(request.response_topic, text.encode(), correlation=request.correlation, code=code),)

    def _set(self, path: str, payload: bytes) -> None:
        try:
            value = self._checks[path](json.loads(payload))
        except (ValueError, RecursionError):  # also text that is not UTF-8
            raise RefusedError("Value could not be read") from None
        before = self._values[path]
        if path.endswith("/typ"):
            self._add_filter(int(path[4]), value)
        self._values[path] = value
        if value != before or path == "/trigger":
            self._apply(path)

    # -- settings ------------------------------------------------------------------------------------------------------

    def _add_channel(self, channel: int) -> None:
        start = f"/ch/{channel}"
        self._leaf(f"{start}/gain", "G1", _one_of("G1", "G2", "G5", "G10"))
        self._leaf(f"{start}/biquad/0/typ", "Ba", _one_of(*_TYPES))
        self._leaf(f"{start}/run", RUN, _one_of(RUN, HOLD, EXTERNAL))
        self._leaf(f"{start}/source/signal", "Cosine", _one_of(*_SIGNALS))
        for name, value in (("frequency", 1e3), ("symmetry", 0.5), ("amplitude", 0.0), ("offset", 0.0), ("phase", 0.0)):
            self._leaf(f"{start}/source/{name}", value, _real)
        for name in ("length", "state", "rate"):
            self._leaf(f"{start}/source/{name}", 0, _integer)
        self._add_filter(channel, "Ba")

    def _add_filter(self, channel: int, kind: str) -> None:
        """Make the leaves of a kind of filter, with their defaults, in place of the present ones."""
        start = f"/ch/{channel}/biquad/0/repr/"
        for leaf in [leaf for leaf in self._values if leaf.startswith(start)]:
            del self._values[leaf], self._checks[leaf]
        self._values[f"/ch/{channel}/biquad/0/typ"] = kind
        for leaf, value, check in _filter_leaves(kind):
            self._leaf(f"{start}{kind}{leaf}", value, check)

    def _leaf(self, path: str, value: Any, check: Check) -> None:
        self._values[path], self._checks[path] = value, check

    def _apply(self, path: str) -> None:
        """Let a setting of channel 0 act on the lock."""
        if path == "/ch/0/run":
            self.element.set_mode(self._values[path])
        elif path.startswith("/ch/0/biquad"):
            self.element.set_servo(*self._servo())
        elif path == "/trigger":
            if self._values[path]:
                self.element.set_offset(_within(self._values["/ch/0/source/offset"], FULL_SCALE_V))
            self._values[path] = False

    def _servo(self) -> tuple[float, float, float, float]:
        """Return integral gain in 1/s, set point, lowest and highest output of channel 0's filter."""
        kind = self._values["/ch/0/biquad/0/typ"]
        start = f"/ch/0/biquad/0/repr/{kind}"
        if kind == "Pid":
            integral = self._values[f"{start}/gain/i"] if self._values[f"{start}/order"] == "I" else 0.0
            setpoint = self._values[f"{start}/setpoint"]
        elif kind == "Ba":
            (b0, b1, b2), (a0, a1, a2) = self._values[f"{start}/ba"]
            # An integrator has its pole at z = 1; anything else holds nothing.
            is_integrator = a0 != 0 and abs(a0 + a1 + a2) <= 1e-6 * abs(a0)
            integral, setpoint = ((b0 + b1 + b2) / (a0 * SAMPLE_S) if is_integrator else 0.0), 0.0
        else:
            return 0.0, 0.0, -RANGE_V, RANGE_V
        lowest, highest = (self._values[f"{start}/{name}"] for name in ("min", "max"))
        highest = RANGE_V if highest is None else _within(highest, RANGE_V)
        lowest = -RANGE_V if lowest is None else _within(lowest, RANGE_V)
        return integral, setpoint, min(lowest, highest), highest

    # -- what comes by itself ------------------------------------------------------------------------------------------

    def _due(self) -> Iterator[Message]:
        if not self._announced:
            self._announced = True
            yield Message(f"{self.prefix}/alive", b"1", retain=True)
            meta = {"firmware_version": "v0.11.0 (twin)", "hardware_version": "v1.3", "features": "", "panic_info": ""}
            yield Message(f"{self.prefix}/meta", json.dumps(meta, separators=(",", ":")).encode())
        if self.element.now_s >= self._next_telemetry_s:
            self._next_telemetry_s = self.element.now_s + self._values["/telemetry_period"]
            yield self.telemetry()

    def _converted(self, channel: int, volts: float) -> float:
        """Return a voltage as the converter sees it: its range, 16 bits."""
        range_v = FULL_SCALE_V / float(self._values[f"/ch/{channel}/gain"][1:])
        step = range_v / (1 << 15)
        return round(step * round(_within(volts, range_v - step) / step), 7)


class DirectMqtt:
    """The driver's transport to a twin in the same process: no broker, no thread."""

    def __init__(self, prefix: str, handle: twin.Handle) -> None:
        self.prefix, self._handle = prefix, handle
        self._seen: dict[str, Publication] = {}

    def request(self, path: str, payload: str = "") -> str:
        """Set a leaf or ask for it; return the answer's payload."""
        correlation = uuid.uuid4().bytes
        topic = f"{self.prefix}/settings{path}"
        answers = self._handle(Message(topic, payload.encode(), f"{self.prefix}/response", correlation))
        for message in answers:
            if message.correlation == correlation:
                return accepted(message, path, payload)
        raise NoReplyError(f"There is no answer to {path}.")

    def latest(self, suffix: str) -> Publication | None:
        """Return the last message on a topic, after what is due by now has come."""
        for message in self._handle(None):
            self._take(message)
        return self._seen.get(suffix)

    def fresh(self, suffix: str, timeout_s: float) -> Publication:
        """Return the next message on a topic, as if waiting for it took no lab time."""
        for message in (*self._handle(None), *self._handle(Message(f"{self.prefix}{suffix}", b""))):
            self._take(message)
        found = self._seen.get(suffix)
        if found is None:
            raise NoReplyError(f"{self.prefix} published nothing on {suffix} within {timeout_s:g} s.")
        return found

    def clear(self) -> None:
        """Do nothing: no answer comes late."""

    def reopen(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _take(self, message: Message) -> None:
        suffix = message.topic.removeprefix(self.prefix)
        self._seen[suffix] = Publication(message.payload, time.monotonic(), time.time())


def _filter_leaves(kind: str) -> Iterator[tuple[str, Any, Check]]:
    if kind == "Raw":
        yield "", {"coeff": {"ba": [0.0] * 5}, "u": 0.0, "min": -32767.0, "max": 32767.0}, _table
        return
    if kind == "Ba":
        yield "/ba", [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], _matrix
        yield "/u", 0.0, _real
    elif kind == "Pid":
        yield "/order", "I", _one_of("P", "I", "I2")
        for action in ("i2", "i", "p", "d", "d2"):
            yield f"/gain/{action}", 0.0, _real
            yield f"/limit/{action}", None, _open_ended
        yield "/setpoint", 0.0, _real
    else:
        yield "/typ", "Lowpass", _one_of(*_SHAPES)
        for name in ("frequency", "gain_db", "shelf_db", "offset"):
            yield f"/{name}", 0.0, _real
        yield "/shape", {"Q": 0.70710677}, _table
    yield "/min", None, _open_ended
    yield "/max", None, _open_ended


def _real(value: Any) -> float:
    """Return a number in single precision, as the firmware keeps it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise ValueError
    return float(str(np.float32(value)))


def _open_ended(value: Any) -> float | None:
    return None if value is None else _real(value)  # null is no limit: JSON has no infinity


def _positive(value: Any) -> float:
    number = _real(value)
    if number <= 0:
        raise ValueError
    return number


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 63:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


def _matrix(value: Any) -> list[list[float]]:
    if not isinstance(value, list) or [len(row) if isinstance(row, list) else 0 for row in value] != [3, 3]:
        raise ValueError
    return [[_real(item) for item in row] for row in value]


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return check


def _within(volts: float, range_v: float) -> float:
    return max(-range_v, min(range_v, volts))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
