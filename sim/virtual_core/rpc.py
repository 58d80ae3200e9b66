"""Remote procedure calls: values in the kernel's memory, written to and read from the host's stream by their tags.

Tags: n None, b bool, i and I integers, f float, s B A strings and bytes, tN tuple, l list, aN array, r range, k
keyword, O object of the host. A list carries the tag of its elements once, and those of fixed size raw.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator

from .memory import GuestFault, Memory

_RAW = {"b": 1, "i": 4, "I": 8, "f": 8}  # bytes of what is sent raw
_ALIGNED = {"n": 1, "b": 1, "i": 4, "I": 8, "f": 8}  # everything else: to a pointer
_STRINGS = "sBA"
_MOST_ELEMENTS = 1 << 26

Read = Callable[[int], bytes]  # of the host's stream
Allocation = Generator[int, int, int]  # asks for so many bytes, is given an address, returns where it ended


def arguments(memory: Memory, service: int, tags: bytes, pointers: int) -> bytes:
    """Return the message of a call from its service number on. `pointers` is where the addresses of arguments are."""
    given, colon, wanted = tags.partition(b":")
    if not colon:
        raise GuestFault(f"an RPC has the tag {tags!r}, which does not say what is returned")
    out = bytearray(struct.pack("<I", service))
    text, at, i = given.decode("latin-1"), 0, 0
    while at < len(text):
        _send(memory, out, text, at, memory.word(pointers + 4 * i))
        at, i = _after(text, at), i + 1
    return bytes(out + b"\0" + struct.pack("<I", len(wanted)) + wanted)


def receive(memory: Memory, tags: str, at: int, address: int, read: Read) -> Allocation:
    """Store the value of a tag that comes from the host at an address, aligned; ask for the room it needs beside."""
    tag = _tag(tags, at)
    address = _up(address, _alignment(tags, at))
    if tag in _RAW:
        memory.write(address, read(_RAW[tag]))
        return address + _RAW[tag]
    if tag in _STRINGS:
        length = _length(read)
        room = (yield length) if length else 0
        memory.write(room or address, read(length))
        memory.write(address, struct.pack("<II", room, length))
        return address + 8
    if tag == "t":
        alignment, at, n = _alignment(tags, at), at + 2, ord(tags[at + 1])
        for _ in range(n):
            address = yield from receive(memory, tags, at, address, read)
            at = _after(tags, at)
        return _up(address, alignment)
    if tag == "r":
        for _ in range(3):
            address = yield from receive(memory, tags, at + 1, address, read)
        return address
    if tag == "l":
        length = _length(read)
        start = _up(8, _alignment(tags, at + 1))
        room = yield start + _size(tags, at + 1) * length
        memory.put_word(address, room)
        memory.write(room, struct.pack("<II", room + start, length))
        yield from _receive_elements(memory, tags, at + 1, length, room + start, read)
        return address + 4
    if tag == "a":
        shape = [_length(read) for _ in range(ord(tags[at + 1]))]
        n = 1
        for length in shape:
            n *= length
        size = _size(tags, at + 2) * n
        room = (yield size) if size else 0
        memory.write(address, struct.pack(f"<{1 + len(shape)}I", room, *shape))
        yield from _receive_elements(memory, tags, at + 2, n, room, read)
        return address + 4 * (1 + len(shape))
    if tag == "n":
        return address
    raise GuestFault(f"the kernel wants a value with the RPC tag {tag!r} from the host, which cannot be")


def _receive_elements(memory: Memory, tags: str, at: int, n: int, address: int, read: Read) -> Allocation:
    if tags[at] in _RAW:
        if n:
            memory.write(address, read(n * _RAW[tags[at]]))
        return address
    for _ in range(n):
        address = yield from receive(memory, tags, at, address, read)
    return address


def _send(memory: Memory, out: bytearray, tags: str, at: int, address: int) -> int:
    """Write the value of a tag at an address; return the address after it."""
    tag = _tag(tags, at)
    if tag != "k":
        address = _up(address, _alignment(tags, at))
    out += tag.encode()
    if tag in _RAW:
        out += memory.read(address, _RAW[tag])
        return address + _RAW[tag]
    if tag in _STRINGS:
        _send_string(memory, out, address)
        return address + 8
    if tag == "t":
        out.append(ord(tags[at + 1]))
        inner = at + 2
        for _ in range(ord(tags[at + 1])):
            address = _send(memory, out, tags, inner, address)
            inner = _after(tags, inner)
        return _up(address, _alignment(tags, at))
    if tag == "l":
        elements, length = memory.slice(memory.word(address))
        out += struct.pack("<I", length)
        _send_elements(memory, out, tags, at + 1, length, elements)
        return address + 4
    if tag == "a":
        n_dimensions, n = ord(tags[at + 1]), 1
        out.append(n_dimensions)
        for i in range(n_dimensions):
            length = memory.word(address + 4 + 4 * i)
            out += struct.pack("<I", length)
            n *= length
        _send_elements(memory, out, tags, at + 2, n, memory.word(address))
        return address + 4 * (1 + n_dimensions)
    if tag == "r":
        for _ in range(3):
            address = _send(memory, out, tags, at + 1, address)
        return address
    if tag == "k":
        _send_string(memory, out, address)
        return _send(memory, out, tags, at + 1, address + 8)
    if tag == "O":
        out += struct.pack("<I", memory.word(memory.word(address)))
        return address + 4
    return address  # n


def _send_elements(memory: Memory, out: bytearray, tags: str, at: int, n: int, address: int) -> None:
    if n > _MOST_ELEMENTS:
        raise GuestFault(f"the kernel sends {n} elements in one RPC: more than its memory holds")
    tag = _tag(tags, at)
    out += tag.encode()
    if tag in _RAW:
        out += memory.read(address, n * _RAW[tag]) if n else b""
        return
    for _ in range(n):
        address = _send(memory, out, tags, at, address)


def _send_string(memory: Memory, out: bytearray, address: int) -> None:
    raw = memory.bytes_at(address)
    out += struct.pack("<I", len(raw)) + raw


def _length(read: Read) -> int:
    (length,) = struct.unpack("<I", read(4))
    if length > _MOST_ELEMENTS:
        raise GuestFault(f"the host sends {length} elements: more than the kernel's memory holds")
    return int(length)


def _tag(tags: str, at: int) -> str:
    if at >= len(tags) or tags[at] not in "nbiIfsBAtlarkO" or (tags[at] in "ta" and at + 1 >= len(tags)):
        raise GuestFault(f"an RPC has the tag {tags!r}, which is malformed at character {at}")
    return tags[at]


def _after(tags: str, at: int) -> int:
    """Return where the tag after one begins."""
    tag = _tag(tags, at)
    if tag == "t":
        n, at = ord(tags[at + 1]), at + 2
        for _ in range(n):
            at = _after(tags, at)
        return at
    if tag == "a":
        return _after(tags, at + 2)
    return _after(tags, at + 1) if tag in "lrk" else at + 1


def _alignment(tags: str, at: int) -> int:
    tag = _tag(tags, at)
    if tag == "r":
        return _alignment(tags, at + 1)
    if tag == "t":
        n, at, most = ord(tags[at + 1]), at + 2, 1
        for _ in range(n):
            most, at = max(most, _alignment(tags, at)), _after(tags, at)
        return most
    return _ALIGNED.get(tag, 4)


def _size(tags: str, at: int) -> int:
    """Return how far apart the elements of a list are, in bytes."""
    tag = _tag(tags, at)
    if tag in _RAW:
        return _RAW[tag]
    if tag == "t":
        size, inner = 0, at + 2
        for _ in range(ord(tags[at + 1])):
            size = _up(size, _alignment(tags, inner)) + _size(tags, inner)
            inner = _after(tags, inner)
        return _up(size, _alignment(tags, at))
    if tag == "r":
        return 3 * _size(tags, at + 1)
    if tag == "a":
        return 4 * (1 + ord(tags[at + 1]))
    return {"n": 0, "l": 4}.get(tag, 8)


def _up(value: int, alignment: int) -> int:
    return (value + alignment - 1) & -alignment
