"""Serve a virtual core on loopback: its four ports, and a thread that looks whether a kernel's client is still there.

The ports are those of a core device: management 1380, kernels 1381, analyzer 1382, MonInj 1383.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from .analyzer import Dump
from .device import Device
from .management import Management
from .moninj import MonInj
from .port import Client, Port, check_address
from .session import Session

_LOOK_S = 0.2  # how often
MANAGEMENT, ANALYZER, MONINJ = -1, 1, 2  # where these ports are, counted from that for kernels


class Server:
    """Listen at `host`, for kernels at `port` and for the rest beside it; port 0 takes any free ones."""

    def __init__(self, device: Device, host: str, port: int) -> None:
        check_address(host, port)
        self.device, self.host = device, host
        self._over, self._rebooting = threading.Event(), threading.Lock()
        self._look_out = threading.Thread(target=self._look, daemon=True)
        makers: dict[str, tuple[int, Callable[[socket.socket, str], Client]]] = {
            "session": (0, lambda connection, who: Session(connection, device, who)),
            "management": (MANAGEMENT, lambda connection, who: Management(connection, self, who)),
            "analyzer": (ANALYZER, lambda connection, who: Dump(connection, device, who)),
            "moninj": (MONINJ, lambda connection, who: MonInj(connection, device, who)),
        }
        self.ports: dict[str, Port] = {}
        try:
            for what, (beside, make) in makers.items():
                self.ports[what] = Port(host, port and port + beside, what, make)
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        """The port for kernels."""
        return self.ports["session"].port

    def start(self) -> None:
        """Begin to serve, in threads; the start-up kernel comes first."""
        self.device.log.attach()
        self.device.boot()
        self._look_out.start()
        for port in self.ports.values():
            port.start()

    def close(self) -> None:
        """Hang up on everybody; the kernel that runs is broken off, so the shutters close."""
        self._over.set()
        self.device.shut_down()
        for port in self.ports.values():
            port.close()
        self.device.log.detach()

    def reboot(self, asked_by: Management) -> None:
        """Hang up on everybody else and start the device again; nothing where that happens already."""
        if self._rebooting.acquire(blocking=False):
            try:
                self.device.shut_down()
                for port in self.ports.values():
                    port.hang_up(but=asked_by)
                self.device.reboot()
            finally:
                self._rebooting.release()

    def _look(self) -> None:
        """Stop a kernel whose client has hung up: nobody would ever read what it does."""
        while not self._over.wait(_LOOK_S):
            holder = self.device.holder
            if holder is not None and holder.running and holder.hung_up():
                holder.stop()
