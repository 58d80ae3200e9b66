"""Miniconf over MQTT 5: how a Stabilizer's settings are reached through a broker.

A setting is one leaf below `<prefix>/settings`, its value is JSON. A message with a payload sets, an empty one asks;
the answer comes to the response topic with the request's correlation data and the user property `code`: Ok, Continue
or Error (then the payload says why). `<prefix>/alive` is retained. Source: QUARTIQ's miniconf_mqtt 0.20 and its client.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import re
import threading
import time
import uuid
from collections.abc import Coroutine
from typing import Any, NamedTuple

from atomlink.errors import DeviceError

from .replies import LinkLostError, NoReplyError
from .transport import tcp_address

PORT = 1883
_DEVICE = re.compile(r"^(?P<host>[^/]+)/(?P<prefix>[^/#+]+/[^/#+]+/dual-iir/[0-9a-f]{2}(?:-[0-9a-f]{2}){5})$")
_SUBSCRIBED = ("/response", "/telemetry", "/alive")


class Message(NamedTuple):
    """What passes through the broker; `code` is the user property of that name."""

    topic: str
    payload: bytes
    response_topic: str = ""
    correlation: bytes = b""
    code: str = ""
    retain: bool = False


class Publication(NamedTuple):
    """The last message on a topic, and when it came: monotonic and UTC, s."""

    payload: bytes
    monotonic_s: float
    utc_s: float


class MqttTransport:
    """Requests to one Miniconf device through a broker, from code that waits: the client lives in a thread."""

    def __init__(self, device: str, timeout_s: float = 2.0) -> None:
        address, self.prefix = parse_address(device)
        self.host, self.port = address
        self.timeout_s = timeout_s
        self._news = threading.Condition()
        self._seen: dict[str, Publication] = {}
        self._inflight: dict[bytes, asyncio.Future[Message]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Any = None
        self._listener: asyncio.Task[None] | None = None

    def request(self, path: str, payload: str = "") -> str:
        """Set a leaf (payload JSON) or ask for it (empty payload); return the answer's payload."""
        self._opened()
        reply: Message = self._call(self._request(path, payload.encode()))
        return accepted(reply, path, payload)

    def latest(self, suffix: str) -> Publication | None:
        """Return the last message on `<prefix><suffix>`, or None if none has come."""
        with self._news:
            return self._seen.get(suffix)

    def fresh(self, suffix: str, timeout_s: float) -> Publication:
        """Wait for the next message on `<prefix><suffix>`."""
        self._opened()
        start = time.monotonic()
        with self._news:
            self._news.wait_for(lambda: self._is_newer(suffix, start) or self._client is None, timeout_s)
            found = self._seen.get(suffix)
        if found is None or found.monotonic_s < start:
            raise NoReplyError(f"{self} published nothing on {suffix} within {timeout_s:g} s.")
        return found

    def clear(self) -> None:
        """Connect again if the link is lost; a late answer does no harm, its correlation data are its own."""
        if self._client is None:
            self.reopen()

    def reopen(self) -> None:
        """Close and connect again."""
        self.close()
        self._opened()

    def close(self) -> None:
        """Leave the broker; a second time does nothing."""
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        try:
            with contextlib.suppress(concurrent.futures.TimeoutError):
                asyncio.run_coroutine_threadsafe(self._disconnect(), loop).result(self.timeout_s)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            self._seen.clear()

    def __str__(self) -> str:
        return f"{self.prefix} at {self.host}:{self.port}"

    # -- inside --------------------------------------------------------------------------------------------------------

    def _is_newer(self, suffix: str, start: float) -> bool:
        found = self._seen.get(suffix)
        return found is not None and found.monotonic_s >= start

    def _opened(self) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name=f"mqtt {self.prefix}", daemon=True)
            self._thread.start()
            try:
                self._call(self._connect())
            except DeviceError:
                self.close()
                raise
        if self._client is None:
            raise LinkLostError(f"The connection to {self} is lost: check that the broker is on and reachable.")

    def _call(self, task: Coroutine[Any, Any, Any]) -> Any:
        import aiomqtt

        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(task, self._loop)
        try:
            return future.result(self.timeout_s)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            raise NoReplyError(f"{self} did not answer within {self.timeout_s:g} s.") from error
        except (aiomqtt.MqttError, OSError) as error:
            raise LinkLostError(f"The connection to {self} is lost ({error}): check that the broker is on.") from error

    async def _connect(self) -> None:
        import aiomqtt

        client = aiomqtt.Client(self.host, self.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=self.timeout_s)
        await client.__aenter__()
        for suffix in _SUBSCRIBED:
            await client.subscribe(self.prefix + suffix)
        self._client = client
        self._listener = asyncio.create_task(self._listen(client))

    async def _disconnect(self) -> None:
        import aiomqtt

        client, self._client = self._client, None
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        if client is not None:
            with contextlib.suppress(aiomqtt.MqttError):  # the broker is gone: nothing to take leave of
                await client.__aexit__(None, None, None)

    async def _listen(self, client: Any) -> None:
        import aiomqtt

        try:
            async for message in client.messages:
                self._take(_message(message))
        except aiomqtt.MqttError as error:
            self._client = None
            for waiting in self._inflight.values():
                if not waiting.done():
                    waiting.set_exception(LinkLostError(f"The connection to {self} is lost ({error})."))
            with self._news:
                self._news.notify_all()

    def _take(self, message: Message) -> None:
        suffix = message.topic.removeprefix(self.prefix)
        waiting = self._inflight.get(message.correlation) if suffix == "/response" else None
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        with self._news:
            self._seen[suffix] = Publication(message.payload, time.monotonic(), time.time())
            self._news.notify_all()

    async def _request(self, path: str, payload: bytes) -> Message:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        correlation = uuid.uuid4().bytes
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = f"{self.prefix}/response", correlation
        self._inflight[correlation] = waiting = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(f"{self.prefix}/settings{path}", payload, properties=properties)
            return await waiting
        finally:
            del self._inflight[correlation]


def parse_address(device: str) -> tuple[tuple[str, int], str]:
    """Return ((host, port), prefix) of HOST[:PORT]/PREFIX."""
    match = _DEVICE.match(device)
    if match is None:
        raise DeviceError(
            f"The address is {device!r} but must be BROKER[:PORT]/dt/sinara/dual-iir/MAC, the MAC as "
            "04-91-62-d9-7e-5f: correct --device."
        )
    return tcp_address(match["host"], PORT), match["prefix"]


def accepted(reply: Message, path: str, payload: str) -> str:
    """Return the payload of an answer; DeviceError with the instrument's own words if it refused."""
    try:
        text = reply.payload.decode("utf-8")
    except UnicodeDecodeError:
        raise DeviceError(f"The Stabilizer answered {reply.payload[:40]!r}, which is not text.") from None
    if reply.code != "Ok":
        what = f"{path}={payload}" if payload else path
        code = reply.code or "missing"
        raise DeviceError(f"The Stabilizer refused {what}: {text or 'no reason given'} (code {code}).")
    return text


def _message(message: Any) -> Message:
    properties = message.properties
    codes = dict(getattr(properties, "UserProperty", ()))
    correlation = getattr(properties, "CorrelationData", b"")
    return Message(str(message.topic), bytes(message.payload), "", correlation, codes.get("code", ""), message.retain)
