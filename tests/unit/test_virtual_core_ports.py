"""The virtual core's ports beside that for kernels: what they say byte for byte.

Formats: ARTIQ 8, firmware (`mgmt`, `moninj`, `analyzer`) and gateware (layout of analyzer messages).
"""

from __future__ import annotations

import re
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from virtual_elf import A0, A1, A2, Assembler, asking, endless, pulse, saying
from virtual_lab import (
    CALL,
    EXCEPTION,
    FINISHED,
    Client,
    Lab,
    Wire,
    dumped,
    emulated,
    eventually,
    management,
    moninj,
    packed,
)

from atomlink.errors import UsageError
from sim.gateware.ttl import Ttl
from sim.virtual_core.analyzer import INPUT, OUTPUT, Analyzer
from sim.virtual_core.flash import Flash


def log_of(wire: Wire) -> str:
    assert wire.ask(b"\x01", 1) == b"\x02"
    return wire.field().decode()


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    levels: list[tuple[int, int]] = []
    made.gateware.channels[1] = Ttl(lambda t_mu, level: levels.append((t_mu, level)))
    made.gateware.channels[1].levels = levels
    yield made
    made.server.close()


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with closing(Client(lab.server)) as made:
        assert made.stream.read(1) == b"e"
        yield made


def ran(client: Client, asm: Assembler) -> bool:
    """Run a kernel; say whether it finished without errors."""
    return client.run(asm.library()) == FINISHED and client.stream.read(1) == b"\0"


# Management


@emulated
def test_the_log_has_what_kernels_print_in_lines_that_the_log_controller_reads(lab: Lab, client: Client) -> None:
    assert ran(client, saying(b"hello %%\nagain\n"))
    with closing(management(lab)) as wire:
        lines = log_of(wire).splitlines()
    shape = re.compile(r"\[ *\d+\.\d{6}s\] +(ERROR|WARN|INFO|DEBUG|TRACE)\(([\w:]+)\): (.*)")
    read = [shape.fullmatch(line) for line in lines]
    assert all(read), lines
    assert [found[3] for found in read if found is not None and found[2] == "kernel"] == ["hello %", "again"]


def test_the_log_is_emptied_and_follows_its_level(lab: Lab) -> None:
    with closing(management(lab)) as wire:
        assert "no startup kernel found" in log_of(wire)
        assert wire.ask(b"\x02", 1) == b"\x01"
        assert log_of(wire) == ""
        assert wire.ask(b"\x03\x02", 1) == b"\x01"  # warnings and errors only
        with closing(management(lab)):
            assert "new connection" not in log_of(wire)
        assert wire.ask(b"\x03\x05", 1) == b"\x01"
        with closing(management(lab)):
            assert "INFO(runtime::management): new connection from 127.0.0.1:" in log_of(wire)
        assert wire.ask(b"\x06\x04", 1) == b"\x01"  # what the firmware calls its UART
        assert wire.ask(b"\x03\x06", 1) == b""  # no level


def test_a_log_that_is_pulled_comes_as_texts_without_a_reply_and_is_taken_away(lab: Lab) -> None:
    with closing(management(lab)) as puller, closing(management(lab)) as other:
        puller.tell(b"\x07")
        assert b"no startup kernel found" in puller.field()
        with closing(management(lab)):
            assert b"new connection" in puller.field()
        assert log_of(other) == ""


def test_configuration_is_written_read_and_removed_byte_for_byte(lab: Lab) -> None:
    with closing(management(lab)) as wire:
        read = b"\x0c" + packed(b"ip")
        assert wire.ask(read, 1) == b"\x06"
        assert wire.ask(b"\x0d" + packed(b"ip") + packed(b"\x00\xff10"), 1) == b"\x01"
        assert wire.ask(read, 9) == b"\x07" + packed(b"\x00\xff10")
        assert wire.ask(b"\x0e" + packed(b"ip"), 1) == b"\x01"
        assert wire.ask(b"\x0e" + packed(b"ip"), 1) == b"\x01"  # it is gone already
        assert wire.ask(read, 1) == b"\x06"
        assert wire.ask(b"\x0d" + packed(b"x") + packed(b"1"), 1) == b"\x01"
        assert wire.ask(b"\x0d" + packed(b"big") + packed(bytes(17 << 20)), 1) == b"\x06"
        assert wire.ask(b"\x0c" + packed(b"x"), 6) == b"\x07" + packed(b"1")
        assert wire.ask(b"\x0f", 1) == b"\x01"
        assert wire.ask(b"\x0c" + packed(b"x"), 1) == b"\x06"


