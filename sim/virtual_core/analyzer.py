"""The RTIO analyzer: output events, input events and errors as they passed, handed out as the gateware's dump.

The last 16384 messages are kept; a dump takes them away. It is sent to whoever connects. Source: ARTIQ 8, gateware
(layout of messages), firmware (header).
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .stream import Stream

if TYPE_CHECKING:
    from .device import Device

OUTPUT, INPUT, EXCEPTION, STOPPED = range(4)
UNDERFLOW, OVERFLOW = 0b010100, 0b100001
_MOST = 512 * 1024 // 32
_MESSAGE = struct.Struct(">QIQQI")  # data, address, counter, time stamp, channel and kind
_HEADER = struct.Struct("<IQbbb")  # bytes sent, bytes in all, overflow, log channel, always 1
_MASK = (1 << 64) - 1

Message = tuple[int, int, int, int, Any]  # kind, target (inputs: channel << 8), time stamp, counter, data


class Analyzer:
    """What passed since the last dump. `log_channel` is the channel of RTIO log messages."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=_MOST)
        self._n = 0
        self.log_channel = 0

    def note(self, kind: int, target: int, t_mu: int, counter: int, data: Any) -> None:
        """Keep one message. For an error, `data` is which."""
        self._n += 1
        self._messages.append((kind, target, t_mu, counter, data))

    def log(self, t_mu: int, counter: int, text: bytes) -> None:
        """Keep a message for the RTIO log: four characters in each event, the last ones in one of their own."""
        words = [text[i : i + 4] for i in range(0, len(text), 4)]
        for word in words:
            self.note(OUTPUT, self.log_channel << 8, t_mu, counter, int.from_bytes(word, "big"))

    def dump(self, counter: int) -> bytes:
        """Return what passed, and forget it."""
        self.note(STOPPED, 0, 0, counter, 0)
        taken, n = list(self._messages), self._n
        self._messages.clear()
        self._n = 0
        return b"e" + _HEADER.pack(32 * len(taken), 32 * n, 0, self.log_channel, 1) + encoded(taken)


def encoded(messages: Iterable[Message]) -> bytes:
    """Return messages as the gateware writes them."""
    return b"".join(map(_encoded, messages))


def _encoded(message: Message) -> bytes:
    kind, target, t_mu, counter, data = message
    channel = (target >> 8) << 2 | kind
    if kind == EXCEPTION:
        return _MESSAGE.pack(0, data, counter, 0, channel)
    if isinstance(data, list):  # the core has 64 bits for them
        data = sum((word & 0xFFFFFFFF) << 32 * i for i, word in enumerate(data[:2]))
    elif kind == OUTPUT:
        data &= 0xFFFFFFFF
    return _MESSAGE.pack(data & _MASK, target & 0xFF, counter & _MASK, t_mu & _MASK, channel)


class Dump:
    """One connection to the analyzer's port: it gets the dump, whatever it says."""

    def __init__(self, connection: socket.socket, device: Device, who: str) -> None:
        self.who, self._stream, self._device = who, Stream(connection), device

    def serve(self) -> None:
        """Send the dump."""
        with self._device.turns.turn():
            dump = self._device.analyzer.dump(self._device.counter)
        self._stream.send(dump)

    def stop(self) -> None:
        """Nothing runs for it."""

    def over(self) -> None:
        """Nothing is left."""
