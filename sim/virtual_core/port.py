"""A port of the core device: it listens on loopback, and serves each of its clients in a thread."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from atomlink.errors import LabError, UsageError

from .cpu import Stopped
from .stream import HungUp

logger = logging.getLogger(__name__)
_MOST_CLIENTS = 16
_CLOSING_S = 10.0  # for clients' threads to end
_AGAIN_S = 0.05  # what runs is stopped again: it may just have begun


class Client(Protocol):
    """What serves one connection."""

    who: str

    def serve(self) -> None:
        """Serve until the client hangs up (HungUp, OSError), or LabError says what it did wrong."""

    def stop(self) -> None:
        """End what runs for it, from another thread."""

    def over(self) -> None:
        """Tidy up: the connection is closed."""


class Port:
    """Listen at `host`, an address of this machine alone; port 0 takes any free one. `make` makes a client's server."""

    def __init__(self, host: str, port: int, what: str, make: Callable[[socket.socket, str], Client]) -> None:
        self.what, self._make = what, make
        try:
            self._socket = socket.create_server((host, port), reuse_port=False)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UsageError(f"the virtual core cannot listen at {host}:{port} ({reason}): another may be running; "
                             "stop it, or choose another loopback address with --bind") from None  # fmt: skip
        self.port = int(self._socket.getsockname()[1])
        self._over = False
        self._clients: dict[Client, tuple[threading.Thread, socket.socket]] = {}
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Begin to serve, in threads."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and hang up on everybody."""
        self._over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits for the next client
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(_CLOSING_S)
        self.hang_up()

    def hang_up(self, but: Client | None = None) -> None:
        """Hang up on everybody, but for one client; what runs for them is broken off."""
        leaving = [(client, *at) for client, at in list(self._clients.items()) if client is not but]
        for client, _, connection in leaving:
            client.stop()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                logger.debug("%s has gone already", client.who)
        until_s = time.monotonic() + _CLOSING_S
        for client, thread, _ in leaving:
            while thread.is_alive() and time.monotonic() < until_s:
                client.stop()
                thread.join(_AGAIN_S)

    def _accept(self) -> None:
        while not self._over:
            try:
                connection, address = self._socket.accept()
            except OSError as error:
                if not self._over:
                    logger.error("port %d: no client can be taken at present: %s", self.port, error)
                    time.sleep(_AGAIN_S)
                continue
            if len(self._clients) >= _MOST_CLIENTS:
                logger.warning("client %s:%d is refused: there are %d already", *address[:2], _MOST_CLIENTS)
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            who = f"client {address[0]}:{address[1]}"
            logging.getLogger(f"{__package__}.{self.what}").info("new connection from %s:%d", *address[:2])
            client = self._make(connection, who)
            thread = threading.Thread(target=self._serve, args=(client, connection), daemon=True)
            self._clients[client] = thread, connection
            thread.start()

    def _serve(self, client: Client, connection: socket.socket) -> None:
        try:
            client.serve()
        except (HungUp, Stopped, OSError):
            pass
        except LabError as error:
            logger.warning("%s is disconnected: %s", client.who, error)
        finally:
            connection.close()
            try:
                client.over()
            finally:
                self._clients.pop(client, None)


def check_address(host: str, port: int) -> None:
    """Refuse a host beyond loopback, and a port that is none."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(f"--bind is {host!r}, must be a loopback address such as 127.0.0.1: the protocol of a core "
                         "device knows no password")  # fmt: skip
    if port and not 2 <= port < 65534:
        raise UsageError(f"--port is {port}, must be 2 to 65533, or 0 for any: the three other ports lie beside it")
