"""Tag files: what goes in comes out, also from a file that grows, that was left, or whose writer was killed."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from analysis.timetags import storage
from analysis.timetags.storage import BLOCK, TagFile, TagWriter, read_tags, tail_paths
from analysis.timetags.stream import Tags
from atomlink.errors import DataError


def some_tags(n: int, seed: int = 1) -> Tags:
    """Return n tags of four channels at 1 MHz, now and then after a pause of up to 20 ms (more than 32 bits of ps)."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1e6, n).astype(np.int64)
    gaps[rng.random(n) < 1e-3] += rng.integers(1 << 31, 1 << 35)
    return Tags(np.cumsum(gaps), rng.integers(0, 4, n).astype(np.uint8))


def same(found: Tags, expected: Tags) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(found, expected, strict=True))


def append_in(writer: TagWriter, tags: Tags, size: int) -> None:
    for start in range(0, len(tags.time_ps), size):
        writer.append(tags.time_ps[start : start + size], tags.channel[start : start + size])


@pytest.mark.parametrize("size", [9973, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_tags_come_back_from_blocks_of_any_size(tmp_path: Path, size: int) -> None:
    tags = some_tags(3 * BLOCK + 17)
    with TagWriter.create(tmp_path / "tags.h5", {0: "c_h", 3: "d_v"}, {"rid": 7, "scenario": "default"}) as writer:
        append_in(writer, tags, size)
        assert writer.n_tags == len(tags.time_ps)
    assert [path.name for path in tmp_path.iterdir()] == ["tags.h5"]
    with TagFile(tmp_path / "tags.h5") as file:
        assert same(file.read(), tags)
        assert (file.complete, file.channel_names) == (True, {0: "c_h", 3: "d_v"})
        assert file.attributes == {"rid": 7, "scenario": "default"}


def test_reading_may_begin_and_end_anywhere(tmp_path: Path) -> None:
    tags = some_tags(3 * BLOCK + 17)
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        append_in(writer, tags, len(tags.time_ps))
    with TagFile(tmp_path / "tags.h5") as file:
        for start, stop in ((0, 0), (5, 9), (BLOCK - 1, BLOCK + 1), (2 * BLOCK, 3 * BLOCK), (3 * BLOCK + 17,) * 2):
            assert same(file.read(start, stop), Tags(tags.time_ps[start:stop], tags.channel[start:stop]))
        pieces = list(file.blocks(100_000))
        assert max(len(piece.time_ps) for piece in pieces) == 100_000
        assert same(Tags(*(np.concatenate(column) for column in zip(*pieces, strict=True))), tags)
        with pytest.raises(DataError, match=f"do not exist: it holds {len(tags.time_ps)}"):
            file.read(0, len(tags.time_ps) + 1)


def test_hours_between_two_tags_and_tags_at_once_are_kept(tmp_path: Path) -> None:
    tags = Tags(np.array([0, 0, 5, 2**32 - 1, 2**33, 10**16, 10**16, 2**62]), np.arange(8, dtype=np.uint8) * 36)
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        append_in(writer, tags, 3)
    assert same(read_tags(tmp_path / "tags.h5"), tags)


def test_a_growing_file_shows_every_tag_that_append_returned_from(tmp_path: Path) -> None:
    """Blocks of 0.4 of what HDF5 gets at once: its tags are in HDF5, in either tail, or in both."""
    tags, size = some_tags(4 * BLOCK), BLOCK * 2 // 5
    writer = TagWriter.create(tmp_path / "tags.h5")
    for stop in range(size, len(tags.time_ps), size):
        writer.append(tags.time_ps[stop - size : stop], tags.channel[stop - size : stop])
        with TagFile(tmp_path / "tags.h5") as file:
            assert same(file.read(), Tags(tags.time_ps[:stop], tags.channel[:stop]))
            assert not file.complete
    writer.close(complete=True)


def test_any_stream_in_any_pieces_comes_back_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 random streams in blocks of 8 or 64 tags, so that every way of filling them occurs; seed fixed."""
    rng = np.random.default_rng(5)
    for trial in range(12):
        monkeypatch.setattr(storage, "BLOCK", int(rng.choice([8, 64])))
        writer = TagWriter.create(tmp_path / f"{trial}.h5")
        appended = Tags(np.empty(0, np.int64), np.empty(0, np.uint8))
        for _ in range(20):
            n = int(rng.integers(0, 3 * storage.BLOCK if rng.random() < 0.5 else 5))
            gaps = rng.integers(0, 1 << int(rng.integers(1, 36)), n)
            block = Tags(appended.time_ps[-1:].sum() + np.cumsum(gaps), rng.integers(0, 256, n).astype(np.uint8))
            writer.append(*block)
            appended = Tags(*(np.concatenate(pair) for pair in zip(appended, block, strict=True)))
            start = int(rng.integers(0, len(appended.time_ps) + 1))
            with TagFile(writer.path) as file:
                assert len(file) == writer.n_tags == len(appended.time_ps)
                assert same(file.read(start), Tags(appended.time_ps[start:], appended.channel[start:]))
        writer.close(complete=True)
        assert same(read_tags(writer.path), appended)


KILLED = """
import sys
import numpy as np
from analysis.timetags.storage import TagWriter

writer, start = TagWriter.create(sys.argv[1], {2: "snspd_d_h"}), 0
while True:
    n = 1 + start % 30_011
    writer.append(7000 * np.arange(start, start + n), 2)
    start += n
    print(start, flush=True)
"""


def test_a_killed_writer_loses_no_tag_that_append_returned_from(tmp_path: Path) -> None:
    path = tmp_path / "tags.h5"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True,
                             cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    appended = 0
    while appended < 3 * BLOCK:
        appended = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    appended = int(child.stdout.read().split("\n")[-2:][0] or appended)
    child.wait()
    child.stdout.close()
    with TagFile(path) as file:
        tags = file.read()
        assert len(file) >= appended and not file.complete
        assert file.channel_names == {2: "snspd_d_h"}
    assert np.array_equal(tags.time_ps, 7000 * np.arange(len(tags.time_ps))) and set(tags.channel.tolist()) == {2}


def test_a_record_that_is_cut_ends_the_tail_and_nothing_before_it(tmp_path: Path) -> None:
    tags, writer = some_tags(3000), TagWriter.create(tmp_path / "tags.h5")
    append_in(writer, tags, 1000)
    tail = max(tail_paths(tmp_path / "tags.h5"), key=lambda path: path.stat().st_size)
    os.truncate(tail, tail.stat().st_size - 3)
    assert same(read_tags(tmp_path / "tags.h5"), Tags(tags.time_ps[:2000], tags.channel[:2000]))
    writer.close(complete=False)


def test_an_exception_in_the_run_leaves_an_incomplete_file_that_holds_all(tmp_path: Path) -> None:
    tags = some_tags(1000)
    with pytest.raises(KeyboardInterrupt), TagWriter.create(tmp_path / "tags.h5") as writer:
        append_in(writer, tags, 300)
        raise KeyboardInterrupt
    with TagFile(tmp_path / "tags.h5") as file:
        assert same(file.read(), tags) and not file.complete


def test_a_refused_block_leaves_no_trace_and_the_next_is_taken(tmp_path: Path) -> None:
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        writer.append([10, 20], 1)
        for time_ps, channel, message in (
            ([15, 30], 1, "begins at 15 ps, before the last tag"),
            ([40, 30], 1, r"must not go back in time, but tag 1 \(30 ps\)"),
            ([30.0, 40.0], 1, "must be integer picoseconds"),
            ([30, 40], [1, 2, 3], "one number or 2, one per tag"),
            ([30, 40], 256, r"integers in \[0, 255\]"),
            (np.array([30, 2**63], np.uint64), 1, "2\\^63 - 1 is the last"),
        ):
            with pytest.raises(DataError, match=message):
                writer.append(time_ps, channel)
        writer.append([], 1)
        writer.append([20, 50], [2, 3])
    assert same(read_tags(tmp_path / "tags.h5"), Tags(np.array([10, 20, 20, 50]), np.array([1, 1, 2, 3], np.uint8)))


def test_a_full_disk_ends_the_file_and_loses_nothing_that_was_accepted(tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills while HDF5 gets a block: its gaps are written, its channels are not."""
    tags, n = some_tags(3 * BLOCK), BLOCK + 5000
    extend = storage._extend

    def full(dataset: h5py.Dataset, values: np.ndarray) -> None:
        if dataset.name == "/tags/channel":
            raise OSError(errno.ENOSPC, "No space left on device")
        extend(dataset, values)

    writer = TagWriter.create(tmp_path / "tags.h5")
    append_in(writer, Tags(tags.time_ps[:n], tags.channel[:n]), 5000)
    monkeypatch.setattr(storage, "_extend", full)
    for _ in range(2):
        with pytest.raises(DataError, match=r"cannot be written \(No space left on device\): free the disk"):
            writer.append(tags.time_ps[n:], tags.channel[n:])
    writer.close(complete=True)
    with TagFile(tmp_path / "tags.h5") as file:
        assert same(file.read(), Tags(tags.time_ps[:n], tags.channel[:n])) and not file.complete


def test_the_buffer_of_a_block_may_be_used_again(tmp_path: Path) -> None:
    time_ps, channel = np.array([1, 2, 3]), np.array([1, 2, 1], np.uint8)
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        writer.append(time_ps, channel)
        time_ps[:], channel[:] = 99, 99
    assert same(read_tags(tmp_path / "tags.h5"), Tags(np.array([1, 2, 3]), np.array([1, 2, 1], np.uint8)))


def test_files_are_neither_overwritten_nor_written_after_their_end(tmp_path: Path) -> None:
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        writer.append([1], 1)
    with pytest.raises(DataError, match=r"is closed: append before `close`"):
        writer.append([2], 1)
    writer.close(complete=False)
    assert TagFile(tmp_path / "tags.h5").complete
    with pytest.raises(DataError, match="exists already"):
        TagWriter.create(tmp_path / "tags.h5")
    with pytest.raises(DataError, match="the folder must exist"):
        TagWriter.create(tmp_path / "nowhere" / "tags.h5")


def test_what_is_no_tag_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    h5py.File(tmp_path / "other.h5", "w").close()
    for name, message in (("missing.h5", "cannot be read"), ("text.h5", "cannot be read"), ("other.h5", "no tag file")):
        with pytest.raises(DataError, match=message):
            TagFile(tmp_path / name)


def test_any_reader_of_hdf5_gets_the_times_from_three_datasets(tmp_path: Path) -> None:
    """The recipe of the module's docstring."""
    tags = some_tags(BLOCK + 100)
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        append_in(writer, tags, 10_000)
    with h5py.File(tmp_path / "tags.h5") as file:
        gaps = file["tags/gap_ps"][:].astype(np.int64)
        long = file["tags/long"][:]
        gaps[long[:, 0]] += long[:, 1] << 32
        assert np.array_equal(np.cumsum(gaps), tags.time_ps)
        assert np.array_equal(file["tags/channel"][:], tags.channel)


def test_a_tag_takes_at_most_three_and_a_half_bytes(tmp_path: Path) -> None:
    """Four channels at 1 MHz together: 21.4 bits of time and 2 of channel, 2.9 bytes."""
    pytest.importorskip("hdf5plugin", reason="hdf5plugin is optional: pip install hdf5plugin")
    rng, n = np.random.default_rng(2), 8 * BLOCK
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        writer.append(np.cumsum(rng.exponential(1e6, n).astype(np.int64)), rng.integers(0, 4, n))
    assert 2.9 < (tmp_path / "tags.h5").stat().st_size / n < 3.5


def test_without_hdf5plugin_files_are_written_in_what_every_hdf5_reads(tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    tags = some_tags(BLOCK + 100)
    with TagWriter.create(tmp_path / "tags.h5") as writer:
        append_in(writer, tags, 50_000)
    assert same(read_tags(tmp_path / "tags.h5"), tags)
    with h5py.File(tmp_path / "tags.h5") as file:
        assert file["tags/gap_ps"].compression == "gzip"


def test_a_file_that_needs_hdf5plugin_says_so_without_it(tmp_path: Path) -> None:
    pytest.importorskip("hdf5plugin", reason="hdf5plugin is optional: pip install hdf5plugin")
    TagWriter.create(tmp_path / "tags.h5").close(complete=True)
    code = ("import sys; sys.modules['hdf5plugin'] = None\nfrom analysis.timetags.storage import read_tags\n"
            f"read_tags({str(tmp_path / 'tags.h5')!r})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert "is compressed with bitshuffle: pip install hdf5plugin" in done.stderr
