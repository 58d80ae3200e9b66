"""Time tagger: ID Quantique ID900 Time Controller.

    commands, ZeroMQ REQ/REP on 5555: SCPI text; every command is answered, errors begin with SCPI_ERR_
    data link, ZeroMQ REQ/REP on 6060: start-stream, stop, list; answers are JSON
    tags, ZeroMQ PAIR, one port per channel: uint64 little-endian ps since the start; empty when a recording has ended

The data link is IDQ's DataLinkTargetService, which runs on a computer next to the tagger. Inputs are numbered from 0
here, 1…4 on the front panel. Tags of the channels come separately; `tags()` merges them and gives a tag only when no
other channel can bring an earlier one, so that times never go back. Time unit of the instrument: TB = 1 ps.
    start() -- run -- for times_ps, channels in tags(): ... -- stop() -- for times_ps, channels in tags(): ...
Sources: Time Controller Series user manual, chapters 6, 8, 9; IDQ's Python examples (common.py, acquisitions.py), read
for the protocol. Not in them, to be checked: range of the threshold, and the counter of a combiner (TSCO).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument
from .replies import parsed_json
from .zeromq import ZmqTransport

COMMAND_PORT, LINK_PORT, STREAM_PORT = 5555, 6060, 4242  # the last: of input 0, the others follow
INPUTS = 4
COMBINER = 5  # 1…4 lead the inputs to the recorder
THRESHOLD = Limits(-1.0, 1.0, "V")
DELAY = Limits(0, 4_000_000, "ps")  # longer delays can overflow the input's buffer (manual, 6.2.1.4)
WINDOW = Limits(1, 1_000_000_000, "ps")
MOST_TAGS = 1 << 20  # in one block
_QUANTITY = re.compile(r"\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(TB|V|mV|)\s*")
_TIME_UNITS, _VOLT_UNITS, _NO_UNIT = {"TB": 1.0, "": 1.0}, {"V": 1.0, "mV": 1e-3, "": 1.0}, {"": 1.0}
_COUNT, _RESOLUTION = Limits(0, 2**63, "counts"), Limits(0.1, 1e6, "ps")
_WORDS, _STAGES = {"ON": True, "OFF": False}, {"PLAYING": True, "STOPPED": False}

Times = npt.NDArray[np.int64]
Channels = npt.NDArray[np.uint8]


class Id900Transport(Protocol):
    """What the driver is given: `stream_port` is the first of the ports for tags."""

    host: str
    stream_port: int

    def query(self, text: str) -> str:
        """Send a command and return its answer."""

    def link(self, text: str) -> str:
        """Send a request to the data link and return its answer."""

    def stream(self, port: int, wait: bool) -> list[bytes]:
        """Return the messages that have come on a stream's port; with `wait`, at least one or NoReplyError."""

    def clear(self) -> None:
        """Drop what the instrument may still have to say."""

    def close(self) -> None:
        """Let go of all connections."""