def test_the_allocator_is_printed_and_nothing_answered(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(management(lab)) as wire:
        assert wire.ask(b"\x08\x02", 1) == b"\x01"
    assert re.fullmatch(r" === busy: 0x0 idle: 0xb000000 meta: 0x0 total: 0xb000000\n", capsys.readouterr().out)


@emulated
def test_a_reboot_hangs_up_forgets_and_keeps_the_configuration(lab: Lab, client: Client) -> None:
    with closing(management(lab)) as wire, closing(management(lab)) as other, closing(moninj(lab)) as watcher:
        assert wire.ask(b"\x0d" + packed(b"k") + packed(b"v"), 1) == b"\x01"
        watcher.tell(struct.pack("<BIBB", 1, 1, 1, 1) + struct.pack("<BIBB", 1, 1, 0, 1))
        assert eventually(lambda: lab.gateware.channels[1].probe(0))
        assert client.run(asking(3).library()) == CALL
        assert wire.ask(b"\x05", 2) == b"\x03"  # and the end
        assert other.hear(1) == watcher.hear(1) == b""
        client.stream.read()  # up to the end
    assert lab.closed()
    assert eventually(lambda: not lab.gateware.channels[1].probe(0))
    with closing(management(lab)) as wire:
        assert wire.ask(b"\x0c" + packed(b"k"), 6) == b"\x07" + packed(b"v")


def test_two_that_ask_for_a_reboot_do_not_wait_for_each_other(lab: Lab) -> None:
    begin_s = time.monotonic()
    with closing(management(lab)) as one, closing(management(lab)) as other:
        for wire in (one, other):
            wire.tell(b"\x05")
        for wire in (one, other):
            wire.hear(2)
        with closing(management(lab)) as third:
            assert eventually(lambda: "no startup kernel found" in log_of(third))
    assert time.monotonic() - begin_s < 9  # whoever waits for a client's thread gives up after 10 s


def test_configuration_is_kept_in_its_file_and_two_who_write_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "core.json"
    flash = Flash(path)
    writers = [threading.Thread(target=lambda n=n: [flash.put(f"{n}-{i}", bytes([n, i])) for i in range(20)])
               for n in range(4)]  # fmt: skip
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    again = Flash(path)
    assert [again.get(f"{n}-{i}") for n in range(4) for i in range(20)] == [
        bytes([n, i]) for n in range(4) for i in range(20)
    ]
    assert again.remove("0-0")
    assert Flash(path).get("0-0") is None


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"a": 3}', b'{"a": "***"}', b"\xff\xfe"])
def test_a_configuration_that_cannot_be_read_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "core.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"core\.json cannot be read") as refusal:
        Flash(tmp_path / "core.json")
    assert "\n" not in str(refusal.value)


def test_a_configuration_in_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"core\.json cannot be kept: .*missing is no folder"):
        Flash(tmp_path / "missing" / "core.json")


# MonInj


def test_a_watched_probe_is_told_at_first_and_when_it_changes(lab: Lab) -> None:
    with closing(moninj(lab)) as wire:
        assert wire.ask(struct.pack("<BBIB", 0, 1, 1, 0), 14) == struct.pack("<BIBQ", 0, 1, 0, 0)
        assert wire.silent(0.3)
        assert lab.device.core is lab.core  # the lab is there from now on
        lab.gateware.channels[1].write(0, 0, 1)
        assert wire.hear(14) == struct.pack("<BIBQ", 0, 1, 0, 1)
        wire.tell(struct.pack("<BBIB", 0, 0, 1, 0))
        wire.ask(struct.pack("<BIB", 2, 1, 0), 7)  # by now it watches no more
        lab.gateware.channels[1].write(0, 0, 0)
        assert wire.silent(0.3)


def test_overrides_are_set_asked_for_and_watched(lab: Lab) -> None:
    with closing(moninj(lab)) as wire, closing(moninj(lab)) as watcher:
        assert watcher.ask(struct.pack("<BBIB", 3, 1, 1, 0), 7) == struct.pack("<BIBB", 1, 1, 0, 0)
        wire.tell(struct.pack("<BIBB", 1, 1, 0, 1))
        assert watcher.hear(7) == struct.pack("<BIBB", 1, 1, 0, 1)
        assert wire.ask(struct.pack("<BIB", 2, 1, 0), 7) == struct.pack("<BIBB", 1, 1, 0, 1)
        assert wire.ask(struct.pack("<BIB", 2, 1, 1), 7) == struct.pack("<BIBB", 1, 1, 1, 0)


@pytest.mark.parametrize("channel", [0, 77, 0x30001, 0xFFFFFFFF])
def test_what_is_no_place_reads_zero_and_keeps_no_override(lab: Lab, channel: int) -> None:
    with closing(moninj(lab)) as wire:
        wire.tell(struct.pack("<BIBB", 1, channel, 200, 255))
        assert wire.ask(struct.pack("<BIB", 2, channel, 200), 7) == struct.pack("<BIBB", 1, channel, 200, 0)
        assert wire.ask(struct.pack("<BBIB", 0, 9, channel, 200), 14) == struct.pack("<BIBQ", 0, channel, 200, 0)


@emulated
def test_an_override_holds_against_kernels_until_it_is_released(lab: Lab, client: Client) -> None:
    with closing(moninj(lab)) as wire:
        wire.tell(struct.pack("<BIBB", 1, 1, 1, 0) + struct.pack("<BIBB", 1, 1, 0, 1))
        assert wire.ask(struct.pack("<BIB", 2, 1, 0), 7)[-1] == 1
        assert ran(client, pulse(1, 1000))
        client.close()
        assert eventually(lambda: lab.device.holder is None)
        assert (lab.gateware.channels[1].level, lab.gateware.channels[1].levels) == (1, [])
        wire.tell(struct.pack("<BIBB", 1, 1, 0, 0))
        assert eventually(lambda: lab.gateware.channels[1].levels)
        assert lab.gateware.channels[1].levels == [(lab.core.bus.counter, 1)]


