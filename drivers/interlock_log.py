"""The log of the interlocks: one JSON object per line, appended and handed to the operating system at once.

Every entry has UTC and monotonic time, who, RID, and whether the lab is simulated. Kinds: `set` (an instrument's
requested, applied, read back), `identity` (instrument and firmware, and what its error queue held at first), `errors`
(what an instrument refused, in its own words), `event`, `trip` (the cause and the telemetry of the 10 s before),
`after` (the telemetry of the 10 s after a trip, as soon as they have passed), `reset` (by whom).
A run has one file, beside its results: `RID.instruments.jsonl`.
"""

from __future__ import annotations

import getpass
import json
import math
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drivers.instruments.instrument import Instrument, Record

AROUND_S = 10.0
_KEPT = 4096  # readings: 10 s of telemetry at some 400 per second


def run_log(rid: int, simulated: bool = False) -> InterlockLog:
    """Return the log of a run, in the worker's folder."""
    return InterlockLog(Path.cwd() / f"{rid:09}.instruments.jsonl", rid, simulated)


class InterlockLog:
    """One file. `clock` is the monotonic clock of the readings' time stamps."""

    def __init__(self, path: str | Path, rid: int | None = None, simulated: bool = False,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self.path = Path(path)
        self.who, self.rid, self.simulated = getpass.getuser(), rid, simulated
        self._clock = clock
        self._recent: deque[tuple[float, str, float]] = deque(maxlen=_KEPT)
        self._awaited: list[tuple[float, str]] = []

    def watch(self, instrument: Instrument) -> None:
        """Log who an instrument is, and from now on every change of it and all that it refuses."""
        self._write("identity", instrument.name, identity=instrument.identity, errors=instrument.left_over)
        instrument.on_record, instrument.on_errors = self.record, self.errors

    def record(self, record: Record) -> None:
        """Log one change of an instrument."""
        self._write("set", record.instrument, quantity=record.quantity, unit=record.unit, requested=record.requested,
                    applied=record.applied, read_back=record.read_back, by=record.who)  # fmt: skip

    def errors(self, name: str, request: str, texts: list[str]) -> None:
        """Log what an instrument's error queue said of a request."""
        self._write("errors", name, request=request, texts=texts)

    def telemetry(self, name: str, value: float, t_s: float) -> None:
        """Keep a reading for 10 s, in case something trips."""
        if not self._recent or self._recent[-1] != (t_s, name, value):
            self._recent.append((t_s, name, value))
        self._follow_up()

    def event(self, name: str, text: str) -> None:
        """Log what happened."""
        self._write("event", name, text=text)

    def trip(self, name: str, cause: str) -> None:
        """Log a trip with the telemetry before it; that after it follows."""
        now = self._clock()
        self._write("trip", name, cause=cause, telemetry=self._between(now - AROUND_S, now))
        self._awaited.append((now, name))

    def reset(self, name: str, who: str, cause: str) -> None:
        """Log that a person reset a trip."""
        self._write("reset", name, by=who, cause=cause)

    def close(self) -> None:
        """Log the telemetry after each trip as far as there is any."""
        for t_trip, name in self._awaited:
            self._write("after", name, telemetry=self._between(t_trip, t_trip + AROUND_S))
        self._awaited.clear()

    def _follow_up(self) -> None:
        now = self._clock()
        for t_trip, name in [item for item in self._awaited if now > item[0] + AROUND_S]:
            self._write("after", name, telemetry=self._between(t_trip, t_trip + AROUND_S))
            self._awaited.remove((t_trip, name))

    def _between(self, start_s: float, stop_s: float) -> list[list[Any]]:
        # JSON has no infinity: a reading that is none is null.
        return [[t, name, value if math.isfinite(value) else None] for t, name, value in self._recent
                if start_s <= t <= stop_s]  # fmt: skip

    def _write(self, kind: str, name: str, **fields: Any) -> None:
        entry = {
            "kind": kind, "name": name, **fields, "utc": datetime.now(UTC).isoformat(timespec="microseconds"),
            "monotonic_s": self._clock(), "who": self.who, "rid": self.rid, "simulated": self.simulated,
        }  # fmt: skip
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, separators=(",", ":")) + "\n")
