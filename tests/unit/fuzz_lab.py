"""What a client with a broken program, or none, may send to the ports of a lab: random bytes, requests gone wrong."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
from collections.abc import Callable

WORDS = (
    "*IDN?", "SOUR:FREQ 1e308", "SOUR:POW?", "OUTP ON;OUTP?", "SYST:ERR?", "SENS:POW:RANG 9e999",
    ":oxc:swit:conn:stat?", ":oxc:swit:conn:add (@1),(@17)", "(@1,,2)", "getFrequencyNum 1", "getVersion", "id?",
    "xvoltage=99999999", "echo=0", "(param-ref 'laser1:dl:cc:current-set)", "(add 'ul)",
    "(param-set! 'laser1:dl:cc:current-set 1e400)", "(param-set! 'laser1:dl:cc:enabled #t)", "INPU1:THRE 1e308V",
    "TSCO5:WIND:END:DELA -1", "REC:PLAY", "REC:DUR 1e18", "start-stream --channel 1 --stream-port 99999",
    "stop --id x", "list", '"', "(", "\x00", "\xff", "9" * 500, "\ud800",
)  # fmt: skip
VALUES = (0, 1, -1, 2**70, 10**400, 1e308, -0.5, float("nan"), float("inf"), None, True, "", "x" * 300, "\ud800", [],
          {}, [[[]]], [0, 1], [[0, 8, 1]], [[0, 2**70, 1e308]], {"dtype": "<f8"})  # fmt: skip
OPERATIONS = ("hello", "addresses", "instrument", "lease", "release", "output", "input", "entangler", "events",
              "clicks", "advance", "run_cycles", "camera", "frames", "idle", "x", None, [])  # fmt: skip
FIELDS = ("who", "port", "kind", "id", "start_mu", "stop_mu", "t_mu", "counter_mu", "cycle", "events", "name",
          "requests", "command", "label", "value", "request")  # fmt: skip
NAMES = ("alice_shutter", "alice_sw_cooling", "alice_dds_cooling", "alice_zotino/3", "snspd_c_h", "alice_grabber",
         "level", "tone", "voltage", "alice_camera", "alice_awg", "SetAllBiasCurrents", "labelProps",
         "SetMeasurementPeriod", "DetectorEnable")  # fmt: skip
PREFIX = "dt/sinara/dual-iir/04-91-a9-80-4d-70"
TOPICS = (f"{PREFIX}/settings/ch/0/run", f"{PREFIX}/settings", f"{PREFIX}/settings/ch/0/biquad/0/repr/Pid/gain/i",
          f"{PREFIX}/settings/trigger", f"{PREFIX}/alive", "a/b", "#", "", "/" * 200, "t" * 2000)  # fmt: skip


def bytes_at_random(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 3000))


def lines(rng: random.Random) -> bytes:
    """Return words of all text protocols, some of them cut, joined or doubled."""
    text = ""
    for _ in range(rng.randrange(1, 12)):
        word = rng.choice(WORDS)
        text += word[: rng.randrange(len(word) + 1)] if rng.random() < 0.3 else word
        text += rng.choice(("\n", "\r", "\r\n", ";", " ", ",", "\n\n"))
    return (text + "\n").encode("utf-8", "surrogatepass")


def objects(rng: random.Random) -> bytes:
    """Return JSON objects as the lab's own port and the WebSQ take them, most of them malformed; no time passes."""
    out = b""
    for _ in range(rng.randrange(1, 8)):
        made = {name: rng.choice((*VALUES, *NAMES)) for name in rng.sample(FIELDS, rng.randrange(7))}
        made["op"] = rng.choice(OPERATIONS)
        for name in ("t_mu", "stop_mu", "counter_mu"):  # a lab that computes years of attempts is none that is dead
            if isinstance(made.get(name), int) and made[name] > 1:
                made[name] = 5
        out += json.dumps(made).encode() + b"\n"
    return out[: rng.randrange(len(out))] if rng.random() < 0.2 else out


def packets(rng: random.Random) -> bytes:
    """Return an MQTT client's packets: a good CONNECT, then whatever."""
    out = _frame(0x10, b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00")
    for _ in range(rng.randrange(1, 20)):
        topic = rng.choice(TOPICS).encode()
        payload = rng.choice((b"", b"1", b'"Run"', b"1e999", b"[[1e308,0,0],[1e-308,0,0]]", b"NaN", rng.randbytes(50)))
        respond = b"\x08" + _string(rng.choice(TOPICS).encode()) + b"\x09" + _string(rng.randbytes(4))
        properties = rng.choice((b"", respond, rng.randbytes(20)))
        body = _string(topic) + _length(len(properties)) + properties + payload
        out += rng.choice((
            _frame(0x30 | rng.randrange(16), body), _frame(0x31, body),
            _frame(0x33, _string(topic) + b"\x00\x01\x00" + payload),
            _frame(0x82, b"\x00\x01\x00" + _string(topic) + b"\x01"), _frame(0xA2, b"\x00\x01\x00" + _string(topic)),
            _frame(rng.randrange(256), rng.randbytes(rng.randrange(60))), b"\xc0\x00",
        ))  # fmt: skip
    return out


def greetings(rng: random.Random) -> bytes:
    """Return what begins as ZeroMQ's handshake does."""
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
    ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"
    frames = b""
    for n in (rng.randrange(40) for _ in range(5)):
        frames += bytes([rng.choice((0, 1, 2, 4, 255)), n]) + rng.randbytes(n)
    return rng.choice((greeting[: rng.randrange(64)], greeting + rng.randbytes(100), greeting + ready + frames))


KINDS: tuple[Callable[[random.Random], bytes], ...] = (bytes_at_random, lines, objects, packets, greetings)


def throw(port: int, data: bytes, read_s: float = 0.001) -> None:
    """Send data on a connection of its own, read a little of what comes back, and hang up."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 20) as client:
        client.settimeout(read_s)
        client.sendall(data)
        client.recv(1 << 16)


def _frame(first: int, body: bytes) -> bytes:
    return bytes([first]) + _length(len(body)) + body


def _length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | 0x80 if value else low)
        if not value:
            return bytes(out)


def _string(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data
