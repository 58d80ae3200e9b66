"""What a run and the lab say to each other: one JSON object per line, a reply to every request.

Signals travel as plain lists (`Tone`, `Cycle`, `CycleResult` are tuples); nothing that is received is ever executed.
"""

from __future__ import annotations

import json
from typing import Any

from atomlink.errors import DeviceError
from sim.signals import Cycle, CycleResult, Tone

LONGEST_LINE = 1 << 24  # bytes; a batch of events is far below
Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of one line; DeviceError if it is none."""
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise DeviceError(f"the line {line[:40]!r} is no message, must be one JSON object: speak to the lab through "
                          "`atomlink run --lab` or an instrument's own port")
    return message


def signal(kind: str, value: Any) -> Any:
    """Return what a port of this kind takes, from what was sent; TypeError or ValueError where it is none."""
    if kind == "tone":
        frequency_hz, amplitude, phase_turns, attenuation_db, switch = value
        return Tone(float(frequency_hz), float(amplitude), float(phase_turns), float(attenuation_db), bool(switch))
    return int(value) if kind == "level" else float(value)


def cycle(value: Any) -> Cycle:
    """Return a cycle of the heralding gateware from nested lists."""
    length_mu, outputs, gates, patterns = value
    return Cycle(int(length_mu), _windows(outputs), _windows(gates), tuple(int(pattern) for pattern in patterns))


def cycle_result(value: Any) -> CycleResult:
    """Return the end of a stretch of cycles from nested lists."""
    cycles, pattern, stamps, t_end_mu, triggers = value
    return CycleResult(cycles, pattern, (stamps[0], stamps[1], stamps[2], stamps[3]), t_end_mu, triggers)


def _windows(values: Any) -> tuple[tuple[int, int] | None, ...]:
    return tuple(None if window is None else (int(window[0]), int(window[1])) for window in values)
