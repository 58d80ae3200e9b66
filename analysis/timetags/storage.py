"""Keep time tags in compressed HDF5 that a killed process leaves readable.

A file holds, under `/tags`,
    gap_ps   uint32 (n,)    time since the tag before (the first: since 0 ps), modulo 2^32
    channel  uint8 (n,)
    long     int64 (k, 2)   (index of the tag, multiple of 2^32 that its gap lacks), where gaps are 4.3 ms and more
    start_ps int64 (m,)     time of the tag before each block of `block` tags, to begin anywhere
    complete int8           1: closed in order
so time_ps = cumsum(gap_ps + 2^32 long). Gaps of a bright detector have some 20 bits where times have 40, and bitshuffle
puts equal bits together. Attributes: `atomlink_tags` (version), `channels` (JSON, number -> name), `block`, and what
the caller adds.

HDF5's single-writer mode (SWMR) keeps the file readable at every moment, also for a reader while it grows, but a
chunk that is written again and again wastes room. So HDF5 gets full blocks only, and what has not filled enough of
them is in `FILE.tail0` or `FILE.tail1`, append-only, one after the other: what `append` returned from survives a killed
process. A power cut it need not survive.
Why no journal, as for shots: tags come a million times as often, and their file would be written twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from analysis.timetags.stream import ChannelArray, Tags, TimeArray, channels, integers, refuse_going_back
from atomlink.errors import DataError

if TYPE_CHECKING:
    import h5py

VERSION = 1
BLOCK = 1 << 17
RECORD = struct.Struct("<QQ")  # index of the record's first tag, number of its tags; times and channels follow
_LOW = (1 << 32) - 1
_PIECE = 1 << 15  # gaps are counted by pieces, which stay in the processor's cache


def _compression() -> dict[str, Any]:
    """Return the options of bitshuffle with LZ4; without hdf5plugin those of HDF5's own shuffle with gzip."""
    try:
        import hdf5plugin
    except ImportError:  # ten times slower, as small, and any HDF5 reads it
        return {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    return {"compression": hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.BITSHUFFLE)}


