"""The instruments of a lab: a twin for each row of device_db.py, and its server on loopback.

Before each request lab time reaches what the run that holds the timeline has reached, so a set point acts there.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atomlink.errors import DeviceError, UsageError
from sim.daemon import messages
from sim.instruments.catalog import make_twin
from sim.instruments.server.supervise import Guard
from sim.instruments.server.table import make_server
from sim.instruments.server.tcp import Server
from sim.instruments.twin import Handle
from sim.world.world import World

FIRST = 100  # the first instrument's port lies so far above the lab's
_SEARCHED = 200  # ports that are tried for one instrument
PACKAGES = {"zmq": "pyzmq", "toptica": "toptica-lasersdk", "pyvisa": "pyvisa"}  # by what is imported


@dataclass
class Served:
    """One row: its kind, and where it is, or why it is nowhere."""

    kind: str
    handle: Handle | None = None
    server: Server | None = None
    port: int = 0
    problem: str = ""


class Instruments:
    """All instruments of a lab. `sync()` brings lab time up to date."""

    def __init__(self, world: World, rows: Mapping[str, Mapping[str, Any]], sync: Callable[[], None]) -> None:
        self._sync, self._shared = sync, dict[str, Any]()
        self.served = {name: self._make(world, name, str(row["driver"])) for name, row in rows.items()}

    async def start(self, host: str, port: int) -> None:
        """Bind every instrument's port, the first free ones from `port` on; any free ones for 0."""
        for served in self.served.values():
            if served.server is not None:
                served.port = await _bound(served.server, host, port)
                port = port and max(port, served.port + 1)

    async def stop(self) -> None:
        """Close every port."""
        for served in self.served.values():
            if served.server is not None:
                with Guard(f"stopping {served.kind}"):  # the others' ports close all the same
                    await served.server.stop()

    def addresses(self, host: str, lab: str) -> dict[str, str]:
        """Return where instruments listen as seen from a client that reaches this host, as `Driver.connect` takes it;
        `lab:LAB/NAME` for those without a wire.
        """
        return {name: self._address(name, served, host, lab) for name, served in self.served.items()
                if not served.problem}  # fmt: skip

    def table(self, host: str, lab: str) -> Iterator[tuple[str, str, str]]:
        """Yield name, kind, and address or problem of each row."""
        addresses = self.addresses(host, lab)
        for name, served in self.served.items():
            yield name, served.kind, served.problem or addresses[name]

    def ask(self, request: messages.Message) -> messages.Message:
        """Answer requests to an instrument without a wire: `name`, `requests`. The first that it refuses is the last;
        the reply is what it said last.
        """
        name = str(request["name"])
        served = self.served.get(name)
        if served is None or served.handle is None or served.server is not None:
            raise DeviceError(f"instrument is {name!r}, must be one without a wire of its own; the others have ports")
        reply = None
        for one in messages.unpacked(request["requests"]):
            reply = served.handle(one)
            if messages.is_refusal(reply):
                break
        return {"reply": messages.packed(reply)}

    def _make(self, world: World, name: str, kind: str) -> Served:
        try:
            twin = make_twin(world, name, kind)
            handle = self._after_sync(twin.handle)
            return Served(kind, handle, make_server(name, kind, twin, handle, self._shared))
        except ImportError as error:
            package = str(error.name).partition(".")[0]
            return Served(kind, problem=f"needs {PACKAGES.get(package, package)}")

    def _after_sync(self, handle: Handle) -> Handle:
        sync = self._sync

        def synchronised(request: Any) -> Any:
            sync()
            return handle(request)

        return synchronised

    @staticmethod
    def _address(name: str, served: Served, host: str, lab: str) -> str:
        return f"lab:{lab}/{name}" if served.server is None else served.server.address(host, served.port)


async def _bound(server: Server, host: str, port: int) -> int:
    """Start a server at the first port from `port` on that is free."""
    for candidate in range(port, port + _SEARCHED) if port else (0,):
        try:
            return await server.start(host, candidate)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EACCES):
                raise UsageError(f"the lab's instruments cannot listen at {host} ({error.strerror})") from None
    raise UsageError(f"no port from {port} to {port + _SEARCHED - 1} at {host} is free for an instrument: choose "
                     "another --port")
