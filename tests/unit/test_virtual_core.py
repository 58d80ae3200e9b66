"""The virtual core device: libraries that the tests assemble themselves, over its own protocol on loopback."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from virtual_elf import A0, A1, A2, SP, T0, Assembler, asking, endless, pulse
from virtual_lab import CALL, EXCEPTION, FACTS, FINISHED, STARTUP_FAILED, SYNC, Client, Lab, emulated

from atomlink.errors import DeviceError, UsageError
from sim import target
from sim.rtio.core import Core
from sim.virtual_core import rpc
from sim.virtual_core.analyzer import Analyzer
from sim.virtual_core.device import Device
from sim.virtual_core.ehabi import FLOATS, EhabiFrame, EhabiUnwinder
from sim.virtual_core.elf import LoadError, load
from sim.virtual_core.identity import ask
from sim.virtual_core.kernel import Kernel
from sim.virtual_core.memory import ARENA, PAYLOAD, GuestFault, Memory
from sim.virtual_core.numeric import functions, run_time
from sim.virtual_core.server import Server
from sim.virtual_core.session import Session


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.server.close()


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    made = Client(lab.server)
    assert made.stream.read(1) == b"e"
    with closing(made):
        yield made


# What runs


@emulated
def test_an_output_event_of_a_binary_reaches_the_bus(lab: Lab, client: Client) -> None:
    t_mu = (3 << 32) + 0x9000_0000  # both words of the cursor count
    assert client.run(pulse(2, t_mu, 7).library()) == FINISHED
    assert client.stream.read(1) == b"\0"
    client.close()
    lab.server.close()  # what is on the timeline happens
    assert lab.seen(2) == [(t_mu, 0, 7)]
    assert lab.core.bus.now == t_mu


@emulated
def test_a_remote_procedure_call_gives_its_arguments_and_takes_its_value(lab: Lab, client: Client) -> None:
    assert client.run(asking(42).library()) == CALL
    assert client.stream.read(1) == b"\0"  # not asynchronous
    assert client.word() == 42
    assert client.stream.read(6) == b"i" + struct.pack("<i", -5) + b"\0"
    assert client.text() == "i"
    client.tell(7, struct.pack("<I", 1) + b"i" + struct.pack("<i", 1234))
    assert client.kind() == FINISHED
    client.close()
    lab.server.close()
    assert lab.seen(1) == [(1000, 0, 1234)]


@emulated
def test_what_the_host_raises_ends_a_kernel_that_does_not_catch_it(client: Client) -> None:
    assert client.run(asking(42).library()) == CALL
    client.stream.read(11)
    client.text()
    client.tell(8, struct.pack("<IIqqqIiiI", 21, 22, 1, 2, 3, 23, 99, -1, 24))
    assert client.kind() == EXCEPTION
    assert [client.word(), client.word()] == [1, 21]
    assert [client.word(), client.word()] == [0xFFFFFFFF, 22]  # the host keeps the message
    assert struct.unpack("<3q", client.stream.read(24)) == (1, 2, 3)
    assert [client.word() for _ in range(6)] == [0xFFFFFFFF, 23, 99, 0xFFFFFFFF, 0xFFFFFFFF, 24]


@emulated
def test_an_underflow_is_raised_with_channel_cursor_and_slack(lab: Lab, client: Client) -> None:
    lab.core.bus.counter = 5000
    assert client.run(pulse(1, 4000).library()) == EXCEPTION
    assert [client.word(), client.word()] == [1, 1]
    assert client.text() == "RTIO underflow at channel 0x0001:ttl1, 4000 mu, slack -1000 mu"
    assert struct.unpack("<3q", client.stream.read(24)) == (1, 4000, -1000)


@emulated
def test_one_kernel_after_another_goes_on_with_cursor_and_counter(lab: Lab, client: Client) -> None:
    assert client.run(pulse(1, 1000).library()) == FINISHED
    client.stream.read(1)
    again = Assembler()
    again.enter()
    again.li(A0, 2 << 8)
    again.li(A1, 1)
    again.call("rtio_output")
    again.leave()
    assert client.run(again.library()) == FINISHED
    client.close()
    lab.server.close()
    assert lab.seen(2) == [(1000, 0, 1)]


@emulated
def test_a_loop_that_waits_for_the_counter_gets_there_exactly_though_reading_costs_nothing(
    lab: Lab, client: Client
) -> None:
    asm = Assembler()
    asm.enter()
    asm.store(8, SP, 56)
    asm.li(8, 77_777)  # s0: wanted
    asm.store(8, SP, 0)
    asm.store(0, SP, 4)
    asm.li(T0, 40_000)  # another number that may be a time
    asm.store(T0, SP, 8)
    start = len(asm.words)
    asm.call("rtio_get_counter")
    asm.words.append(0x20 << 25 | 8 << 20 | A0 << 15 | A0 << 7 | 0x33)  # sub a0, a0, s0
    asm.branch_if_not_zero(A0, len(asm.words) - start)
    asm.load(8, SP, 56)
    asm.leave()
    assert client.run(asm.library()) == FINISHED
    assert lab.core.bus.counter == 77_777
    # What is random in the lab must not depend on the numbers that the loop keeps: it is told of the end alone.
    assert lab.world.reached == [77_777]


@emulated
def test_cache_rows_last_from_kernel_to_kernel_and_dma_plays_what_was_recorded(lab: Lab, client: Client) -> None:
    asm = Assembler()
    name = asm.keep(b"row")
    values = asm.keep(struct.pack("<2i", 4, -4))
    asm.enter()
    for at, (offset, n) in enumerate(((name, 3), (values, 2))):
        asm.address(T0, offset)
        asm.store(T0, SP, 8 * at)
        asm.li(T0, n)
        asm.store(T0, SP, 8 * at + 4)
    asm.addi(A0, SP, 0)
    asm.addi(A1, SP, 8)
    asm.call("cache_put")
    asm.addi(A0, SP, 0)
    asm.call("dma_record_start")
    asm.li(A0, 2 << 8)
    asm.li(A1, 9)
    asm.call("rtio_output")
    asm.li(A0, 500)
    asm.li(A1, 0)
    asm.li(A2, 0)
    asm.call("dma_record_stop")
    asm.addi(A0, SP, 16)
    asm.addi(A1, SP, 0)
    asm.call("dma_retrieve")
    asm.load(A2, SP, 24)
    asm.li(A0, 8000)
    asm.li(A1, 0)
    asm.li(13, 0)
    asm.call("dma_playback")
    asm.leave()
    assert client.run(asm.library()) == FINISHED
    client.close()
    lab.server.close()
    assert lab.core.engine.cache.rows == {"row": [4, -4]}
    assert lab.seen(2) == [(8000, 0, 9)]


@emulated
def test_a_service_that_is_not_modelled_ends_the_kernel_and_is_named(client: Client) -> None:
    asm = Assembler()
    asm.enter()
    asm.call("subkernel_load_run")
    asm.leave()
    assert client.run(asm.library()) == EXCEPTION
    assert [client.word(), client.word()] == [1, 0]
    assert client.text().startswith("`subkernel_load_run` is not modelled by the virtual core")


# What unwinds a stack


@pytest.mark.parametrize(("instructions", "stack", "pc", "registers"), [
    ([0x03, 0xB0], [], 0x99, {13: 16}),  # sp + 16
    ([0xA9, 0xB0], [4, 5, 0x77], 0x77, {4: 4, 5: 5, 14: 0x77, 13: 12}),  # pop r4, r5, lr
    ([0x84, 0x80, 0xB0], [11, 0x55], 0x55, {11: 11, 14: 0x55, 13: 8}),  # pop r11, lr
    ([0x88, 0x00, 0xB0], [0x66], 0x66, {13: 4}),  # pop pc
    ([0xB1, 0x08, 0xB0], [3], 0x99, {3: 3, 13: 4}),  # pop r3
    ([0xC9, 0x81, 0xB0], [1, 0, 2, 0], 0x99, {FLOATS + 8: 1, FLOATS + 9: 2, 13: 16}),  # pop d8, d9
    ([0xD0, 0xB0], [7, 0], 0x99, {FLOATS + 8: 7, 13: 8}),  # pop d8
    ([0xB2, 0x04, 0xB0], [], 0x99, {13: 0x204 + 16}),
    ([0x97, 0x00, 0xB0], [], 0x99, {13: 0x700 - 0x500 + 4}),  # sp = r7, then + 4
])  # fmt: skip
def test_instructions_of_arm_frames_are_undone(
    instructions: list[int], stack: list[int], pc: int, registers: dict[int, int]
) -> None:
    with closing(Memory()) as memory:
        for i, word in enumerate(stack):
            memory.put_word(ARENA + 4 * i, word)
        found = {13: ARENA}
        unwinder = EhabiUnwinder(memory, 0, 0)
        current = {7: ARENA + 0x200, 14: 0x99}
        assert unwinder.leave(EhabiFrame(0, bytes(instructions), 0), found, current.__getitem__) == pc
    assert {**found, 13: found[13] - ARENA} == registers


# What is refused


@pytest.mark.parametrize(("library", "says"), [
    (pulse(1, 1000).library(machine=40), "is for ARM without hardware floats, must be for cortexa9 or rv32g"),
    (pulse(1, 1000).library(flags=0), "is for rv32ima (soft float), must be for cortexa9 or rv32g"),
    (b"#!/bin/sh", "is no 32-bit little-endian ELF file"),
    (b"", "is no 32-bit little-endian ELF file"),
    (pulse(1, 1000).library(defined=False), "does not define `__modinit__`"),
    (pulse(1, 1000).library()[:300], "is corrupt"),
])  # fmt: skip
def test_a_library_that_cannot_run_is_refused_in_one_line(library: bytes, says: str) -> None:
    with pytest.raises(LoadError) as refusal, closing(Memory()) as memory:
        load(library, memory, lambda _name: PAYLOAD)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_import_that_nobody_knows_is_named() -> None:
    with pytest.raises(LoadError, match=r"^symbol lookup error: rtio_output$"), closing(Memory()) as memory:
        load(pulse(1, 1000).library(), memory, {"now": PAYLOAD}.get)


def test_damaged_libraries_are_refused_or_loaded_and_never_anything_else() -> None:
    whole = pulse(1, 1000).library()
    refused = 0
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            with closing(Memory()) as memory:
                try:
                    load(damaged, memory, lambda _name: PAYLOAD)
                except DeviceError as refusal:
                    assert "\n" not in str(refusal)
                    refused += 1
    assert refused > len(whole)  # each that is cut short, and many that are changed


@emulated
def test_damaged_libraries_do_not_upset_the_emulator(lab: Lab) -> None:
    whole, host = pulse(1, 1000).library(), Session.__new__(Session)
    for at in range(0, len(whole), 7):
        try:
            Kernel(lab.core.engine, host, whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :],
                   Analyzer()).close()
        except DeviceError as refusal:
            assert "\n" not in str(refusal)


@emulated
def test_a_refused_library_leaves_the_connection_as_it_was(lab: Lab, client: Client) -> None:
    assert "must be for cortexa9 or rv32g" in client.load(pulse(1, 1000).library(machine=40))
    client.tell(6)
    assert client.kind() == STARTUP_FAILED
    assert client.run(pulse(1, 1000).library()) == FINISHED


@emulated
def test_a_lab_that_refuses_is_told_as_an_exception(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Any:
        raise DeviceError("the lab is in use by process 3")

    assert client.load(pulse(1, 1000).library()) == ""
    monkeypatch.setattr(lab.core, "serving", refuse)
    client.tell(6)
    assert client.kind() == EXCEPTION
    assert [client.word(), client.word()] == [1, 0]
    assert client.text() == "the lab is in use by process 3"


@emulated
def test_a_second_client_is_refused_by_name_until_the_first_has_gone(lab: Lab, client: Client) -> None:
    assert client.load(pulse(1, 1000).library()) == ""
    with closing(Client(lab.server)) as other:
        other.stream.read(1)
        refusal = other.load(pulse(1, 1000).library())
        assert refusal.startswith("the core device is in use by client 127.0.0.1:")
        assert ask("127.0.0.1", lab.server.port) == FACTS  # anybody may ask
        client.close()
        deadline = time.monotonic() + 10
        while other.load(pulse(1, 1000).library()) and time.monotonic() < deadline:
            time.sleep(0.01)
        other.tell(6)
        assert other.kind() == FINISHED


@emulated
@pytest.mark.parametrize("kernel", [endless, lambda: asking(1)], ids=["computing", "waiting for its RPC"])
def test_a_client_that_vanishes_ends_its_kernel_and_closes_the_shutters(lab: Lab, client: Client, kernel: Any) -> None:
    assert client.load(kernel().library()) == ""
    client.tell(6)
    time.sleep(0.1)  # it runs
    client.close()
    assert lab.closed()
    with closing(Client(lab.server)) as other:
        other.stream.read(1)
        deadline = time.monotonic() + 10
        while other.load(pulse(1, 1000).library()) and time.monotonic() < deadline:
            time.sleep(0.01)
        other.tell(6)
        assert other.kind() == FINISHED


@emulated
def test_a_kernel_that_crashes_loses_its_connection_and_closes_the_shutters(lab: Lab, client: Client) -> None:
    asm = Assembler()
    asm.load(A0, 0, 0)  # of address 0
    assert client.load(asm.library()) == ""
    client.tell(6)
    assert client.stream.read(1) == b""
    assert lab.closed()


@pytest.mark.parametrize("spoken", [b"GET / HTTP/1.0\r\n\r\n", b"ARTIQ coredev\n\x00\x00\x00\x00\x00",
                                    b"ARTIQ coredev\n" + SYNC + b"\x63"])  # fmt: skip
def test_who_talks_nonsense_is_disconnected_and_nobody_else(lab: Lab, spoken: bytes) -> None:
    with closing(Client(lab.server, spoken)) as talker:
        talker.socket.settimeout(10)
        assert talker.stream.read() in (b"", b"e")
    assert ask("127.0.0.1", lab.server.port) == FACTS


def test_the_identity_is_asked_of_virtual_cores_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def answer() -> None:
            connection, _ = other.accept()
            connection.sendall(b"e" + SYNC + b"\x02AROR\x04\0\0\x008.00\0")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DeviceError, match="is no virtual core of atomlink"):
            ask("127.0.0.1", port)
        thread.join()
    with pytest.raises(DeviceError, match="no virtual core answers at"):
        ask("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.75", "localhost"])
def test_nothing_binds_beyond_loopback(host: str) -> None:
    with pytest.raises(UsageError, match="must be a loopback address"):
        Server(Device(lambda: Core(None), FACTS), host, 0)


@pytest.mark.parametrize("port", [-1, 1, 65534, 70000])
def test_a_port_that_leaves_no_room_for_the_others_is_refused(port: int) -> None:
    with pytest.raises(UsageError, match=rf"--port is {port}, must be 2 to 65533, or 0 for any"):
        Server(Device(lambda: Core(None), FACTS), "127.0.0.1", port)


def test_without_unicorn_a_library_is_refused_with_what_to_install(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "unicorn", None)
    with closing(Client(lab.server)) as client:
        client.stream.read(1)
        assert "pip install 'atomlink[virtual-core]'" in client.load(pulse(1, 1000).library())


# Values


@pytest.mark.parametrize(("tags", "stored", "sent"), [
    ("i", struct.pack("<i", -3), b"i\xfd\xff\xff\xff"),
    ("t2bI", b"\1".ljust(8, b"\0") + struct.pack("<q", 5), b"t\2b\1I" + struct.pack("<q", 5)),
    ("f", struct.pack("<d", 0.5), b"f" + struct.pack("<d", 0.5)),
    ("r" + "i", struct.pack("<3i", 1, 9, 2), b"r" + b"".join(b"i" + struct.pack("<i", n) for n in (1, 9, 2))),
    ("n", b"", b"n"),
])  # fmt: skip
def test_a_value_is_sent_with_its_tags(tags: str, stored: bytes, sent: bytes) -> None:
    tags = tags.replace("t2", "t\2")
    with closing(Memory()) as memory:
        memory.write(ARENA, stored)
        memory.put_word(ARENA + 64, ARENA)
        message = rpc.arguments(memory, 7, tags.encode() + b":n", ARENA + 64)
    assert message == struct.pack("<I", 7) + sent + b"\0" + struct.pack("<I", 1) + b"n"


def test_a_list_of_lists_is_received_into_the_memory_that_it_asks_for() -> None:
    stream = struct.pack("<II2i", 2, 2, 1, 2) + struct.pack("<I1i", 1, 3)

    def read(size: int) -> bytes:
        nonlocal stream
        taken, stream = stream[:size], stream[size:]
        return taken

    with closing(Memory()) as memory:
        wanted = rpc.receive(memory, "lli", 0, ARENA, read)
        size = next(wanted)
        room = ARENA + 64
        try:
            while True:
                given, room = room, room + (size + 15 & ~15)
                size = wanted.send(given)
        except StopIteration:
            outer, n = memory.slice(memory.word(ARENA))
            rows = [memory.integers(memory.word(outer + 4 * i)) for i in range(n)]
    assert rows == [[1, 2], [3]]
    assert stream == b""


@pytest.mark.parametrize("tags", [b"i", b"q:n", b"t:n", b"l:n"])
def test_malformed_tags_of_a_kernel_are_a_fault(tags: bytes) -> None:
    with closing(Memory()) as memory, pytest.raises(GuestFault, match="tag"):
        memory.put_word(ARENA, ARENA)
        rpc.arguments(memory, 1, tags, ARENA)


@pytest.mark.parametrize(("name", "args", "value"), [
    ("__divdi3", (-7, 2), -3), ("__moddi3", (-7, 2), -1), ("__udivdi3", (-1, 2), (1 << 63) - 1),
    ("__lshrdi3", (-1, 60), 15), ("__ashrdi3", (-16, 2), -4), ("__powidf2", (2.0, -3), 0.125),
    ("round", (-2.5,), -3.0), ("rint", (2.5,), 2.0), ("pow", (0.0, -1.0), float("inf")), ("log", (0.0,), float("-inf")),
    ("exp", (1e4,), float("inf")), ("__fixdfdi", (1e30,), (1 << 63) - 1), ("j0", (0.0,), 1.0),
])  # fmt: skip
def test_imported_arithmetic(name: str, args: tuple[Any, ...], value: float) -> None:
    assert functions()[name][1](*args) == value


@pytest.mark.parametrize(("a", "b", "quotient", "rest"), [(7, 2, 3, 1), (-7, 2, -3, -1), (7, -2, -3, 1), (5, 0, 0, 5)])
def test_arms_division_returns_quotient_and_remainder(a: int, b: int, quotient: int, rest: int) -> None:
    both = run_time()["__aeabi_idivmod"][1](a, b)
    assert struct.unpack("<ii", struct.pack("<Q", both & (1 << 64) - 1)) == (quotient, rest)


# What device_db.py becomes


def test_the_target_virtual_changes_the_address_of_the_core_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"type": "local", "module": "artiq.coredevice.core", "class": "Core", "arguments": {
        "host": "192.168.1.75", "ref_period": 1e-9, "target": "cortexa9"}}  # fmt: skip
    instrument = {"type": "controller", "host": "::1", "port": 3300, "command": "x", "driver": "websq", "device": "y"}
    log = {"type": "controller", "host": "::1", "port": 1068, "command": "aqctl_corelog -p {port} 192.168.1.75"}
    elsewhere = {**log, "command": "aqctl_corelog -p {port} 192.168.1.76"}
    ttl = {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 1}}
    rows: dict[str, Any] = {"core": row, "snspd": instrument, "core_log": log, "other_log": elsewhere,
                            "ttl": ttl}  # fmt: skip
    monkeypatch.setattr("sim.target.of_core", lambda _environment: FACTS)
    target.apply(rows, {"ATOMLINK_TARGET": "virtual", "ATOMLINK_CORE": "127.0.0.9"})
    arguments = {"host": "127.0.0.9", "ref_period": 1e-9, "target": "cortexa9"}
    assert rows["core"] == {**row, "arguments": arguments, "simulated": FACTS}
    assert rows["ttl"] == ttl
    assert rows["core_log"] == {**log, "command": "aqctl_corelog -p {port} 127.0.0.9 --no-localhost-bind"}
    assert "other_log" not in rows  # it asks nobody that is simulated
    assert "it needs a lab" in rows["snspd"]["arguments"]["why"]


def test_options_of_a_simulated_lab_are_refused_with_the_virtual_core() -> None:
    with pytest.raises(UsageError, match="--seed is for a simulated lab, but ATOMLINK_TARGET is virtual: leave it out"):
        target.resolved({"ATOMLINK_TARGET": "virtual"}, {"ATOMLINK_SEED": "3"})
