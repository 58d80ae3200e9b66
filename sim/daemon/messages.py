"""What a run and the lab say to each other: one JSON object per line, a reply to every request.

Signals travel as plain lists (`Tone`, `Cycle`, `CycleResult` are tuples), arrays as base64 with dtype
and shape; nothing that is received is ever executed.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from atomlink.errors import DeviceError
from atomlink.signals import Cycle, CycleResult, Tone
from sim.instruments.camera import Refusal
from sim.instruments.dds_card import Fault

LONGEST_LINE = 1 << 24  # bytes; a batch of events is far below
_LARGEST = 1e12  # of any number in a signal: Hz, turns, dB, V
Message = dict[str, Any]
# What instruments without a wire say against a request, by name, with the types of its fields.
_SAID: dict[str, tuple[Any, tuple[type, ...]]] = {"fault": (Fault, (int, float, str)), "refusal": (Refusal, (str,))}


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of one line; DeviceError if it is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise DeviceError(f"the line {line[:40]!r} is no message, must be one JSON object: speak to the lab through "
                          "`atomlink run --lab` or an instrument's own port")
    return message


def signal(kind: str, value: Any) -> Any:
    """Return what a port of this kind takes, from what was sent; TypeError or ValueError where it is none."""
    if kind == "tone":
        frequency_hz, amplitude, phase_turns, attenuation_db, switch = value
        if not 0 <= amplitude <= 1 or not isinstance(switch, bool | int):
            raise ValueError("amplitude must be 0 to 1 of full scale, switch true or false")
        return Tone(_finite(frequency_hz), _finite(amplitude), _finite(phase_turns), _finite(attenuation_db),
                    bool(switch))  # fmt: skip
    if kind == "level":
        if value not in (0, 1):
            raise ValueError("a level must be 0 or 1")
        return int(value)
    return _finite(value)


def cycle(value: Any) -> Cycle:
    """Return a cycle of the heralding gateware from nested lists."""
    length_mu, outputs, gates, patterns = value
    return Cycle(int(length_mu), _windows(outputs), _windows(gates), tuple(int(pattern) for pattern in patterns))


def cycle_result(value: Any) -> CycleResult:
    """Return the end of a stretch of cycles from nested lists."""
    cycles, pattern, stamps, t_end_mu, triggers = value
    return CycleResult(cycles, pattern, (stamps[0], stamps[1], stamps[2], stamps[3]), t_end_mu, triggers)


def is_refusal(value: Any) -> bool:
    """Tell whether an instrument without a wire refuses a request."""
    return isinstance(value, tuple(said for said, _ in _SAID.values()))


def packed(value: Any) -> Any:
    """Return a request to an instrument without a wire, or its reply, as JSON can carry it."""
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        return {"dtype": data.dtype.str, "shape": data.shape, "base64": base64.b64encode(data.tobytes()).decode()}
    for name, (said, _) in _SAID.items():
        if isinstance(value, said):
            return {name: list(value)}
    if isinstance(value, tuple | list):
        return [packed(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def unpacked(value: Any) -> Any:
    """Return what was packed, lists as tuples; TypeError, ValueError or KeyError where it is none."""
    if isinstance(value, list):
        return tuple(unpacked(item) for item in value)
    if not isinstance(value, dict):
        return value
    for name, (said, types) in _SAID.items():
        if name in value:
            return said(*(kind(item) for kind, item in zip(types, value[name], strict=True)))
    dtype = np.dtype(str(value["dtype"]))
    if dtype.kind not in "buif":
        raise ValueError(f"dtype is {dtype.str!r}, must be one of plain numbers")
    data = base64.b64decode(str(value["base64"]), validate=True)
    return np.frombuffer(data, dtype).reshape([int(n) for n in value["shape"]])


def _finite(value: Any) -> float:
    """Return a number of a signal; no converter or synthesizer goes beyond these, and what is no number has no place in
    the lab.
    """
    number = float(value)
    if isinstance(value, str) or not abs(number) <= _LARGEST:
        raise ValueError(f"{str(value)[:40]} is no finite number of a signal")
    return number


def _windows(values: Any) -> tuple[tuple[int, int] | None, ...]:
    return tuple(None if window is None else (int(window[0]), int(window[1])) for window in values)
