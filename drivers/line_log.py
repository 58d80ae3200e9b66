"""An append-only history: one checksummed JSON object on a line, forced to the disk before it counts.

A last line that is cut was never acknowledged: reading leaves it out, the next append drops it. Damage before the last
line is an error. Writers hold a lock on the folder, which leaves no file behind.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from atomlink.errors import DataError
from atomlink.interrupts import held


def read(path: Path) -> tuple[dict[str, Any], ...]:
    """Return all entries, oldest first; none where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, _mtime_ns: int, _size: int) -> tuple[dict[str, Any], ...]:
    return tuple(_parse(path, path.read_bytes())[0])


def _parse(path: Path, data: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the entries and the length of what is sound."""
    found: list[dict[str, Any]] = []
    sound = 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is cut
        checksum, _, text = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            if number == len(lines) - 1 and not lines[-1]:
                break  # a power cut can leave the last line with its length but not its content
            raise DataError(f"History `{path}`, line {number}: its checksum is wrong; restore the file from a copy.")
        found.append(json.loads(text))
        sound += len(line) + 1
    return found, sound


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other writers out, of this process or another."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Write one entry and force it to the disk; to be called with the lock held."""
    text = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()
    new = not path.exists()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(f"History `{path}` cannot be written ({error.strerror}): make it writable.") from None
    try:
        with held():  # an interrupt would leave it open whether the entry counts
            _, sound = _parse(path, path.read_bytes())
            _write_all(path, descriptor, b"%08x " % zlib.crc32(text) + text + b"\n", sound)
            if new:
                with suppress(OSError):  # the entry itself is on the disk
                    _sync_folder(path.parent)
    finally:
        os.close(descriptor)


def _write_all(path: Path, descriptor: int, line: bytes, sound: int) -> None:
    """Write a line behind what is sound, and force it to the disk; where the disk refuses, leave what was."""
    try:
        os.ftruncate(descriptor, sound)
        os.lseek(descriptor, sound, os.SEEK_SET)
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, sound)
        raise DataError(f"History `{path}` cannot be written ({error.strerror}): free the disk.") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