def tail_paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return where the tags are that have not filled their blocks yet."""
    return Path(f"{os.fspath(path)}.tail0"), Path(f"{os.fspath(path)}.tail1")


class TagWriter:
    """Append blocks of tags to a new file.

        with TagWriter.create(path, {1: "snspd_c_h", 2: "snspd_c_v"}) as writer:
            for time_ps, channel in tagger.tags():
                writer.append(time_ps, channel)
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self._data = {name: file["tags"][name] for name in file["tags"]}
        self._written = 0  # tags in HDF5
        self._pending: list[_Gaps] = []
        self._n_pending = 0
        self._latest_ps = 0
        self._tails = [_open_tail(tail) for tail in tail_paths(path)]  # the first is in use
        self._closed = False
        self._failure: DataError | None = None  # after it HDF5 takes nothing more

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        channel_names: Mapping[int, str] | None = None,
        attributes: Mapping[str, str | int | float] | None = None,
    ) -> Self:
        """Create `path`; refuses to overwrite. channel_names: number (0 to 255) -> name."""
        import h5py

        names = {int(number): str(name) for number, name in (channel_names or {}).items()}
        channels(np.array(sorted(names), dtype=np.int64), len(names))
        try:
            file = h5py.File(path, "x", libver="latest")
        except FileExistsError:
            raise DataError(f"File `{path}` exists already: tags go to a new file; choose another name.") from None
        except OSError as error:
            raise DataError(f"File `{path}` cannot be created ({error}): the folder must exist.") from None
        own = {"channels": json.dumps(names), "block": BLOCK, "atomlink_tags": VERSION}
        file.attrs.update({**(attributes or {}), **own})
        _make_datasets(file.create_group("tags"))
        file.swmr_mode = True
        return cls(Path(path), file)

    @property
    def n_tags(self) -> int:
        """Return how many tags were appended."""
        return self._written + self._n_pending

    def append(self, time_ps: npt.ArrayLike, channel: npt.ArrayLike) -> None:
        """Append tags: time_ps, integer, shape (n,), not before what is there; channel, one number or shape (n,).

        Nothing of a block that is refused (DataError) is kept. Returns when the operating system has the tags.
        """
        if self._closed:
            raise DataError(f"File `{self.path}` is closed: append before `close`.")
        if self._failure is not None:
            raise self._failure
        block = integers("time_ps", time_ps)
        if not len(block):
            return
        if block[0] < self._latest_ps:
            raise DataError(f"Argument `time_ps` must not go back in time, but begins at {block[0]} ps, before the "
                            f"last tag of `{self.path}` ({self._latest_ps} ps): sort the stream, and begin at 0 ps or "
                            "later.")
        tags = Tags(block, channels(channel, len(block)))
        gaps = _gaps(tags, self._latest_ps, self.n_tags)
        if self._n_pending + len(block) < BLOCK:
            _write_record(self._tails[0], self.path, self.n_tags, tags)
            self._pending.append(gaps._replace(channel=gaps.channel.copy()))  # the buffer is the caller's
            self._n_pending += len(block)
        else:
            self._fill(gaps, tags)
        self._latest_ps = int(block[-1])

    def close(self, complete: bool) -> None:
        """Write what is left and close; closing twice does nothing. complete: 0 marks a run that was stopped."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._pending and self._failure is None:
                self._store(_concatenated(self._pending))
            if self._failure is None:
                self._data["complete"][()] = int(complete)
        finally:
            with contextlib.nullcontext() if self._failure is None else contextlib.suppress(OSError):
                self._file.close()
            for descriptor in self._tails:
                os.close(descriptor)
        if self._failure is None:  # else the tails hold what HDF5 does not
            for path in tail_paths(self.path):
                path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    def _fill(self, gaps: _Gaps, tags: Tags) -> None:
        """Store all full blocks out of what waits and the new ones, which are `tags`; the rest waits on."""
        whole = _concatenated([*self._pending, gaps])
        rest = len(whole.gap_ps) % BLOCK  # fewer than are new, for what waited has filled no block
        stop = len(whole.gap_ps) - rest
        self._store(whole._replace(gap_ps=whole.gap_ps[:stop], channel=whole.channel[:stop]))
        self._pending, self._n_pending = [], rest
        self._tails.reverse()
        os.ftruncate(self._tails[0], 0)  # older than what the other holds, and stored
        if rest:
            # Copies: the block is large, and the caller's.
            self._pending.append(whole._replace(gap_ps=whole.gap_ps[stop:].copy(), channel=whole.channel[stop:].copy(),
                                                long=whole.long[:0], start_ps=whole.start_ps[:0]))
            newest = Tags(tags.time_ps[-rest:], tags.channel[-rest:])
            _write_record(self._tails[0], self.path, self._written, newest)

    def _store(self, gaps: _Gaps) -> None:
        """Append to the datasets: what a reader needs first goes first."""
        try:
            for name in ("long", "start_ps", "gap_ps", "channel"):
                _extend(self._data[name], getattr(gaps, name))
            self._file.flush()
        except OSError as error:
            self._failure = _cannot_write(self.path, error)
            raise self._failure from None
        self._written += len(gaps.gap_ps)


class TagFile:
    """Read a tag file, closed in order or not, also while it grows (then: what was there when it was opened)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = _open_file(self.path)
        data = self._data = self._file["tags"]
        attributes = {key: _plain(value) for key, value in self._file.attrs.items()}
        self.channel_names = {int(key): str(name) for key, name in json.loads(str(attributes.pop("channels"))).items()}
        self._block = int(attributes.pop("block"))
        self.attributes = {key: value for key, value in attributes.items() if key != "atomlink_tags"}
        self.complete = bool(data["complete"][()])
        # A writer may be between two datasets.
        self._n_stored = min(len(data["gap_ps"]), len(data["channel"]))
        long = data["long"][:]
        self._long = long[long[:, 0] < self._n_stored]
        self._tail = _read_tails(self.path, self._n_stored)

    def __len__(self) -> int:
        """Return the number of tags."""
        return self._n_stored + len(self._tail.time_ps)

    def read(self, start: int = 0, stop: int | None = None) -> Tags:
        """Return the tags of index start to stop (not included; None: all)."""
        n = len(self)
        stop = n if stop is None else stop
        if not 0 <= start <= stop <= n:
            raise DataError(f"Tags {start} to {stop} of `{self.path}` do not exist: it holds {n}.")
        stored = self._stored(min(start, self._n_stored), min(stop, self._n_stored))
        rest = slice(max(0, start - self._n_stored), max(0, stop - self._n_stored))
        tail = Tags(self._tail.time_ps[rest], self._tail.channel[rest])
        return _joined([stored, tail]) if len(tail.time_ps) else stored

    def blocks(self, size: int = 1 << 22) -> Iterator[Tags]:
        """Yield all tags in pieces of at most `size`, in order."""
        if size < 1:
            raise DataError(f"Argument `size` must be at least 1 tag, but is {size}.")
        for start in range(0, len(self), size):
            yield self.read(start, min(start + size, len(self)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stored(self, start: int, stop: int) -> Tags:
        """Return tags that are in HDF5; counting of gaps begins at the block that holds the first."""
        first = start // self._block * self._block
        if first >= stop:
            return Tags(np.empty(0, np.int64), np.empty(0, np.uint8))
        gaps = self._data["gap_ps"][first:stop].astype(np.int64)
        low, high = np.searchsorted(self._long[:, 0], (first, stop))
        gaps[self._long[low:high, 0] - first] += self._long[low:high, 1] << 32
        gaps[0] += self._data["start_ps"][first // self._block]
        return Tags(np.cumsum(gaps, out=gaps)[start - first :], self._data["channel"][start:stop])


def read_tags(path: str | os.PathLike[str]) -> Tags:
    """Return all tags of a file."""
    with TagFile(path) as file:
        return file.read()


def _make_datasets(group: h5py.Group) -> None:
    """Make the empty datasets, which SWMR does not allow later."""
    packed = _compression()
    for name, dtype in (("gap_ps", np.uint32), ("channel", np.uint8)):
        group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(BLOCK,), **packed)
    group.create_dataset("long", (0, 2), np.int64, maxshape=(None, 2), chunks=(4096, 2), **packed)
    group.create_dataset("start_ps", (0,), np.int64, maxshape=(None,), chunks=(512,))
    group.create_dataset("complete", data=np.int8(0))


def _extend(dataset: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    if len(values):
        n = len(dataset)
        dataset.resize(n + len(values), axis=0)
        dataset[n:] = values


class _Gaps(NamedTuple):
    """Hold tags as the file has them; start_ps of the blocks that begin among them."""

    gap_ps: npt.NDArray[np.uint32]
    channel: ChannelArray
    long: TimeArray
    start_ps: TimeArray


def _gaps(tags: Tags, last_ps: int, first: int) -> _Gaps:
    """Return the gaps of tags that come after `first` others, the last of them at last_ps; raise if one goes back."""
    n = len(tags.time_ps)
    low, gap, long = np.empty(n, dtype=np.uint32), np.empty(min(_PIECE, n), dtype=np.int64), []
    begins = np.arange(-first % BLOCK, n, BLOCK)
    start_ps = np.where(begins > 0, tags.time_ps[begins - 1], last_ps)
    for start in range(0, n, _PIECE):
        piece = tags.time_ps[start : start + _PIECE]
        part = gap[: len(piece)]
        part[0] = piece[0] - last_ps
        np.subtract(piece[1:], piece[:-1], out=part[1:])
        bits = int(np.bitwise_or.reduce(part))
        if bits < 0:
            refuse_going_back("time_ps", tags.time_ps)
        if bits > _LOW:
            where = np.flatnonzero(part > _LOW)
            long.append(np.stack((first + start + where, part[where] >> 32), axis=1))
        low[start : start + _PIECE] = part  # keeps the low 32 bits
        last_ps = int(piece[-1])
    return _Gaps(low, tags.channel, np.concatenate([*long, np.empty((0, 2), np.int64)]), start_ps)


def _concatenated(parts: list[_Gaps]) -> _Gaps:
    return parts[0] if len(parts) == 1 else _Gaps(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _joined(parts: list[Tags]) -> Tags:
    return Tags(np.concatenate([part.time_ps for part in parts]), np.concatenate([part.channel for part in parts]))


def _open_tail(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)


def _write_record(tail: int, path: Path, first: int, tags: Tags) -> None:
    """Append a record to the tail, whole or not at all."""
    if not len(tags.time_ps):
        return
    size = os.fstat(tail).st_size
    columns = (np.ascontiguousarray(column).data for column in tags)
    data = memoryview(b"".join((RECORD.pack(first, len(tags.time_ps)), *columns)))
    try:
        while data:
            data = data[os.write(tail, data) :]
    except OSError as error:
        os.ftruncate(tail, size)  # half a record would hide every later one
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> DataError:
    return DataError(f"Tags of `{path}` cannot be written ({error.strerror or error}): free the disk.")


def _read_tails(path: Path, n_stored: int) -> Tags:
    """Return the tags in the tails that come after those in HDF5."""
    found = [Tags(np.empty(0, np.int64), np.empty(0, np.uint8))]
    records = [record for tail in tail_paths(path) for record in _records(tail)]
    for first, tags in sorted(records, key=lambda record: record[0]):
        n = len(tags.time_ps)
        if first > n_stored:
            break  # a record before it was cut
        skip = min(n_stored - first, n)  # stored since
        found.append(Tags(tags.time_ps[skip:], tags.channel[skip:]))
        n_stored += n - skip
    return _joined(found)


def _records(path: Path) -> Iterator[tuple[int, Tags]]:
    """Yield (index of the first tag, tags) of each record; stop at one that is cut."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return  # the writer has closed the file
    at = 0
    while at + RECORD.size <= len(data):
        first, n = RECORD.unpack_from(data, at)
        at += RECORD.size
        if at + 9 * n > len(data):
            return
        yield first, Tags(np.frombuffer(data, np.int64, n, at), np.frombuffer(data, np.uint8, n, at + 8 * n))
        at += 9 * n


def _open_file(path: Path) -> h5py.File:
    import h5py

    with contextlib.suppress(ImportError):  # files written without it can be read without it; others say so below
        import hdf5plugin  # noqa: F401 - registers its filters
    try:
        # swmr: also reads what a writer left without closing.
        file = h5py.File(path, "r", libver="latest", swmr=True)
    except OSError as error:
        raise DataError(f"Tag file `{path}` cannot be read ({error}).") from None
    reason = None
    if file.attrs.get("atomlink_tags") != VERSION:
        reason = f"is no tag file of version {VERSION}: its attribute `atomlink_tags` must say so"
    elif not h5py.h5z.filter_avail(file["tags/gap_ps"].id.get_create_plist().get_filter(0)[0]):
        reason = "is compressed with bitshuffle: pip install hdf5plugin"
    if reason:
        file.close()
        raise DataError(f"File `{path}` {reason}.")
    return file


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