class Driver(Instrument):
    """Thresholds (V), delays (ps), counts, coincidences, and streams of tags."""

    KIND = "ID Quantique ID900"
    IDENTITY = r"^(ID ?Quantique|IDQ)[^,]*,\s*ID900"

    def __init__(self, name: str, transport: Id900Transport, *, threshold: Limits = THRESHOLD,
                 delay: Limits = DELAY) -> None:  # fmt: skip
        super().__init__(name, transport)
        self.threshold_limits, self.delay_limits = threshold, delay
        self._streams: dict[int, _Stream] = {}
        self._watched: tuple[int, int, int] | None = None

    @classmethod
    def connect(cls, device: str, library: Any = "@py") -> Id900Transport:
        """Return the transport to `HOST`, or `HOST:PORT` with the data link 505 above and the tags 1313 below."""
        return ZmqTransport(device, COMMAND_PORT, LINK_PORT, STREAM_PORT, cls.TIMEOUT_S)

    def close(self) -> None:
        """Let go of the connections; a recording goes on without being fetched."""
        self._streams = {}
        super().close()

    # -- inputs --------------------------------------------------------------------------------------------------------

    def set_threshold_v(self, channel: int, value: float) -> float:
        """Set the threshold of an input in V and return what reads back."""
        n = self._checked(channel)
        return self._set(f"input {channel} threshold", value, self.threshold_limits,
                         lambda volts: self._tell(f"INPU{n}:THRE {volts:.4f}V"),
                         lambda: self.threshold_v(channel), 2e-3)  # fmt: skip

    def threshold_v(self, channel: int) -> float:
        """Return the threshold of an input in V."""
        return self._quantity(f"INPU{self._checked(channel)}:THRE?", _VOLT_UNITS, self.threshold_limits)

    def set_delay_ps(self, channel: int, value: int) -> int:
        """Set the delay that is added to an input's tags, in whole ps; return what reads back."""
        n = self._checked(channel)
        self._require_whole(f"input {channel} delay", value)
        return round(self._set(f"input {channel} delay", value, self.delay_limits,
                               lambda ps: self._tell(f"INPU{n}:DELA {ps:.0f}"),
                               lambda: self.delay_ps(channel), 0))  # fmt: skip

    def delay_ps(self, channel: int) -> int:
        """Return the delay of an input in ps."""
        return self._whole_quantity(f"INPU{self._checked(channel)}:DELA?", _TIME_UNITS, self.delay_limits)

    def enable(self, channel: int, on: bool) -> None:
        """Switch an input on or off."""
        n = self._checked(channel)
        word = self._choice(f"input {channel}", on, {True: "ON", False: "OFF"})
        self._set_choice(f"input {channel}", word, lambda: self._tell(f"INPU{n}:ENAB {word}"),
                         lambda: "ON" if self.enabled(channel) else "OFF")  # fmt: skip

    def enabled(self, channel: int) -> bool:
        """Return whether an input is on."""
        return self._word(self._asked(f"INPU{self._checked(channel)}:ENAB?"), _WORDS)

    def resolution_ps(self) -> float:
        """Return the resolution of the time stamps in ps."""
        return self._quantity("DEVI:RES:BWID?", _TIME_UNITS, _RESOLUTION)

    # -- counts --------------------------------------------------------------------------------------------------------

    def counts(self) -> list[int]:
        """Return the clicks of each input since `reset_counts()`."""
        return [self._whole_quantity(f"INPU{n}:COUN?", _NO_UNIT, _COUNT) for n in range(1, INPUTS + 1)]

    def reset_counts(self) -> None:
        """Let the inputs count from 0."""
        for n in range(1, INPUTS + 1):
            self._tell(f"INPU{n}:MODE ACCUM")
            self._tell(f"INPU{n}:RESE")

    def coincidences(self, first: int, second: int, window_ps: int) -> int:
        """Return the clicks of `second` in the window_ps after a click of `first`, since this was first asked for.

        Delays act before: to look on both sides of 0, delay `second` by half the window.
        """
        a, b = self._checked(first), self._checked(second)
        self._require_whole("window", window_ps)
        WINDOW.check(f"{self.name} window", window_ps)
        if self._watched != (first, second, window_ps):
            self._watched = None
            self._tell(f"TSCO{COMBINER}:FIR:LINK INPU{a};:TSCO{COMBINER}:SEC:LINK INPU{b}")
            self._tell(f"TSCO{COMBINER}:OPIN ONLYSEC;OPOU MUTE")
            self._tell(f"TSCO{COMBINER}:WIND:BEGI:LINK INPU{a};DELA 0;:TSCO{COMBINER}:WIND:END:LINK INPU{a};"
                       f"DELA {window_ps}")  # fmt: skip
            self._tell(f"TSCO{COMBINER}:WIND:ENAB ON")
            self._tell(f"TSCO{COMBINER}:COUN:MODE ACCUM;RESE")
            self._log("coincidences", "ps", f"{first}, {second}, {window_ps}", window_ps, window_ps)
            self._watched = first, second, window_ps
        return self._whole_quantity(f"TSCO{COMBINER}:COUN?", _NO_UNIT, _COUNT)

    # -- tags ----------------------------------------------------------------------------------------------------------

    def start(self, channels: Sequence[int] = tuple(range(INPUTS)), duration_ps: int | None = None) -> None:
        """Record tags of these inputs, for a time or until `stop()`; time stamps count from here."""
        numbers = {channel: self._checked(channel) for channel in channels}
        if not numbers or len(numbers) != len(channels):
            raise DeviceError(f"{self.name}: the channels are {list(channels)!r} but must be different ones: nothing "
                              "was sent.")  # fmt: skip
        if duration_ps is not None:
            self._require_whole("duration", duration_ps)
            Limits(1, 10**18, "ps").check(f"{self.name} duration", duration_ps)
        if self._streams:
            raise DeviceError(f"{self.name} is recording already: stop() and take the rest of the tags first.")
        self._close_left_over()
        for command in ("REC:TRIG:ARM:MODE MANU", "REC:ENAB ON", "REC:STOP", "REC:NUM 1"):
            self._tell(command)
        self._tell(f"REC:DUR {'INF' if duration_ps is None else duration_ps}")
        with self._or_abandon():
            for channel, n in numbers.items():
                self._streams[channel] = self._stream(channel, n)
            self._tell("REC:PLAY")
        self._log("recording", "", "on", "on", self._asked("REC:STAG?"))

    def stop(self) -> None:
        """End the recording; `tags()` still has what came until now."""
        self._tell("REC:STOP")
        self._log("recording", "", "off", "off", self._asked("REC:STAG?"))

    def recording(self) -> bool:
        """Return whether tags are being recorded."""
        return self._word(self._asked("REC:STAG?"), _STAGES)

    def tags(self) -> Iterator[tuple[Times, Channels]]:
        """Yield what came since the last time, in blocks (times in ps, int64; inputs, uint8) that never go back.

        While recording, it ends when there is nothing more for now; an input that stays silent holds the others back
        until the end, so leave it out of `start()`. After the end it yields all that is left; then DeviceError if tags
        were lost. After any other DeviceError the recording is given up.
        """
        over = bool(self._streams) and not self.recording()
        with self._or_abandon():
            for stream in self._streams.values():
                self._fill(stream, over)
        while len((block := self._merged())[0]):
            yield block
        if over:
            self._end()

    def read_tags(self) -> tuple[Times, Channels]:
        """Return all that `tags()` would yield as one block: for a controller, whose answers are no streams."""
        blocks = [*self.tags(), (np.empty(0, np.int64), np.empty(0, np.uint8))]
        return np.concatenate([times for times, _ in blocks]), np.concatenate([channels for _, channels in blocks])

    # -- inside --------------------------------------------------------------------------------------------------------

    def _stream(self, channel: int, n: int) -> _Stream:
        """Lead an input to its recorder, and have the data link stream what it records."""
        self._tell(f"TSCO{n}:FIR:LINK INPU{n}")
        self._tell(f"TSCO{n}:OPIN ONLYFIR;OPOU ONLYFIR;WIND:ENAB OFF")
        self._tell(f"RAW{n}:STOP:LINK TSCO{n};:RAW{n}:REF:LINK NONE")
        self._tell(f"RAW{n}:ERRORS:CLEAR")
        port = self.transport.stream_port + channel
        answer = self._linked(f"start-stream --address {self.transport.host} --channel {n} --stream-port {port}")
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise DeviceError(f"{self.name}: the data link answered {str(answer)[:60]}, but an id must come.")
        self.transport.stream(port, False)  # connected before anything is sent
        self._tell(f"RAW{n}:SEND ON")
        return _Stream(n, port, answer["id"])

    @contextmanager
    def _or_abandon(self) -> Iterator[None]:
        """Forget the streams if something goes wrong with one; the next `start()` closes what is left of them."""
        try:
            yield
        except DeviceError:
            self._streams = {}
            raise

    def _fill(self, stream: _Stream, over: bool) -> None:
        """Take in the messages of a stream; once the recording is over, up to the one that ends it."""
        while not stream.ended:
            messages = self.transport.stream(stream.port, over)
            for message in messages:
                stream.take(message, self.name)
            if not messages and not over:
                return

    def _merged(self) -> tuple[Times, Channels]:
        """Take out the tags, of all streams, before which nothing more can come: one sorted block."""
        open_ends = [stream.last for stream in self._streams.values() if not stream.ended]
        limit = min(open_ends, default=np.iinfo(np.int64).max)
        most = MOST_TAGS // max(1, len(self._streams))
        parts = {channel: stream.upto(limit, most) for channel, stream in self._streams.items()}
        # A stream that gave only a part holds back all later tags of the others.
        cuts = [part[-1] for channel, part in parts.items() if len(part) and self._streams[channel].more(part, limit)]
        if cuts:
            parts = {channel: part[: np.searchsorted(part, min(cuts), side="right")] for channel, part in parts.items()}
        for channel, part in parts.items():
            self._streams[channel].drop(len(part))
        times = np.concatenate([*parts.values(), np.empty(0, np.int64)])
        channels = np.repeat(np.array(list(parts), dtype=np.uint8), [len(part) for part in parts.values()])
        order = np.argsort(times, kind="stable")
        return times[order], channels[order]

    def _end(self) -> None:
        """Close the streams of a recording that is over, and see whether anything was lost."""
        streams, self._streams = self._streams, {}
        lost = []
        for channel, stream in streams.items():
            answer = self._linked(f"stop --id {stream.id}")
            status = answer.get("status") if isinstance(answer, dict) else None
            if not isinstance(status, dict):
                raise DeviceError(f"{self.name}: the data link answered {str(answer)[:60]}, but a status must come.")
            self._tell(f"RAW{stream.number}:SEND OFF")
            if self._whole_quantity(f"RAW{stream.number}:ERRORS?", _NO_UNIT, _COUNT) or status.get("errors"):
                lost.append(str(channel))
            if status.get("timestamps_count") != stream.received:
                lost.append(f"{channel} ({stream.received} of {status.get('timestamps_count')} came)")
        if lost:
            raise DeviceError(f"{self.name} lost tags of input {', '.join(lost)}: what came is good, but not all. "
                              "Lower the rate, or read more often.")  # fmt: skip

    def _close_left_over(self) -> None:
        """Stop streams that an earlier client left open."""
        answer = self._linked("list")
        for identifier in answer if isinstance(answer, list) else []:
            self._linked(f"stop --id {identifier}")

    def _linked(self, text: str) -> Any:
        reply = self.transport.link(text)
        try:
            answer = parsed_json(reply) if reply.strip() else None
        except ValueError:
            raise DeviceError(f"{self.name}: the data link answered {reply[:60]!r}, which is not JSON.") from None
        if isinstance(answer, dict) and "error" in answer:
            error = answer["error"]
            text = error.get("description", "unknown error") if isinstance(error, dict) else str(error)
            raise DeviceError(f"{self.name}: the data link says: {text}")
        return answer

    def _command(self, text: str) -> None:
        """Send a command; it is answered, so its errors come at once and no queue has to be read."""
        self._complain(text, str(self.transport.query(text)))

    def _asked(self, text: str) -> str:
        reply = self._ask(text)
        self._complain(text, reply)
        return reply.strip()

    def _complain(self, text: str, reply: str) -> None:
        errors = [part.strip() for part in reply.split(";") if part.strip().startswith("SCPI_ERR_")]
        if errors:
            raise self._refusal(text, errors)

    def _quantity(self, text: str, units: dict[str, float], limits: Limits) -> float:
        """Return the reply to a query as a number in one of the units that it may have."""
        reply = self._asked(text)
        match = _QUANTITY.fullmatch(reply)
        if match is None or match[2] not in units:
            raise self._misread(reply, f"no quantity, as `{text}` asks for")
        return self._inside(self._number(match[1]) * units[match[2]], reply, limits)

    def _whole_quantity(self, text: str, units: dict[str, float], limits: Limits) -> int:
        value = self._quantity(text, units, limits)
        if value != int(value):
            raise self._misread(f"{value} to `{text}`", "no whole number")
        return int(value)

    def _drain(self) -> list[str]:
        return []  # errors come with the answers

    def _checked(self, channel: int) -> int:
        if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel < INPUTS:
            raise DeviceError(f"{self.name}: the input is {channel!r} but must be 0 to {INPUTS - 1}: nothing was sent.")
        return channel + 1

    def _require_whole(self, what: str, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise DeviceError(f"{self.name} {what} is {value!r} but must be a whole number of ps: nothing was sent.")


class _Stream:
    """What has come of one channel and was not given out yet."""

    def __init__(self, number: int, port: int, identifier: str) -> None:
        self.number, self.port, self.id = number, port, identifier
        self.ended, self.last, self.received = False, -1, 0
        self._parts: list[Times] = []

    def take(self, message: bytes, name: str) -> None:
        """Take in one message: tags that follow those before, or the end."""
        if not message:
            self.ended = True
            return
        if len(message) % 8:
            raise DeviceError(f"{name}: a block of tags has {len(message)} bytes, which are no whole 64-bit numbers.")
        raw = np.frombuffer(message, dtype="<u8")
        tags = raw.astype(np.int64)
        if (raw > np.iinfo(np.int64).max).any() or tags[0] < self.last or (np.diff(tags) < 0).any():
            raise DeviceError(f"{name}: the tags of input {self.number - 1} go back in time: stop() and start again.")
        self._parts.append(tags)
        self.last, self.received = int(tags[-1]), self.received + len(tags)

    def upto(self, limit: int, most: int) -> Times:
        """Return the first tags that are not later than the limit."""
        held = self._held()[:most]
        return held[: np.searchsorted(held, limit, side="right")]

    def more(self, part: Times, limit: int) -> bool:
        """Return whether tags within the limit follow those of the part."""
        held = self._held()
        return len(held) > len(part) and bool(held[len(part)] <= limit)

    def drop(self, number: int) -> None:
        """Forget the first tags."""
        self._parts = [self._held()[number:]]

    def _held(self) -> Times:
        if len(self._parts) != 1:
            self._parts = [np.concatenate([*self._parts, np.empty(0, np.int64)])]
        return self._parts[0]
