"""Whatever comes to a port of a lab: no fault of the lab's own, every port alive afterwards, memory bounded."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_lab import Kept, hardware_rows, kept
from fuzz_lab import KINDS, bytes_at_random, objects, throw

from sim.daemon.daemon import Daemon
from sim.daemon.in_lab import open_at_lab
from sim.daemon.remote import Connection, RemoteWorld
from sim.daemon.service import MOST_PORTS, Service, Session
from sim.instruments.server import mqtt
from sim.world.scenario import load_scenario
from sim.world.world import World

ROWS = hardware_rows()
PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def lab() -> Iterator[Kept]:
    with kept() as found:
        yield found


def memory() -> int:
    """Return the bytes of this process, the lab's too, that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def ports(lab: Kept) -> dict[int, str]:
    """Return every port, with the row that it belongs to; second ones lie 1, 345 or 505 above."""
    first = {served.port: name for name, served in lab.daemon.instruments.served.items() if served.port}
    seconds = {"dlc_pro": 1, "websq": 345, "id900": 505}
    second = {port + seconds[str(ROWS[name]["driver"])]: name for port, name in first.items()
              if ROWS[name]["driver"] in seconds}  # fmt: skip
    return {lab.daemon.port: "lab", **first, **second}


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged with a trace: nobody foresaw it."""
    return [record.getMessage() for record in caplog.records if record.exc_info or record.name == "asyncio"]


def assert_alive(lab: Kept) -> None:
    for name in ROWS:
        with open_at_lab(lab.address, name, str(ROWS[name]["driver"])) as driver:
            assert driver.ping(), name
    run = RemoteWorld(lab.address, "afterwards")
    run.advance(run.now_mu + 1000)
    run.close()


@pytest.mark.timeout(1500)  # 10^5 connections
@pytest.mark.parametrize("each", [6, pytest.param(1100, marks=pytest.mark.slow)])
def test_no_input_to_any_port_is_a_fault_or_ends_a_port(lab: Kept, each: int, caplog: pytest.LogCaptureFixture) -> None:
    rng, found = random.Random(5), ports(lab)
    assert len(found) == 18
    for port in found:
        throw(port, objects(rng) + bytes_at_random(rng))  # what a port needs once is made before memory is measured
    before = memory()
    with caplog.at_level(logging.ERROR):
        for _ in range(each):
            for port in found:
                for kind in KINDS:
                    throw(port, kind(rng))
        assert_alive(lab)
    assert faults(caplog) == []
    assert memory() - before < 64 << 20


@pytest.mark.parametrize("requests", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_request_is_a_fault_of_the_service(requests: int, caplog: pytest.LogCaptureFixture) -> None:
    rng, service, session = random.Random(6), Service(World(load_scenario("default"), 1), "default"), Session()
    lines = [line for _ in range(requests) for line in objects(rng).splitlines()]
    daemon = Daemon(service, "127.0.0.1", 0, {})
    for line in lines[:requests]:
        assert daemon._reply(session, line).endswith(b"\n")
    assert faults(caplog) == []
    assert len(session.inputs) + len(session.sinks) + len(session.frames) + len(session.entanglers) <= MOST_PORTS


def test_a_raw_connection_to_the_tagger_ends_neither_commands_nor_streams(lab: Kept) -> None:
    rng = random.Random(1)
    port = lab.port("tagger")
    for target in (port, port + 505):
        for _ in range(50):
            throw(target, rng.randbytes(2000), 0.0005)
    with open_at_lab(lab.address, "tagger", "id900") as tagger:
        tagger.start([0])  # type: ignore[attr-defined]
        tagger.stop()  # type: ignore[attr-defined]
        assert list(tagger.tags()) == []  # type: ignore[attr-defined]


def mqtt_client(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 20)
    client.sendall(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc")
    assert client.recv(4)[0] == 0x20
    return client


def test_retained_messages_are_bounded_in_number_and_bytes(lab: Kept) -> None:
    before = memory()
    for size in (10, 60_000):
        for start in range(0, 3000, 500):
            client = mqtt_client(lab.port("alice_cavity_lock"))
            with client, contextlib.suppress(ConnectionError):  # refused in the middle
                for k in range(start, start + 500):
                    client.sendall(mqtt.published(f"x/{size}/{k}", b"y" * size, b"", retain=True))
                client.recv(1 << 16)
    broker = lab.daemon.instruments.served["alice_cavity_lock"].server._broker  # type: ignore[union-attr]
    kept_bytes = lab.do(lambda: sum(len(t) + len(p) + len(q) for t, (p, q) in broker._retained.items()))
    assert kept_bytes == lab.do(lambda: broker._retained_bytes) <= mqtt.MOST_RETAINED_BYTES
    assert 100 < lab.do(lambda: len(broker._retained)) <= mqtt.MOST_RETAINED
    assert memory() - before < 16 << 20
    lab.do(lambda: [broker._retain(topic, b"", b"") for topic in list(broker._retained) if topic.startswith("x/")])
    assert lab.do(lambda: broker._retained_bytes) < 100_000


def test_subscriptions_and_connections_of_the_broker_are_bounded(lab: Kept) -> None:
    port = lab.port("alice_cavity_lock")
    with mqtt_client(port) as client:
        for k in range(mqtt.MOST_FILTERS + 1):
            body = b"\x00\x01\x00" + mqtt._string(f"s/{k}") + b"\x01"
            client.sendall(mqtt._frame(0x82, body))
        answer = b""
        while answer.count(b"\x90") <= mqtt.MOST_FILTERS:
            answer += client.recv(1 << 16)
        assert answer[-1] == mqtt.QUOTA_EXCEEDED
        others = [mqtt_client(port) for _ in range(mqtt.MOST_CLIENTS - 1)]
        with socket.create_connection(("127.0.0.1", port), 20) as late:
            late.sendall(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc")
            assert late.recv(16)[3] == mqtt.BUSY
        for other in others:
            other.close()
    with open_at_lab(lab.address, "alice_cavity_lock", "stabilizer") as lock:
        assert lock.ping()


def test_asking_for_the_same_input_again_costs_nothing_and_there_is_an_end_of_ports() -> None:
    service, session = Service(World(load_scenario("default"), 1), "default"), Session()
    for _ in range(3000):
        assert service.handle(session, {"op": "input", "port": "snspd_c_h"}) == {"id": 0}
    for k in range(2 * MOST_PORTS):
        reply = service.handle(session, {"op": "input", "port": f"p{k}"})
    assert "there are no more" in reply["error"] and len(session.inputs) == MOST_PORTS
    assert "must be a name" in service.handle(session, {"op": "camera", "port": "x" * 10_000})["error"]


def test_more_connections_than_a_port_takes_are_refused_and_the_next_is_served(lab: Kept) -> None:
    for port in (lab.port("alice_microwave"), lab.port("snspd_electronics"), lab.daemon.port):
        many = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(100)]
        for one in many:
            one.close()
        for _ in range(100):  # until the lab has noticed that they are gone
            throw(port, b"x")
    assert_alive(lab)
    with Connection(lab.address) as connection:
        assert connection.ask(op="hello")["lease"] is None
