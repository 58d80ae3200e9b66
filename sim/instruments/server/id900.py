"""Serve an ID900 over ZeroMQ: commands and data link as REP does, tags of each stream as PAIR.

Behind both is a ROUTER, which waits for nobody: a client that breaks off, or speaks no ZeroMQ, has no hold on a port.
The ports lie as far apart as the instrument's own, except those of the streams, which the client names.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import zmq

from drivers.instruments.id900 import COMMAND_PORT, LINK_PORT
from sim.instruments.twin import Handle, Twin

from .supervise import Guard, supervised
from .tcp import LONGEST_REQUEST, POLL_S

_ATTEMPTS = 50
_AT_ONCE = 64  # requests before the lab's other clients have their turn
_MOST_STREAMS = 16  # ports that clients may name in a server's life
_HANDSHAKE_MS = 5000  # who has not said by then that it speaks ZeroMQ is let go
_MOST_WAITING = 16  # requests of one client that wait; ZeroMQ would take a thousand


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
        self._answers: list[tuple[Any, Callable[[str], str]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: dict[int, Stream] = {}
        self._host = ""

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port of commands."""
        self._host, self._context = host, zmq.Context()
        for left in reversed(range(1 if port else _ATTEMPTS)):
            try:
                found, sockets = self._bound(host, port)
                break
            except zmq.ZMQError as error:
                if not left:
                    self._context.term()
                    raise OSError(error.errno, str(error)) from error
        self._answers = list(zip(sockets, (self._command, self._link), strict=True))
        for socket, answer in self._answers:
            asyncio.get_running_loop().add_reader(socket.FD, self._serve, socket, answer)
        self._tasks.append(asyncio.create_task(supervised(self.name, self._tick, POLL_S)))
        return found

    async def stop(self) -> None:
        """Close every socket."""
        for socket, _ in self._answers:
            asyncio.get_running_loop().remove_reader(socket.FD)
        self._answers = []
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
        """Bind the sockets of commands and data link."""
        sockets: list[Any] = []
        try:
            for offset in (0, LINK_PORT - COMMAND_PORT):
                sockets.append(self._context.socket(zmq.ROUTER))
                _set_up(sockets[-1])
                wanted = str(port + offset) if port else "*"
                sockets[-1].bind(f"tcp://{host}:{wanted}")
                port = port or int(sockets[0].getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        except zmq.ZMQError:
            for socket in sockets:
                socket.close(0)
            raise
        return port, sockets

    def _serve(self, socket: Any, answer: Callable[[str], str]) -> None:
        """Answer what has come, some at a time; what is left has its turn after the lab's other clients."""
        with Guard(self.name), contextlib.suppress(zmq.Again):  # nothing more has come
            for _ in range(_AT_ONCE):
                parts = socket.recv_multipart(zmq.NOBLOCK)
                if b"" in parts[1:]:  # who asked, perhaps a number of the request, nothing, then the request
                    start = parts.index(b"", 1) + 1
                    reply = self._answered(b"".join(parts[start:]), answer)
                    socket.send_multipart([*parts[:start], reply], zmq.NOBLOCK)
            asyncio.get_running_loop().call_soon(self._serve, socket, answer)

    def _answered(self, request: bytes, answer: Callable[[str], str]) -> bytes:
        """Return an answer, whatever goes wrong: who asks by REQ can do nothing else until it comes."""
        reply = "SCPI_ERR_EXECUTION"
        with Guard(self.name):
            reply = answer(request.decode("utf-8", "replace"))
        return reply.encode("utf-8", "replace")

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
        socket = self._context.socket(zmq.PAIR)
        _set_up(socket)
        try:
            socket.bind(f"tcp://{self._host}:{port}")
        except zmq.ZMQError as error:
            socket.close(0)
            return f"cannot bind stream-port {port}: {error}"
        self._streams[port] = Stream(socket)
        return ""

    async def _tick(self) -> None:
        for socket, answer in self._answers:
            self._serve(socket, answer)  # the descriptor tells of a change once, and ZeroMQ reads it too
        self._send_streams()

    def _send_streams(self) -> None:
        """Send what has come to whoever listens; where nobody reads, tags stay in the tagger until it overflows."""
        for port, stream in self._streams.items():
            if not stream.messages and _ready(stream.socket):
                stream.messages.extend(self._handle(("stream", port)))
            while stream.messages and _ready(stream.socket):
                try:
                    stream.socket.send(stream.messages[0], zmq.NOBLOCK)
                except zmq.Again:  # who listened has just gone
                    break
                stream.messages.popleft()


def _ready(socket: Any) -> bool:
    return bool(socket.poll(0, zmq.POLLOUT))


def _set_up(socket: Any) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_REQUEST)
    socket.setsockopt(zmq.RCVHWM, _MOST_WAITING)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
