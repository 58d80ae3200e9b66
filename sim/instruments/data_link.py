"""IDQ's DataLinkTargetService in front of a simulated tagger: text requests, JSON answers, and streams of tags."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_TAGS = 100_000  # in one message
_LONGEST_REQUEST = 10_000  # characters


class DataLink:
    """Streams by their port. `sent_input(n)` is the input whose tags recorder n sends, or None."""

    def __init__(self, element: Any, sent_input: Callable[[int], int | None]) -> None:
        self.element, self._sent_input = element, sent_input
        self._streams: dict[int, _Stream] = {}

    def begin(self) -> None:
        """A recording begins: each stream will say when it is over."""
        for stream in self._streams.values():
            stream.over = False

    def answer(self, text: str) -> str:
        """Return the answer to one request, in JSON."""
        return json.dumps(self._answer(text))

    def messages(self, port: int) -> list[bytes]:
        """Return what a client at this port gets now: blocks of tags, and an empty one where a recording is over."""
        stream = self._streams.get(port)
        source = None if stream is None else self._sent_input(stream.number)
        if stream is None or source is None:
            return []
        recording = self.element.recording
        messages = []
        while tags := self.element.fetch(source, MOST_TAGS):
            messages.append(np.array(tags, dtype="<u8").tobytes())
            stream.sent += len(tags)
        if not recording and self.element.start_mu is not None and not stream.over:
            stream.over = True
            stream.ended += 1
            messages.append(b"")
        return messages

    def _answer(self, text: str) -> Any:
        words = text.split()
        if len(text) > _LONGEST_REQUEST or not words:
            return _error("invalid command")
        options = {key: value for key, value in itertools.pairwise(words[1:]) if key.startswith("--")}
        if words[0] == "list":
            return [stream.id for stream in self._streams.values()]
        if words[0] == "start-stream":
            return self._start(options)
        if words[0] in ("status", "stop"):
            return self._status(words[0], options.get("--id"))
        return _error(f"unknown command '{words[0][:40]}'")

    def _start(self, options: dict[str, str]) -> Any:
        channel, port, address = (options.get(f"--{key}", "") for key in ("channel", "stream-port", "address"))
        if not re.fullmatch("[1-4]", channel) or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            return _error("invalid channel or stream-port")
        if int(port) in self._streams or any(s.number == int(channel) for s in self._streams.values()):
            return _error(f"channel {channel} or port {port} is in use")
        self._streams[int(port)] = made = _Stream(int(channel), f"{address[:80]}:{port}", not self.element.recording)
        return {"id": made.id}

    def _status(self, command: str, identifier: str | None) -> Any:
        port = next((port for port, stream in self._streams.items() if stream.id == identifier), None)
        if port is None:
            return _error(f"no acquisition '{str(identifier)[:40]}'")
        status = self._streams[port].status()
        if command == "status":
            return status
        del self._streams[port]
        return {"status": status}


class _Stream:
    """One stream: of recorder `number`; `over` is whether the end of its recording was sent, or none has begun."""

    def __init__(self, number: int, identifier: str, over: bool) -> None:
        self.number, self.id, self.over = number, identifier, over
        self.sent = self.ended = 0

    def status(self) -> dict[str, Any]:
        """Return what `status` answers."""
        return {"acquisitions_count": self.ended, "timestamps_count": self.sent, "inactivity": 0.0, "errors": []}


def _error(text: str) -> dict[str, Any]:
    return {"error": {"description": text}}