@emulated
@pytest.mark.parametrize("kernel", [endless, lambda: asking(1)], ids=["computing", "waiting for its RPC"])
def test_looking_and_overriding_go_on_beside_a_kernel(lab: Lab, client: Client, kernel: Any) -> None:
    assert client.load(kernel().library()) == ""
    client.tell(6)
    assert eventually(lambda: lab.device.holder is not None and lab.device.holder.running)
    with closing(moninj(lab)) as wire:
        wire.tell(struct.pack("<BIBB", 1, 1, 1, 1) + struct.pack("<BIBB", 1, 1, 0, 1))
        assert wire.ask(struct.pack("<BBIB", 0, 1, 1, 0), 14) == struct.pack("<BIBQ", 0, 1, 0, 1)
    assert lab.device.holder is not None and lab.device.holder.running


@emulated
def test_a_shutter_that_was_closed_after_a_crash_can_be_opened_again(lab: Lab, client: Client) -> None:
    lab.gateware.names[1] = "alice_shutter"
    assert ran(client, pulse(1, 1000))
    asm = Assembler()
    asm.load(A0, 0, 0)  # of address 0
    assert client.load(asm.library()) == ""
    client.tell(6)
    assert client.stream.read(1) == b""
    assert eventually(lambda: lab.device.holder is None)
    assert lab.gateware.channels[1].levels == [(1000, 1), (lab.core.bus.counter, 0)]
    with closing(Client(lab.server)) as other:
        other.stream.read(1)
        assert ran(other, pulse(1, 5000))
    assert eventually(lambda: lab.gateware.channels[1].levels[2:] == [(5000, 1)])


# Analyzer


def message(kind: int, channel: int, data: int = 0, address: int = 0, t_mu: int = 0, counter: int = 0) -> bytes:
    return struct.pack(">QIQQI", data, address, counter, t_mu, channel << 2 | kind)


def dump_of(*messages: bytes, n: int = 0) -> bytes:
    header = struct.pack("<IQbbb", 32 * len(messages), 32 * (n or len(messages)), 0, 4, 1)
    return b"e" + header + b"".join(messages)


@emulated
def test_a_dump_has_outputs_inputs_and_errors_and_takes_them_away(lab: Lab, client: Client) -> None:
    asm = pulse(2, (3 << 32) + 5, -1)
    assert ran(client, asm)
    lab.gateware.channels[3].fifo.append((1234, 7))
    reading = Assembler()
    reading.enter()
    reading.li(A0, 9000)
    reading.li(A1, 0)
    reading.li(A2, 3)
    reading.call("rtio_input_timestamp")
    reading.leave()
    assert ran(client, reading)
    lab.core.bus.counter = counter = 5 << 32
    assert client.run(pulse(1, 4000).library()) == EXCEPTION
    assert dumped(lab) == dump_of(
        message(0, 2, 0xFFFFFFFF, 0, (3 << 32) + 5),
        message(1, 3, 7, 0, 1234, 1234),
        message(0, 1, 1, 0, 4000, counter),
        message(2, 1, 0, 0b010100, 0, counter),
        message(3, 0, 0, 0, 0, counter),
    )
    assert dumped(lab) == dump_of(message(3, 0, 0, 0, 0, counter))


def test_the_analyzer_keeps_the_last_messages_and_says_how_many_there_were() -> None:
    analyzer = Analyzer()
    for i in range(20_000):
        analyzer.note(OUTPUT, 5 << 8 | 2, i, i, i)
    analyzer.note(INPUT, 6 << 8, 1, 2, -3)
    dump = analyzer.dump(9)
    assert struct.unpack_from("<IQbbb", dump, 1) == (512 * 1024, 32 * 20_002, 0, 0, 1)
    assert len(dump) == 16 + 512 * 1024
    assert dump[16:48] == message(0, 5, 20_002 - 16_384, 2, 20_002 - 16_384, 20_002 - 16_384)
    assert dump[-64:-32] == message(1, 6, (1 << 64) - 3, 0, 1, 2)


def test_wide_data_and_log_messages_are_cut_as_the_gateware_does() -> None:
    analyzer = Analyzer()
    analyzer.log_channel = 4
    analyzer.note(OUTPUT, 1 << 8, 5, 6, [1, -2, 3])
    analyzer.log(7, 8, b"a\x1ehello\x1d")
    assert analyzer.dump(9) == dump_of(
        message(0, 1, 0xFFFFFFFE << 32 | 1, 0, 5, 6),
        message(0, 4, int.from_bytes(b"a\x1ehe", "big"), 0, 7, 8),
        message(0, 4, int.from_bytes(b"llo\x1d", "big"), 0, 7, 8),
        message(3, 0, 0, 0, 0, 9),
    )
