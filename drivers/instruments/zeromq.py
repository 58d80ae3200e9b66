"""ZeroMQ sockets of an instrument: requests that are answered, and streams.

A REQ socket that got no answer cannot be used again, so a time-out closes it: a late answer cannot come then. Requests
are numbered (REQ_CORRELATE), so that ZeroMQ itself drops an answer to any other one.
"""

from __future__ import annotations

import importlib
from typing import Any

from atomlink.errors import DeviceError

from .replies import GarbledError, LinkLostError, NoReplyError
from .transport import tcp_address


class ZmqTransport:
    """Commands and data link by REQ, streams by PAIR. An address with a port of its own moves all ports with it."""

    def __init__(self, device: str, commands: int, link: int, stream: int, timeout_s: float) -> None:
        self.host, self._port = tcp_address(device, commands)
        self._link_port, self.stream_port = self._port + link - commands, self._port + stream - commands
        self._timeout_ms = round(1e3 * timeout_s)
        self._context: Any = None
        self._sockets: dict[int, Any] = {}

    def query(self, text: str) -> str:
        """Send a command and return its answer."""
        return self._request(self._port, text)

    def link(self, text: str) -> str:
        """Send a request to the data link."""
        return self._request(self._link_port, text)

    def stream(self, port: int, wait: bool) -> list[bytes]:
        """Return what has come on a stream."""
        connection = self._socket(port, _package().PAIR)
        if wait and not connection.poll(self._timeout_ms):
            raise NoReplyError(f"The stream at {self.host}:{port} did not end within {self._timeout_ms / 1e3:g} s.")
        messages = []
        while connection.poll(0):
            messages.append(bytes(connection.recv()))
        return messages

    def clear(self) -> None:
        """Close the sockets of requests; the next request opens new ones."""
        for port in (self._port, self._link_port):
            self._drop(port)

    def reopen(self) -> None:
        """Start afresh."""
        self.clear()

    def close(self) -> None:
        """Close all sockets."""
        for port in list(self._sockets):
            self._drop(port)
        if self._context is not None:
            self._context.term()
        self._context = None

    def _request(self, port: int, text: str) -> str:
        zmq = _package()
        try:
            connection = self._socket(port, zmq.REQ)
            connection.send_string(text)
            parts = connection.recv_multipart()
        except zmq.Again as error:
            self._drop(port)
            late = f"{self.host}:{port} did not answer `{text}` within {self._timeout_ms / 1e3:g} s."
            raise NoReplyError(late) from error
        except zmq.ZMQError as error:
            self._drop(port)
            lost = f"The connection to {self.host}:{port} is lost ({error}): check the address."
            raise LinkLostError(lost) from error
        if len(parts) != 1:
            raise GarbledError(f"{self.host}:{port} answered `{text[:50]}` by {b' '.join(parts)[:50]!r} in "
                               f"{len(parts)} parts: one must come.")  # fmt: skip
        try:
            return bytes(parts[0]).decode("utf-8")
        except UnicodeDecodeError as error:
            raise GarbledError(f"{self.host}:{port} answered {parts[0][:40]!r}, which is not text.") from error

    def _socket(self, port: int, kind: int) -> Any:
        if port not in self._sockets:
            zmq = _package()
            self._context = self._context or zmq.Context()
            made = self._context.socket(kind)
            made.setsockopt(zmq.LINGER, 0)
            made.setsockopt(zmq.RCVTIMEO, self._timeout_ms)
            made.setsockopt(zmq.SNDTIMEO, self._timeout_ms)
            made.setsockopt(zmq.IPV6, int(":" in self.host))
            if kind == zmq.REQ:
                made.setsockopt(zmq.REQ_CORRELATE, 1)
            made.connect(f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{port}")
            self._sockets[port] = made
        return self._sockets[port]

    def _drop(self, port: int) -> None:
        connection = self._sockets.pop(port, None)
        if connection is not None:
            connection.close(0)


def _package() -> Any:
    try:
        return importlib.import_module("zmq")
    except ImportError as error:
        raise DeviceError(f"pyzmq cannot be used ({error}): `pip install 'atomlink[instruments]'`, or run with "
                          "--simulation.") from error  # fmt: skip
