"""Serve an ID900 over ZeroMQ: commands and data link as REP, tags of each stream as PAIR.

The ports lie as far apart as the instrument's own, except those of the streams, which the client names.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import zmq
import zmq.asyncio

from atomlink.errors import LabError
from drivers.instruments.id900 import COMMAND_PORT, LINK_PORT
from sim.instruments.twin import Handle, Twin

from .tcp import LONGEST_REQUEST, POLL_S

logger = logging.getLogger(__name__)
_ATTEMPTS = 50
_MOST_STREAMS = 16  # ports that clients may name in a server's life


@dataclass
class Stream:
    """One stream's port, bound for as long as the server lives, and what has not been sent yet."""

    socket: Any
    messages: deque[bytes] = field(default_factory=deque)


class Id900Server:
    """All sockets of one tagger. They live in the event loop that `start` is called in."""

    def __init__(self, name: str, _twin: Twin, handle: Handle, _shared: dict[str, Any]) -> None:
        self.name, self._handle = name, handle
        self._context: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: dict[int, Stream] = {}
        self._host = ""

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port of commands."""
        self._host, self._context = host, zmq.asyncio.Context()
        for left in reversed(range(1 if port else _ATTEMPTS)):
            try:
                found, sockets = self._bound(host, port)
                break
            except zmq.ZMQError as error:
                if not left:
                    self._context.term()
                    raise OSError(error.errno, str(error)) from error
        for socket, answer in zip(sockets, (self._command, self._link), strict=True):
            self._tasks.append(asyncio.create_task(self._serve(socket, answer)))
        self._tasks.append(asyncio.create_task(self._send()))
        return found

    async def stop(self) -> None:
        """Close every socket."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._streams.clear()
        if self._context is not None:
            self._context.destroy(linger=0)
        self._context = None

    def address(self, host: str, port: int) -> str:
        """Return HOST:PORT of commands."""
        return f"{host}:{port}"

    def _bound(self, host: str, port: int) -> tuple[int, list[Any]]:
        """Bind both REP sockets."""
        sockets: list[Any] = []
        try:
            for offset in (0, LINK_PORT - COMMAND_PORT):
                sockets.append(self._context.socket(zmq.REP))
                _set_up(sockets[-1])
                wanted = str(port + offset) if port else "*"
                sockets[-1].bind(f"tcp://{host}:{wanted}")
                port = port or int(sockets[0].getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        except zmq.ZMQError:
            for socket in sockets:
                socket.close(0)
            raise
        return port, sockets

    async def _serve(self, socket: Any, answer: Any) -> None:
        try:
            while True:
                parts = await socket.recv_multipart()
                try:
                    reply = answer(b"".join(parts).decode("utf-8", "replace"))
                except LabError as error:  # a REP socket must answer; the log says why
                    logger.error("%s: %s", self.name, error)
                    reply = "SCPI_ERR_EXECUTION"
                await socket.send_string(reply)
        finally:
            socket.close(0)

    def _command(self, text: str) -> str:
        reply = str(self._handle(text))
        self._send_streams()  # what came until now is on its way before the answer says so
        return reply

    def _link(self, text: str) -> str:
        reply = str(self._handle(("link", text)))
        words, answer = text.split(), json.loads(reply)
        if words[:1] == ["start-stream"] and "id" in answer:
            options = {key: value for key, value in itertools.pairwise(words[1:]) if key.startswith("--")}
            problem = self._listen(int(options["--stream-port"]))
            if problem:
                self._handle(("link", f"stop --id {answer['id']}"))
                return json.dumps({"error": {"description": problem}})
        return reply

    def _listen(self, port: int) -> str:
        """Bind a stream's port unless it is; return what is against it, nothing if all is well."""
        if port in self._streams:
            self._streams[port].messages.clear()
            return ""
        if len(self._streams) >= _MOST_STREAMS:
            return f"too many stream-ports, use one of {sorted(self._streams)}"
        socket = self._context.socket(zmq.PAIR, socket_class=zmq.Socket)
        _set_up(socket)
        try:
            socket.bind(f"tcp://{self._host}:{port}")
        except zmq.ZMQError as error:
            socket.close(0)
            return f"cannot bind stream-port {port}: {error}"
        self._streams[port] = Stream(socket)
        return ""

    async def _send(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                self._send_streams()
            except LabError as error:
                logger.error("%s: %s", self.name, error)

    def _send_streams(self) -> None:
        """Send what has come to whoever listens; where nobody reads, tags stay in the tagger until it overflows."""
        for port, stream in self._streams.items():
            if not stream.messages and _ready(stream.socket):
                stream.messages.extend(self._handle(("stream", port)))
            while stream.messages and _ready(stream.socket):
                stream.socket.send(stream.messages.popleft(), zmq.NOBLOCK)


def _ready(socket: Any) -> bool:
    return bool(socket.poll(0, zmq.POLLOUT))


def _set_up(socket: Any) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_REQUEST)
