"""A small MQTT 5 broker with the twins of MQTT instruments on it.

Miniconf lives on MQTT 5's response topic, correlation data and user properties, and the brokers that pip installs speak
3.1.1 only (amqtt), so this is one of its own: topics with wildcards, retained messages, quality of service 0 and 1 from
clients, 0 to them, no sessions that outlive a connection, no authentication. Properties of a message are passed on as
they are. What clients can make the broker keep is bounded; what is beyond it is refused in MQTT's words. Source: OASIS,
MQTT Version 5.0 (2019), section numbers in the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from drivers.instruments.miniconf import Message

from .supervise import Guard, supervised
from .tcp import MOST_CLIENTS

logger = logging.getLogger(__name__)
LONGEST_PACKET = 1 << 16  # bytes; Miniconf's are below 2 kB
MOST_WAITING = 1 << 20  # bytes that wait for a client to read them
MOST_RETAINED, MOST_RETAINED_BYTES = 1024, 1 << 19  # messages that clients have retained, and their bytes
MOST_FILTERS = 64  # subscriptions of one client
LONGEST_TOPIC, DEEPEST_TOPIC = 1024, 32  # characters, levels
QUOTA_EXCEEDED, BUSY = 0x97, 0x89  # reason codes (2.4)
POLL_S = 0.05  # between two looks at what twins publish by themselves
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14)  # fmt: skip  # 2.1.2
RESPONSE_TOPIC, CORRELATION, USER_PROPERTY = 0x08, 0x09, 0x26
# Length of a property's value by its number (2.2.2.2): bytes, or "v" varint, "s" string, "b" binary, "p" pair.
_KINDS: dict[int, int | str] = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1), **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4), **dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), "s"),
    0x0B: "v", 0x09: "b", 0x16: "b", 0x26: "p",
}  # fmt: skip
Handle = Callable[[Message | None], tuple[Message, ...]]


class MalformedError(Exception):
    """A packet that is none of MQTT 5; the connection ends."""


class Packet:
    """Read the fields of one packet in order."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, n: int) -> bytes:
        """Return the next n bytes."""
        if n > len(self._data) - self._at:
            raise MalformedError("a field is cut short")
        self._at += n
        return self._data[self._at - n : self._at]

    def number(self, n: int) -> int:
        """Return the next big-endian number of n bytes."""
        return int.from_bytes(self.take(n), "big")

    def varint(self) -> int:
        """Return the next number of variable length (1.5.5)."""
        value = 0
        for shift in range(0, 28, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise MalformedError("a length is too long")

    def binary(self) -> bytes:
        """Return the next bytes that say how many they are."""
        return self.take(self.number(2))

    def text(self) -> str:
        """Return the next string."""
        try:
            return self.binary().decode()
        except UnicodeDecodeError:
            raise MalformedError("a string is not UTF-8") from None

    def properties(self) -> bytes:
        """Return the next block of properties as it is."""
        return self.take(self.varint())

    def rest(self) -> bytes:
        """Return what is left."""
        return self.take(len(self._data) - self._at)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)


@dataclass(eq=False)
class Client:
    """One connection: `filters` maps a topic filter to whether it leaves out the client's own messages."""

    writer: asyncio.StreamWriter
    identifier: str = ""
    filters: dict[str, bool] = field(default_factory=dict)

    def send(self, packet: bytes) -> None:
        """Send a packet; one that does not read what it asked for is let go."""
        if self.writer.transport.get_write_buffer_size() > MOST_WAITING:
            self.writer.transport.abort()
        elif not self.writer.is_closing():
            self.writer.write(packet)


