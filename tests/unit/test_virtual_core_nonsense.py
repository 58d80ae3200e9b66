"""Nonsense at the virtual core's ports: whoever talks it is disconnected, and nobody else notices."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from virtual_lab import MANAGEMENT, MONINJ, Lab, Wire, dumped, management, moninj, packed

from sim.virtual_core.port import Port


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.server.close()


TALK = {  # a conversation that each port understands
    "management": MANAGEMENT + b"\x0d" + packed(b"key") + packed(b"value") + b"\x0c" + packed(b"key") + b"\x01\x02",
    "moninj": MONINJ + struct.pack("<BBIBBIBB", 0, 1, 1, 0, 1, 1, 1, 1) + struct.pack("<BIB", 2, 1, 1),
    "analyzer": b"whatever",
    "session": b"ARTIQ coredev\n" + b"\x5a\x5a\x5a\x5a\x03",
}


def lives(lab: Lab) -> bool:
    """Say whether every port does its work."""
    with closing(management(lab)) as wire:
        wire.ask(b"\x02", 1)
        well = wire.ask(b"\x0c" + packed(b"no such key"), 1) == b"\x06"
    with closing(moninj(lab)) as wire:
        well &= wire.ask(struct.pack("<BIB", 2, 77, 0), 7) == struct.pack("<BIBB", 1, 77, 0, 0)
    with closing(Wire(lab, "session", b"ARTIQ coredev\n")) as wire:
        well &= wire.ask(b"\x5a\x5a\x5a\x5a\x03", 10)[6:] == b"AROR"
    return well and dumped(lab)[:1] == b"e"


@pytest.mark.parametrize("what", TALK)
def test_random_bytes_disconnect_who_sends_them_and_nobody_else(lab: Lab, what: str) -> None:
    draw, greeting = random.Random(7), TALK[what].partition(b"\n")[0] + b"\n"
    for _ in range(60):
        with closing(Wire(lab, what)) as wire:
            try:
                wire.tell((greeting if draw.random() < 0.7 else b"") + draw.randbytes(draw.randrange(1, 60)))
                wire.socket.shutdown(socket.SHUT_WR)
            except OSError:
                continue  # it has hung up before the last byte
            wire.hear(1 << 20)
    assert lives(lab)


@pytest.mark.parametrize("what", TALK)
def test_a_message_that_is_cut_anywhere_hurts_nobody(lab: Lab, what: str) -> None:
    for at in range(len(TALK[what])):
        with closing(Wire(lab, what, TALK[what][:at])) as wire:
            with suppress(OSError):  # the analyzer hangs up at once
                wire.socket.shutdown(socket.SHUT_WR)
            wire.hear(1 << 20)
    assert lives(lab)


@pytest.mark.parametrize("what", TALK)
def test_who_stops_half_way_or_never_listens_does_not_keep_others_waiting(lab: Lab, what: str) -> None:
    half = [Wire(lab, what, TALK[what][: len(TALK[what]) - 1]) for _ in range(5)]
    deaf = Wire(lab, "management", MANAGEMENT + b"\x0d" + packed(b"big") + packed(bytes(8 << 20)))
    deaf.tell((b"\x0c" + packed(b"big")) * 8)
    assert lives(lab)
    for wire in (*half, deaf):
        wire.close()


@pytest.mark.parametrize("what", ["management", "moninj"])
def test_two_who_speak_byte_by_byte_at_once_get_an_answer_each(lab: Lab, what: str) -> None:
    with closing(Wire(lab, what)) as one, closing(Wire(lab, what)) as other:
        for i in range(len(TALK[what])):
            for wire in (one, other):
                wire.tell(TALK[what][i : i + 1])
        answers = [wire.hear(2 if what == "management" else 21) for wire in (one, other)]
    probe, override = struct.pack("<BIBQ", 0, 1, 0, 0), struct.pack("<BIBB", 1, 1, 1, 0)
    right = (b"e\x01",) if what == "management" else (probe + override, override + probe)
    assert all(answer in right for answer in answers), answers


def test_a_port_that_is_closed_is_free_at_once() -> None:
    port = Port("127.0.0.1", 0, "test", lambda _connection, _who: pytest.fail("nobody came"))
    port.start()
    port.close()
    again = Port("127.0.0.1", port.port, "test", lambda _connection, _who: pytest.fail("nobody came"))
    again.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port.port), 1)
