"""Read what a journal consists of, and find the next sound record after damage.

File: one header line `atomlink-journal 1 <crc32> <JSON>`, then records of length u32, crc32 u32 (little endian) and
payload JSON, a row each. The record after the first row repeats the header. In a row a key without a dot is a column of
`shots.*` (or of what the header's `columns` says, `scan.*`), a key with a dot is a run-level dataset whose last value
wins.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import schema
from atomlink.errors import DataError

MAGIC = b"atomlink-journal 1 "
RECORD = struct.Struct("<II")
COPY = ".header"  # the key of the row that repeats the header
FILE_NAME = re.compile(r"(?P<rid>\d+)-(?P<class_name>.+)")

Row = dict[str, Any]
Number = (int, float)
KINDS: dict[str, Any] = {"rid": int, "class_name": str, "created": Number, "start_time": Number, "run_time": Number,
                         "artiq_version": str, "datasets": dict, "archive": dict, "columns": str,
                         "expid": (dict, str)}  # fmt: skip


class TornHeaderError(DataError):
    """A journal ends within its header: no row was ever acknowledged."""


def header_line(text: bytes) -> bytes:
    """Return the header line of a JSON text."""
    return MAGIC + b"%08x " % zlib.crc32(text) + text + b"\n"


def record(payload: bytes) -> bytes:
    """Return the record of a payload."""
    return RECORD.pack(len(payload), zlib.crc32(payload)) + payload


def read_journal(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[Row], int]:
    """Return (header, rows, bytes that belong to no sound record).

    Damage costs the records that it hits: reading goes on at the next one whose checksum is right. A header that is
    spoiled is taken from its copy, or made up from the file's name where that is spoiled, too.
    """
    path = Path(path)
    try:
        data, written_s = path.read_bytes(), path.stat().st_mtime
    except OSError as error:
        raise DataError(f"Journal `{path}` cannot be read ({error.strerror}).") from None
    header, start = _read_header(data)
    rows, lost = _records(data, start)
    copies = [row.pop(COPY) for row in rows if COPY in row]
    rows = [row for row in rows if row]
    if header is None and not rows and not copies:
        if b"\n" not in data and (MAGIC.startswith(data[: len(MAGIC)]) or data.startswith(MAGIC)):
            raise TornHeaderError(f"Journal `{path}` ends within its header: the run was killed before its first shot.")
        raise DataError(f"File `{path}` is not a journal: it must begin with `{MAGIC.decode().strip()}`, and nothing "
                        "in it has a valid checksum.")  # fmt: skip
    if header is None:
        header, lost = next((copy for copy in copies if isinstance(copy, dict)), {}), lost + start
    return _completed(header, path, rows, written_s), rows, lost


def _records(data: bytes, start: int) -> tuple[list[Row], int]:
    """Return the rows of all sound records from `start` on, and how many bytes belong to none."""
    rows: list[Row] = []
    lost = 0
    while start < len(data):
        found = _row_at(data, start)
        if found is not None:
            row, stop = found
            rows.append(row)
            start = stop
            continue
        at = data.find(b"{", start + RECORD.size + 1)
        while at >= 0 and _row_at(data, at - RECORD.size) is None:
            at = data.find(b"{", at + 1)
        following = len(data) if at < 0 else at - RECORD.size
        lost += following - start
        start = following
    return rows, lost


def _row_at(data: bytes, start: int) -> tuple[Row, int] | None:
    """Return the row of the record at a place and where that record ends; None where there is no sound one."""
    if start + RECORD.size > len(data):
        return None
    length, checksum = RECORD.unpack_from(data, start)
    begin, stop = start + RECORD.size, start + RECORD.size + length
    # The braces first: eight zero bytes, as a power cut leaves them, are a valid empty record; and they cost nothing.
    if length < 2 or stop > len(data) or data[begin] != ord("{") or data[stop - 1] != ord("}"):
        return None
    payload = data[begin:stop]
    if zlib.crc32(payload) != checksum:
        return None
    try:
        return json.loads(payload), stop
    except (ValueError, RecursionError):
        return {}, stop


def shots_of(rows: list[Row]) -> list[Row]:
    """Return what of the rows are columns, without those that have none."""
    shots = ({key: value for key, value in row.items() if "." not in key} for row in rows)
    return [shot for shot in shots if shot]


def _read_header(data: bytes) -> tuple[dict[str, Any] | None, int]:
    """Return the header (None: spoiled) and where the records may begin."""
    line, newline, _ = data.partition(b"\n")
    checksum, _, text = line.removeprefix(MAGIC).partition(b" ")
    if line.startswith(MAGIC) and newline and checksum == b"%08x" % zlib.crc32(text):
        try:
            header = json.loads(text)
        except (ValueError, RecursionError):
            header = None
        return header if isinstance(header, dict) else None, len(line) + 1
    return None, 0


def _completed(header: Mapping[str, Any], path: Path, rows: list[Row], written_s: float) -> dict[str, Any]:
    """Return a header with all that recovering needs; what is missing or of another kind is made up."""
    named = FILE_NAME.match(path.stem)
    named_rid, class_name = (int(named["rid"]), named["class_name"]) if named else (0, path.stem)
    names = {name for shot in shots_of(rows) for name in shot}
    guess = "shots" if not names or any(f"shots.{name}" in schema.BY_KEY for name in names) else "scan"
    made: dict[str, Any] = {"rid": named_rid, "class_name": class_name, "created": written_s, "datasets": {},
                            "columns": guess}  # fmt: skip
    usable = {key: value for key, value in header.items() if key in KINDS and _fits(key, value)}
    if header and "columns" not in header:
        made["columns"] = "shots"
    return {**made, **usable}


def _fits(key: str, value: Any) -> bool:
    """Return whether a value is of the kind that a header's key has, and one that a results file can hold."""
    if not isinstance(value, KINDS[key]) or (key == "columns" and not str(value).isidentifier()):
        return False
    return schema.is_storable(value) if isinstance(value, str) else key != "rid" or 0 <= value < 2**63
