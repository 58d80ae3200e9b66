"""Time tags: g2 of two streams, and storage in HDF5, with numpy and plain HDF5 beside them in the same run.

    python benchmarks/bench_tags.py [TAGS]        (pip install numba hdf5plugin; without them the row says so)

g2: two streams of TAGS (10^7) tags each at 1 MHz, differences within 100 ns in 200 bins; the rate counts the tags of
both. Storage: TAGS tags of four channels at 1 MHz together, appended in blocks of 2^20 and of 2^15. The peers take
turns with ours; best of several turns, one core. Quote the ratios; the rate per second of processor time suffers less
than the other from who else works on the machine.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from analysis.timetags.correlate import fill_with_numpy, histogram
from analysis.timetags.storage import TagWriter, read_tags
from analysis.timetags.stream import Tags

WINDOW_PS, BIN_PS, TURNS = 100_000, 1_000, 5


class Row(NamedTuple):
    """One line of the table: rate in 1/s, the same per second of processor time, bytes per tag (0: not stored)."""

    name: str
    rate: float
    processor_rate: float
    size: float = 0.0


class Best(NamedTuple):
    """Shortest times of a work in s, on the clock and of the processor."""

    clock: float = float("inf")
    processor: float = float("inf")


def best_of(works: dict[str, Callable[[], object]], turns: int = TURNS) -> dict[str, Best]:
    """Return the shortest times of each; they take turns, so that a busy machine slows all."""
    times = dict.fromkeys(works, Best())
    for _ in range(turns):
        for name, work in works.items():
            start = Best(time.perf_counter(), time.process_time())
            work()
            end = Best(time.perf_counter(), time.process_time())
            times[name] = Best(*(min(best, b - a) for best, a, b in zip(times[name], start, end, strict=True)))
    return times


def row(name: str, count: int, best: Best, size: float = 0.0) -> Row:
    """Return the row of a work that treats `count` tags."""
    return Row(name, count / best.clock, count / best.processor, size)


def stream(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return n tags of a Poisson process of 1 MHz, ps."""
    return np.cumsum(rng.exponential(1e6, n).astype(np.int64))


def g2_rows(n: int) -> list[Row]:
    """Count differences with ours and with numpy; they must agree."""
    rng = np.random.default_rng(1)
    a, b = stream(rng, n), stream(rng, n)
    ours = histogram(a, b, WINDOW_PS, BIN_PS).counts
    theirs = np.zeros_like(ours)

    def with_numpy() -> None:
        theirs[:] = 0
        fill_with_numpy(a, b, -WINDOW_PS, WINDOW_PS, BIN_PS, BIN_PS, theirs)

    times = best_of({"ours": lambda: histogram(a, b, WINDOW_PS, BIN_PS), "numpy": with_numpy})
    if not np.array_equal(ours, theirs):
        sys.exit(f"the two histograms differ in {(ours != theirs).sum()} bins")
    walk = "two pointers, numba" if importlib.util.find_spec("numba") else "numpy: numba is not installed"
    return [row(f"g2 ({walk})", 2 * n, times["ours"]), row("g2 (numpy searchsorted)", 2 * n, times["numpy"])]


def store(path: Path, tags: Tags, block: int) -> None:
    """Write all tags to a new file."""
    path.unlink(missing_ok=True)
    with TagWriter.create(path) as writer:
        for start in range(0, len(tags.time_ps), block):
            writer.append(tags.time_ps[start : start + block], tags.channel[start : start + block])


def store_plainly(path: Path, tags: Tags, **options: object) -> None:
    """Write times and channels as they are, with h5py alone."""
    with h5py.File(path, "w") as file:
        for name, column in tags._asdict().items():
            file.create_dataset(name, data=column, chunks=(1 << 17,), **options)


def storage_rows(n: int, folder: Path) -> list[Row]:
    """Write and read with ours, and with plain HDF5."""
    rng = np.random.default_rng(2)
    tags = Tags(stream(rng, n), rng.integers(0, 4, n).astype(np.uint8))
    filters = "" if importlib.util.find_spec("hdf5plugin") else " (gzip: hdf5plugin is not installed)"
    gzip = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    part = Tags(tags.time_ps[: n // 8], tags.channel[: n // 8])
    large, small, plain, packed = (folder / name for name in ("large.h5", "small.h5", "plain.h5", "packed.h5"))
    works: dict[str, Callable[[], object]] = {
        f"store, blocks of 2^20{filters}": lambda: store(large, tags, 1 << 20),
        f"store, blocks of 2^15{filters}": lambda: store(small, tags, 1 << 15),
        "read": lambda: read_tags(large),
        "store plainly (h5py)": lambda: store_plainly(plain, tags),
        "store with gzip 4 and shuffle (h5py)": lambda: store_plainly(packed, part, **gzip),
    }
    times = best_of(works)
    counts = (n, n, n, n, len(part.time_ps))
    files = (large, small, large, plain, packed)
    if not all(np.array_equal(*pair) for pair in zip(read_tags(small), tags, strict=True)):
        sys.exit("the stored tags differ from what was written")
    return [row(name, count, best, os.path.getsize(file) / count)
            for (name, best), count, file in zip(times.items(), counts, files, strict=True)]


def measure(n: int = 10_000_000) -> list[Row]:
    """Return all rows."""
    with tempfile.TemporaryDirectory() as folder:
        return g2_rows(n) + storage_rows(n, Path(folder))


def main() -> None:
    """Print the table."""
    rows = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
    print(f"{'work':52s} {'M tags/s':>10s} {'per CPU s':>10s} {'B/tag':>7s}")
    for name, rate, processor_rate, size in rows:
        print(f"{name:52s} {rate / 1e6:10.1f} {processor_rate / 1e6:10.1f} {format(size, '7.2f') if size else ''}")
    print(f"g2: ours / numpy = {rows[0].rate / rows[1].rate:.1f}   (to beat: 100 M tags/s)")
    print(f"storage: ours / plain = {rows[2].rate / rows[5].rate:.2f}, ours / gzip = {rows[2].rate / rows[6].rate:.1f} "
          "(to beat: 80 M tags/s at 3.5 B)")


if __name__ == "__main__":
    main()
