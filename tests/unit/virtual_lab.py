"""A virtual core over channels that note what happens to them, and clients of its ports, for tests."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rtio_lab import Gateware

from sim.rtio.core import Core
from sim.virtual_core.device import Device
from sim.virtual_core.server import Server

try:
    import unicorn  # noqa: F401 - whether it is there is the question
except ImportError:
    HAS_UNICORN = False
else:
    HAS_UNICORN = True
emulated = pytest.mark.skipif(not HAS_UNICORN, reason="needs unicorn: pip install 'atomlink[virtual-core]'")

FACTS = {"scenario": "default", "seed": 3, "costs": "ideal"}
SYNC = b"\x5a\x5a\x5a\x5a"
MANAGEMENT, MONINJ = b"ARTIQ management\n", b"ARTIQ moninj\n"
LOADED, FAILED, FINISHED, STARTUP_FAILED, EXCEPTION, CALL = 5, 6, 7, 8, 9, 10


class World:
    """What the device asks of a world when a kernel was broken off."""

    now_mu = 0
    nodes = ("alice", "bob")

    def __init__(self) -> None:
        self.levels: list[tuple[str, int]] = []
        self.reached: list[int] = []

    def reach(self, t_mu: int) -> None:
        self.now_mu = t_mu
        self.reached.append(t_mu)

    advance = reach

    def forget(self, _what: str) -> None:
        pass

    def output(self, port: str, _kind: str) -> Any:
        return lambda _t_mu, value: self.levels.append((port, value))


class Lab:
    """A virtual core over channels that note what happens to them."""

    def __init__(self, configuration: Path | None = None) -> None:
        self.gateware: Any = Gateware()
        self.gateware.world = self.world = World()
        self.core = Core(None, gateware=self.gateware, costs="ideal")
        self.device = Device(lambda: self.core, FACTS, configuration)
        self.server = Server(self.device, "127.0.0.1", 0)
        self.server.start()

    def seen(self, channel: int) -> list[tuple[int, int, Any]]:
        return list(self.gateware.channels[channel].seen)

    def closed(self) -> bool:
        """Wait until the shutters have been closed."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and len(self.world.levels) < 2:
            time.sleep(0.01)
        return {("alice_shutter", 0), ("bob_shutter", 0)} <= set(self.world.levels)


class Client:
    """A client of the session protocol, written for these tests."""

    def __init__(self, server: Server, greeting: bytes = b"ARTIQ coredev\n") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.socket.sendall(greeting)
        self.stream = self.socket.makefile("rb")

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def tell(self, kind: int, fields: bytes = b"") -> None:
        self.socket.sendall(SYNC + bytes([kind]) + fields)

    def word(self) -> int:
        return int(struct.unpack("<I", self.stream.read(4))[0])

    def text(self) -> str:
        return self.stream.read(self.word()).decode()

    def kind(self) -> int:
        assert self.stream.read(4) == SYNC
        return self.stream.read(1)[0]

    def load(self, library: bytes) -> str:
        """Load a library; return why not, empty where it did."""
        self.tell(5, struct.pack("<I", len(library)) + library)
        return "" if self.kind() == LOADED else self.text()

    def run(self, library: bytes) -> int:
        """Run a library; return the kind of the first message that comes."""
        assert self.load(library) == ""
        self.tell(6)
        return self.kind()


class Wire:
    """A connection to one of the ports."""

    def __init__(self, lab: Lab, what: str, greeting: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", lab.server.ports[what].port), 10)
        self.socket.sendall(greeting)

    def close(self) -> None:
        self.socket.close()

    def tell(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, size: int) -> bytes:
        """Return what comes, `size` bytes, or less where the connection ends."""
        heard = b""
        while len(heard) < size:
            try:
                more = self.socket.recv(size - len(heard))
            except ConnectionResetError:
                break
            if not more:
                break
            heard += more
        return heard

    def ask(self, data: bytes, size: int) -> bytes:
        self.tell(data)
        return self.hear(size)

    def field(self) -> bytes:
        return self.hear(struct.unpack("<I", self.hear(4))[0])

    def silent(self, for_s: float) -> bool:
        """Say whether nothing comes for a time."""
        self.socket.settimeout(for_s)
        try:
            return self.socket.recv(1) == b"never"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)


def management(lab: Lab) -> Wire:
    wire = Wire(lab, "management", MANAGEMENT)
    assert wire.hear(1) == b"e"
    return wire


def moninj(lab: Lab) -> Wire:
    return Wire(lab, "moninj", MONINJ)


def dumped(lab: Lab) -> bytes:
    with closing(Wire(lab, "analyzer")) as wire:
        return wire.hear(1 << 20)


def packed(raw: bytes) -> bytes:
    return struct.pack("<I", len(raw)) + raw


def eventually(true: Callable[[], Any], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())