class Broker:
    """One broker on one port; `attach` puts a twin on it."""

    def __init__(self) -> None:
        self._clients: dict[asyncio.Task[None], Client] = {}
        self._retained: dict[str, tuple[bytes, bytes]] = {}  # topic: payload, properties
        self._retained_bytes = 0
        self._guard = Guard("MQTT broker")
        self._twins: dict[str, tuple[Handle, Callable[[], float]]] = {}
        self._told_s: dict[str, float] = {}
        self._server: asyncio.Server | None = None
        self._poller: asyncio.Task[None] | None = None

    def attach(self, prefix: str, handle: Handle, period_s: Callable[[], float]) -> None:
        """Let a twin live below a prefix: it gets what is sent to `<prefix>/settings/…` and publishes its answers.

        Its telemetry comes every period_s() of lab time, and at least as often by the clock on the wall: lab time may
        stand still, and clients wait.
        """
        self._twins[prefix] = handle, period_s

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which is a free one for port 0."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LONGEST_PACKET)
        self._poller = asyncio.create_task(supervised("MQTT broker", self._poll, POLL_S))
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close every connection and the port."""
        tasks = [*self._clients, *([self._poller] if self._poller is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()

    # -- messages ------------------------------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, properties: bytes, retain: bool,
                sender: Client | None = None) -> bool:  # fmt: skip
        """Pass a message on to everybody who subscribed to its topic; False if it was to be retained and there is no
        room for it.
        """
        if retain and not self._retain(topic, payload, properties):
            return False
        packet = published(topic, payload, properties)
        for client in list(self._clients.values()):
            if any(matches(topic, wanted) and not (leave_out and client is sender)
                   for wanted, leave_out in client.filters.items()):  # fmt: skip
                client.send(packet)
        return True

    def _retain(self, topic: str, payload: bytes, properties: bytes) -> bool:
        """Keep a message for those who subscribe later (3.3.1.3), in place of the one before; no payload: keep none."""
        before = self._retained.get(topic)
        size = len(topic.encode()) + len(payload) + len(properties) if payload else 0
        freed = 0 if before is None else len(topic.encode()) + sum(map(len, before))
        number = len(self._retained) + (before is None)
        if payload and (number > MOST_RETAINED or self._retained_bytes + size - freed > MOST_RETAINED_BYTES):
            return False
        self._retained_bytes += size - freed
        if payload:
            self._retained[topic] = (payload, properties)
        else:
            self._retained.pop(topic, None)
        return True

    def _to_twin(self, topic: str, payload: bytes, properties: bytes) -> None:
        for prefix, (handle, _) in self._twins.items():
            if topic.startswith(f"{prefix}/settings"):
                found = dict(_properties(properties))
                reply_to, correlation = found.get(RESPONSE_TOPIC, b""), found.get(CORRELATION, b"")
                if not _is_topic(reply_to.decode()) and reply_to:
                    raise MalformedError(f"a response topic {reply_to[:40]!r}")
                self._from_twin(handle, Message(topic, payload, reply_to.decode(), correlation))

    def _from_twin(self, handle: Handle, message: Message | None) -> None:
        answers: tuple[Message, ...] = ()  # silence where the lab refuses (a drift out of range) or has a fault
        with self._guard:
            answers = handle(message)
        for answer in answers:
            self.publish(answer.topic, answer.payload, _packed(answer), answer.retain)
            if answer.topic.endswith("/telemetry"):
                self._told_s[answer.topic.removesuffix("/telemetry")] = time.monotonic()

    async def _poll(self) -> None:
        for prefix, (handle, period_s) in self._twins.items():
            self._from_twin(handle, None)
            if time.monotonic() - self._told_s.get(prefix, -math.inf) >= period_s():
                self._from_twin(handle, Message(f"{prefix}/telemetry", b""))

    # -- connections ---------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        client = Client(writer)
        self._clients[task] = client
        try:
            with Guard("MQTT client"):  # a fault of the lab ends the connection, and the broker lives on
                await self._conversed(client, reader)
        finally:
            del self._clients[task]
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _conversed(self, client: Client, reader: asyncio.StreamReader) -> None:
        try:
            await self._connected(client, reader)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the broker stops: asyncio's streams report a cancelled task as an error
        except (ConnectionError, MalformedError) as error:
            logger.info("MQTT client %r broke off: %s", client.identifier[:40], error)

    async def _connected(self, client: Client, reader: asyncio.StreamReader) -> None:
        kind, _, packet = await _read(reader)
        if kind != CONNECT or packet.text() != "MQTT":
            raise MalformedError("the first packet is no CONNECT")
        if packet.number(1) != 5:
            client.send(_frame(CONNACK << 4, b"\x00\x01"))  # 3.1.1's words for "not this version"
            raise MalformedError("only MQTT 5 is spoken here")
        if len(self._clients) > MOST_CLIENTS:
            client.send(_frame(CONNACK << 4, bytes([0, BUSY, 0])))
            raise MalformedError(f"{MOST_CLIENTS} others are connected already")
        packet.take(3)  # flags of a session, of which there is none, and the time of keeping alive
        packet.properties()
        client.identifier = packet.text() or f"client-{id(client):x}"
        # Maximum quality of service 1, no shared subscriptions, the largest packet, the identifier in use (3.2.2.3).
        given = b"\x24\x01\x2a\x00\x27" + struct.pack(">I", LONGEST_PACKET) + b"\x12" + _string(client.identifier)
        client.send(_frame(CONNACK << 4, b"\x00\x00" + _varint(len(given)) + given))
        while True:
            kind, flags, packet = await _read(reader)
            if kind == DISCONNECT:
                return
            self._packet(client, kind, flags, packet)
            await client.writer.drain()

    def _packet(self, client: Client, kind: int, flags: int, packet: Packet) -> None:
        if kind == PUBLISH:
            self._take(client, flags, packet)
        elif kind == SUBSCRIBE:
            self._subscribe(client, packet)
        elif kind == UNSUBSCRIBE:
            self._unsubscribe(client, packet)
        elif kind == PINGREQ:
            client.send(_frame(PINGRESP << 4, b""))
        elif kind != PUBACK:
            raise MalformedError(f"a packet of type {kind} is not expected")

    def _take(self, client: Client, flags: int, packet: Packet) -> None:
        topic, quality = packet.text(), flags >> 1 & 3
        if quality > 1 or not _is_topic(topic):
            raise MalformedError(f"a message of quality {quality} on topic {topic[:40]!r}")
        identifier = packet.take(2) if quality else b""
        properties, payload = packet.properties(), packet.rest()
        list(_properties(properties))  # a block that cannot be read ends the connection here
        if len(payload) + len(properties) + len(topic.encode()) > LONGEST_PACKET - 16:
            raise MalformedError("a message that leaves no room for its header")
        passed_on = self.publish(topic, payload, properties, bool(flags & 1), client)
        if quality:
            client.send(_frame(PUBACK << 4, identifier + (b"" if passed_on else bytes([QUOTA_EXCEEDED, 0]))))
        elif not passed_on:
            client.send(_frame(DISCONNECT << 4, bytes([QUOTA_EXCEEDED, 0])))
            raise MalformedError(f"no room to retain a message on {topic[:40]!r}: {MOST_RETAINED} are kept at most")
        if not passed_on:
            return
        self._to_twin(topic, payload, properties)

    def _subscribe(self, client: Client, packet: Packet) -> None:
        identifier, _ = packet.take(2), packet.properties()
        codes, new = b"", []
        while not packet.is_empty:
            wanted, options = packet.text(), packet.number(1)
            if not _is_filter(wanted):
                codes += b"\x8f"  # topic filter invalid
                continue
            if wanted not in client.filters and len(client.filters) >= MOST_FILTERS:
                codes += bytes([QUOTA_EXCEEDED])
                continue
            client.filters[wanted] = bool(options & 4)
            new.append(wanted)
            codes += bytes([min(options & 3, 1)])
        client.send(_frame(SUBACK << 4, identifier + b"\x00" + codes))
        for topic, (payload, properties) in self._retained.items():
            if any(matches(topic, wanted) for wanted in new):
                client.send(published(topic, payload, properties, retain=True))

    def _unsubscribe(self, client: Client, packet: Packet) -> None:
        identifier, _ = packet.take(2), packet.properties()
        codes = b""
        while not packet.is_empty:
            codes += b"\x00" if client.filters.pop(packet.text(), None) is not None else b"\x11"
        client.send(_frame(UNSUBACK << 4, identifier + b"\x00" + codes))


def _is_topic(topic: str) -> bool:
    """Tell whether a name is one to publish on (4.7.3)."""
    return 0 < len(topic) <= LONGEST_TOPIC and topic.count("/") < DEEPEST_TOPIC and not set(topic) & {"#", "+", "\0"}


def _is_filter(wanted: str) -> bool:
    """Tell whether a topic filter is one (4.7.1): wildcards stand alone between slashes, `#` at the end."""
    *parts, last = wanted.split("/")
    rightly = all(part == "+" or not set(part) & {"+", "#"} for part in parts) and (
        last in ("+", "#") or not set(last) & {"+", "#"})  # fmt: skip
    return rightly and 0 < len(wanted) <= LONGEST_TOPIC and len(parts) < DEEPEST_TOPIC and "\0" not in wanted


def matches(topic: str, wanted: str) -> bool:
    """Tell whether a topic is one of those that a filter names (4.7)."""
    parts, names = wanted.split("/"), topic.split("/")
    for k, part in enumerate(parts):
        if part == "#":
            return True
        if k == len(names) or part not in ("+", names[k]):
            return False
    return len(parts) == len(names)


def published(topic: str, payload: bytes, properties: bytes, retain: bool = False) -> bytes:
    """Return a PUBLISH packet of quality of service 0."""
    return _frame(PUBLISH << 4 | retain, _string(topic) + _varint(len(properties)) + properties + payload)


async def _read(reader: asyncio.StreamReader) -> tuple[int, int, Packet]:
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift == 28:
            raise MalformedError("a length is too long")
    if length > LONGEST_PACKET:
        raise MalformedError(f"a packet of {length} bytes is too long")
    return first >> 4, first & 0x0F, Packet(await reader.readexactly(length))


def _properties(block: bytes) -> Iterator[tuple[int, bytes]]:
    packet = Packet(block)
    while not packet.is_empty:
        number = packet.varint()
        kind = _KINDS.get(number)
        if isinstance(kind, int):
            yield number, packet.take(kind)
        elif kind == "v":
            yield number, packet.varint().to_bytes(4, "big")
        elif kind == "s":
            yield number, packet.text().encode()
        elif kind == "b":
            yield number, packet.binary()
        elif kind == "p":
            packet.text()
            yield number, packet.text().encode()
        else:
            raise MalformedError(f"there is no property {number:#x}")


def _packed(message: Message) -> bytes:
    out = b"\x09" + struct.pack(">H", len(message.correlation)) + message.correlation if message.correlation else b""
    return out + (b"\x26" + _string("code") + _string(message.code) if message.code else b"")


def _frame(first: int, body: bytes) -> bytes:
    return bytes([first]) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | 0x80 if value else low)
        if not value:
            return bytes(out)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
