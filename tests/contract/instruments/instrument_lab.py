"""What the instrument tests share: a row opened over its twin, the claims every instrument keeps, and bad peers.

A kind of instrument is one file `test_instrument_KIND.py` with a class `TestX(Contract)`: its rows of device_db.py, its
set points, and claims of its own. `conftest.py` runs every claim on every row.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import runpy
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atomlink.errors import DeviceError
from drivers.instruments import Instrument
from drivers.instruments.instrument import Record
from sim.instruments import in_process
from sim.instruments.twin import Twin
from sim.world.scenario import load_scenario
from sim.world.world import World

ROOT = Path(__file__).resolve().parents[3]
NO_NUMBERS = (math.nan, math.inf, -math.inf, True, "1", None)


class SetPoint(NamedTuple):
    """One set point of a driver: `setter` and `getter` are method names; `outside` and `refused` must be refused."""

    setter: str
    good: Any
    outside: tuple[Any, ...]
    getter: str
    unit: str
    refused: tuple[Any, ...] = NO_NUMBERS
    near: float = 1e-3  # relative, of what reads back


class Lab:
    """A lab without RTIO, whose time the test sets: what `core` is in a run."""

    def __init__(self, scenario: str = "default", seed: int = 1) -> None:
        self.world = World(load_scenario(scenario), seed)
        self.syncs = 0

    def sync(self) -> None:
        self.syncs += 1

    def wait(self, seconds: float) -> None:
        """Let lab time pass."""
        self.world.reach(self.world.now_mu + round(seconds * 1e9))


class Bench:
    """A driver over its twin; `sent` is what the twin was asked."""

    def __init__(self, row: str, lab: Lab | None = None) -> None:
        self.row, self.lab = row, lab or Lab()
        self.sent: list[Any] = []
        self.fault: Callable[[Any, Any], Any] | None = None  # (request, reply) -> what comes instead
        arguments = rows()[row]["arguments"]
        self.twin, self.driver = self._connect(row, arguments["driver"], arguments["device"])

    def _connect(self, name: str, kind: str, device: str) -> tuple[Twin, Instrument]:
        made: list[Twin] = []

        def spied(*arguments: Any) -> Twin:
            twin = original(*arguments)
            handle = twin.handle

            def record(request: Any) -> Any:
                self.sent.append(request)
                reply = handle(request)
                return reply if self.fault is None else self.fault(request, reply)

            twin.handle = record  # type: ignore[method-assign]
            made.append(twin)
            return twin

        original = in_process.make_twin
        in_process.make_twin = spied
        try:
            driver = in_process.connect(self.lab, self.lab.world, name, kind, device)
        finally:
            in_process.make_twin = original
        return made[0], driver

    def value(self, path: str) -> float:
        """Return what is true in the lab."""
        return float(self.lab.world.quantities.value(path))


@lru_cache(maxsize=1)
def rows() -> dict[str, dict[str, Any]]:
    """Return the instrument rows of device_db.py, as they are in simulation."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ATOMLINK_TARGET", "ATOMLINK_LAB", "ATOMLINK_SCENARIO", "ATOMLINK_SEED"):
            patch.delenv(name, raising=False)
        found = runpy.run_path(str(ROOT / "device_db.py"))["device_db"]
    return {name: row for name, row in found.items() if row.get("class") == "open_row"}


