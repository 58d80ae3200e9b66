"""Instruments: queries per second in process and over loopback, the bare transport beside each in the same run.

    python benchmarks/bench_instruments.py

In process: the microwave source's driver over its twin in a lab whose RTIO counter is looked at before each request,
beside the same PyVISA backend with a constant for a twin. Over loopback: the daemon's instruments in a second process,
lab time looked at before each request, beside the barest server that asyncio has, which answers whatever comes with a
constant. Short runs in turns: the best rate of each, and the median of the ratios
within a turn, which other load on the machine hardly moves.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import runpy
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import sim.artiq_runtime

sim.artiq_runtime.install()

from artiq.master.worker_db import DeviceManager  # noqa: E402  (found by what the line before installs)

from drivers.instruments.microwave import Driver  # noqa: E402
from drivers.instruments.transport import LineTransport  # noqa: E402
from drivers.instruments.visa import VisaTransport  # noqa: E402
from sim.daemon.daemon import Daemon  # noqa: E402
from sim.daemon.service import Service  # noqa: E402
from sim.instruments import visa_backend  # noqa: E402
from sim.world.scenario import load_scenario  # noqa: E402
from sim.world.world import World  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
QUERY, REPLY = "SOUR:FREQ?", "6836782610.904"
TURNS = 101
ADDRESS = "TCPIP::192.168.1.81::5025::SOCKET"


class Rate(NamedTuple):
    """Best rate in 1/s, and the median ratio to the bare one within a turn."""

    best: float
    of_bare: float


class DeviceDb:
    """device_db.py as the device manager asks for it."""

    def __init__(self) -> None:
        self._rows = runpy.run_path(str(ROOT / "device_db.py"))["device_db"]

    def get_device_db(self) -> dict[str, Any]:
        """Return all rows."""
        return dict(self._rows)

    def get(self, key: str, resolve_alias: bool = False) -> Any:
        """Return one row."""
        return self._rows[key]


def rates(works: dict[str, Callable[[], object]], count: int, turns: int) -> dict[str, Rate]:
    """Return the best rate of each and the median of its ratio to the first, run in turns of `count` each."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(count):
                work()
            found[name].append(count / (time.perf_counter() - start))
    bare = next(iter(found.values()))
    return {name: Rate(max(each), statistics.median(a / b for a, b in zip(each, bare, strict=True)))
            for name, each in found.items()}  # fmt: skip


def in_process(turns: int = TURNS) -> dict[str, Rate]:
    """Return the rates without a wire."""
    manager = DeviceManager(DeviceDb())
    source = manager.get("alice_microwave")
    visa_backend.register("bare", ADDRESS, visa_backend.Served(lambda _request: REPLY, b"\n", b"\n"))
    bare = VisaTransport(ADDRESS, visa_backend.TwinLibrary("bare"))
    found = rates({
        "bare backend": lambda: bare.query(QUERY),
        "transport over the twin": lambda: source.transport.query(QUERY),
        "driver.frequency_hz()": source.frequency_hz,
    }, 500, turns)  # fmt: skip
    manager.close_devices()
    return found


def serve(ports: Connection) -> None:
    """Serve a constant and the twin until told to stop."""
    asyncio.run(_serve(ports))


class Constant(asyncio.Protocol):
    """One connection of the bare server."""

    def connection_made(self, transport: Any) -> None:
        """Remember the way back."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer, whatever it was."""
        self.transport.write(REPLY.encode() + b"\n")


async def _serve(ports: Connection) -> None:
    bare = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", 0)
    rows = {"alice_microwave": {"driver": "microwave"}}
    daemon = Daemon(Service(World(load_scenario("default"), 1), "default"), "127.0.0.1", 0, rows)
    await daemon.start()
    ports.send((bare.sockets[0].getsockname()[1], daemon.instruments.served["alice_microwave"].port))
    while not ports.poll():
        await asyncio.sleep(0.1)
    await daemon.stop()
    bare.close()


def over_loopback(turns: int = TURNS) -> dict[str, Rate]:
    """Return the rates over TCP, to a server in another process."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    process.start()
    constant, twin = here.recv()
    bare = LineTransport(f"127.0.0.1:{constant}")
    transport = LineTransport(f"127.0.0.1:{twin}")
    with Driver("source", LineTransport(f"127.0.0.1:{twin}")) as source:
        found = rates({
            "bare transport": lambda: bare.query(QUERY),
            "transport to the twin": lambda: transport.query(QUERY),
            "driver.frequency_hz()": source.frequency_hz,
        }, 100, turns)  # fmt: skip
    bare.close()
    transport.close()
    here.send("stop")
    process.join()
    return found


def main() -> None:
    """Print the table."""
    for title, found in (("in process", in_process()), ("over loopback", over_loopback())):
        for name, (rate, ratio) in found.items():
            print(f"{title:14s} {name:26s} {rate / 1e3:8.1f} k queries/s   {ratio:5.2f} of bare")


if __name__ == "__main__":
    main()
