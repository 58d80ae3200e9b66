"""Serve a virtual core on loopback: a thread for each client, and one that looks whether a kernel's is still there."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading

from atomlink.errors import UsageError

from .device import Device
from .session import Session

logger = logging.getLogger(__name__)
_LOOK_S = 0.2  # how often
_MOST_CLIENTS = 16
_CLOSING_S = 10.0  # for clients' threads to end


class Server:
    """Listen at `host`, an address of this machine alone; port 0 takes any free one."""

    def __init__(self, device: Device, host: str, port: int) -> None:
        _check(host, port)
        self.device, self.host = device, host
        try:
            self._socket = socket.create_server((host, port), reuse_port=False)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UsageError(f"the virtual core cannot listen at {host}:{port} ({reason}): another may be running; "
                             "stop it, or choose another loopback address with --bind") from None  # fmt: skip
        self.port = int(self._socket.getsockname()[1])
        self._clients: dict[Session, tuple[threading.Thread, socket.socket]] = {}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._accept, self._look)]

    def start(self) -> None:
        """Begin to serve, in threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Hang up on everybody; the kernel that runs is broken off, so the shutters close."""
        self._over.set()
        self._socket.close()
        for session, (_, connection) in list(self._clients.items()):
            session.stop()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                logger.debug("%s has gone already", session.who)
        for thread, _ in list(self._clients.values()):
            thread.join(_CLOSING_S)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, address = self._socket.accept()
            except OSError:
                return
            if len(self._clients) >= _MOST_CLIENTS:
                logger.warning("client %s:%d is refused: there are %d already", *address[:2], _MOST_CLIENTS)
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(connection, self.device, f"client {address[0]}:{address[1]}")
            thread = threading.Thread(target=self._serve, args=(session,), daemon=True)
            self._clients[session] = thread, connection
            thread.start()

    def _serve(self, session: Session) -> None:
        try:
            session.serve()
        finally:
            self._clients.pop(session, None)

    def _look(self) -> None:
        """Stop a kernel whose client has hung up: nobody would ever read what it does."""
        while not self._over.wait(_LOOK_S):
            session = self.device.holder
            if session is not None and session.running and session.hung_up():
                session.stop()


def _check(host: str, port: int) -> None:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(f"--bind is {host!r}, must be a loopback address such as 127.0.0.1: the protocol of a core "
                         "device knows no password")  # fmt: skip
    if not 0 <= port < 65536:
        raise UsageError(f"--port is {port}, must be 0 (any) to 65535")