class Contract:
    """What every instrument promises, whatever its protocol."""

    ROWS: tuple[str, ...] = ()
    SET_POINTS: tuple[SetPoint, ...] = ()

    def pretend(self, twin: Any) -> None:
        """Make the twin identify as something else."""
        twin.identity = "ACME,TOASTER,1,1"

    def is_identity_request(self, request: Any) -> bool:
        """Tell a question for the identity from anything else."""
        return bool(request == "*IDN?")

    def write(self, bench: Bench, point: SetPoint, value: Any) -> None:
        """Set a set point; kinds whose setters take a channel override this."""
        getattr(bench.driver, point.setter)(value)

    def read(self, bench: Bench, point: SetPoint) -> Any:
        """Read a set point back."""
        return getattr(bench.driver, point.getter)()

    @pytest.fixture
    def bench(self, row: str) -> Iterator[Bench]:
        made = Bench(row)
        made.driver.open()
        yield made
        made.driver.close()

    def test_it_opens_says_who_it_is_and_answers_ping(self, bench: Bench) -> None:
        assert bench.driver.identity and bench.driver.simulated
        assert bench.driver.ping() is True

    def test_lab_time_is_brought_up_to_date_before_each_request(self, bench: Bench) -> None:
        before = bench.lab.syncs, len(bench.sent)
        bench.driver.ping()
        assert bench.lab.syncs - before[0] >= len(bench.sent) - before[1] > 0

    def test_it_can_be_closed_twice_and_opened_again(self, bench: Bench) -> None:
        bench.driver.close()
        bench.driver.close()
        assert bench.driver.open().ping() is True

    def test_another_instrument_at_its_address_is_refused_before_any_command(self, row: str) -> None:
        bench = Bench(row)
        self.pretend(bench.twin)
        with pytest.raises(DeviceError, match=f"{row} identifies as .* must match"):
            bench.driver.open()
        assert bench.sent and all(self.is_identity_request(request) for request in bench.sent)

    def test_a_set_point_reads_back_and_is_logged(
        self, bench: Bench, point: SetPoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        records: list[Record] = []
        bench.driver.on_record, bench.driver.rid = records.append, 17
        with caplog.at_level(logging.INFO):
            self.write(bench, point, point.good)
        assert self.read(bench, point) == pytest.approx(point.good, rel=point.near)
        record = records[-1]
        assert (record.instrument, record.unit, record.rid) == (bench.row, point.unit, 17)
        assert record.who and record.utc.endswith("+00:00") and record.monotonic_s > 0
        assert record.applied == pytest.approx(point.good)
        assert record.read_back == pytest.approx(point.good, rel=point.near)
        assert any(getattr(entry, "instrument_record", None) is record for entry in caplog.records)

    def test_a_set_point_out_of_range_is_refused_with_its_unit_before_any_io(
        self, bench: Bench, point: SetPoint
    ) -> None:
        before = self.read(bench, point)
        for value in (*point.outside, *point.refused):
            sent = len(bench.sent)
            with pytest.raises(DeviceError) as refusal:
                self.write(bench, point, value)
            assert bench.row in str(refusal.value) and point.unit in str(refusal.value), value
            assert bench.sent[sent:] == [], value
        assert self.read(bench, point) == before


class Peer:
    """A server on loopback that greets and then does `script(line, connection)` at each line."""

    def __init__(
        self, script: Callable[[str, socket.socket], None], ending: bytes = b"\n", greeting: bytes = b""
    ) -> None:
        self._script, self._ending, self._greeting = script, ending, greeting
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.heard: list[str] = []
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # closing alone does not wake the thread that accepts
        self._server.close()
        self._thread.join(10)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with contextlib.suppress(OSError):  # the test closes the connection under this thread
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(self._greeting)
            while data := connection.recv(4096):
                *lines, buffer = (buffer + data).split(self._ending)
                for line in lines:
                    self.heard.append(line.decode())
                    self._script(line.decode(), connection)


class SerialPeer:
    """A twin at the other end of a serial line; `hold` keeps its replies back while it is cleared."""

    def __init__(self, twin: Twin) -> None:
        self._twin, self.hold = twin, threading.Event()
        self.hold.set()
        self._master, slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(slave)
        self._slave, self.port = slave, os.ttyname(slave)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> SerialPeer:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._slave)
        os.close(self._master)

    def _serve(self) -> None:
        buffer = ""
        while True:
            try:
                buffer += os.read(self._master, 4096).decode()
                *requests, buffer = buffer.split(self._twin.REQUEST_ENDING)
                for request in requests:
                    reply = self._twin.handle(request)
                    self.hold.wait(10)
                    if reply is not None:
                        os.write(self._master, (reply + self._twin.ENDING).encode())
            except OSError:
                return


def dead_port() -> int:
    """Return a port of loopback at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Scripted:
    """A transport that expects an exact exchange: [(request, reply)], the reply None for a command."""

    def __init__(self, *exchange: tuple[str, str | None]) -> None:
        self._exchange = list(exchange)

    def query(self, text: str) -> str:
        request, reply = self._exchange.pop(0)
        assert text == request and reply is not None
        return reply

    def write(self, text: str) -> None:
        assert (text, None) == self._exchange.pop(0)

    def clear(self) -> None:
        raise AssertionError("nothing went wrong, so there is nothing to clear")

    reopen = clear

    def close(self) -> None:
        assert self._exchange == [], "the driver left out part of the exchange"
