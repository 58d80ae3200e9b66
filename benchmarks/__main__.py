"""One table: what each benchmark measures, the peer beside it in the same run, and the mark to beat.

    python benchmarks [ROW ...] [--fast] [--python ROW=INTERPRETER ...]

Rows: link, rearrangement, photon, array, kernel, tags, instruments; all unless named. Each runs in a process of its
own, with one thread for linear algebra. A peer that is not installed is left out, with the reason; where it lives in
another environment (SeQUeNCe wants its own numpy, ARTIQ its own llvmlite), `--python link=/path/to/python` runs that
row there. Absolute numbers depend on the machine and on who else works on it: quote the ratios. `--fast` only shows
that every row can be measured: its figures mean little. Exit code 1 if a row failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent


class Row(NamedTuple):
    """One line: what is measured in `unit`, ours and theirs (None: no peer in this run, `peer` says why).

    better: "higher" or "lower". mark: what performance must reach.
    """

    name: str
    unit: str
    ours: float
    peer: str
    theirs: float | None
    better: str
    mark: str

    def ratio(self) -> float:
        """Return how many times better ours is; nan without a peer."""
        if self.theirs is None:
            return math.nan
        return self.ours / self.theirs if self.better == "higher" else self.theirs / self.ours


def link(fast: bool) -> list[Row]:
    """Attempts and heralds of the entangled link, beside SeQUeNCe."""
    import bench_link as bench
    import numpy as np

    world, model = bench.default_model()
    labels, repeats = np.full((bench.N // 64 if fast else bench.N, 2), bench.F2), 1 if fast else 7
    attempts = bench.rate(lambda: len(model.attempts(world.rng("bench"), labels).ends), repeats)
    heralds = bench.rate(lambda: len(model.heralds(world.rng("bench"), labels)[0]), repeats)
    work = bench.sequence_attempts(10 if fast else 500)
    theirs = None if work is None else bench.rate(work, 1 if fast else 3)
    peer = "SeQUeNCe is not installed" if work is None else "SeQUeNCe, Barrett-Kok"
    return [Row("link: attempts, each with its clicks", "1/s", attempts, peer, theirs, "higher", "5e5, 200 x"),
            Row("link: heralds with conditional state", "1/s", heralds, "none does it", None, "higher", "")]


def rearrangement(fast: bool) -> list[Row]:
    """Time of a plan at 1024 and 10,000 sites, beside scipy's assignment."""
    import bench_rearrangement as bench

    plans = {n: bench.measure(lambda occupied, target: len(bench.plan(occupied, target)), n, 2 if fast else 200)
             for n in (1024, 10_000)}
    theirs = bench.measure(bench.assignment, 1024, 1 if fast else 3)
    name = "rearrangement plan, N = {}: {} moves at most (3 sqrt N = {})"
    return [Row(name.format(1024, plans[1024][2], 96), "ms", 1e3 * plans[1024][0], "scipy linear_sum_assignment",
                1e3 * theirs[0], "lower", "1 ms"),
            Row(name.format(10_000, plans[10_000][2], 300), "ms", 1e3 * plans[10_000][0],
                "takes minutes: bench_rearrangement.py --large-peer", None, "lower", "10 ms")]


def photon(fast: bool) -> list[Row]:
    """Photons of the cavity port, beside QuTiP."""
    import bench_photon as bench

    if fast:
        bench.PHOTONS, bench.TURNS = 100_000, 1
    found = bench.measure(20 if fast else 200)
    if math.isnan(found.mcsolve):
        peers, theirs = ("QuTiP is not installed",) * 2, (None, None)
    else:
        bench.refuse_disagreement(found)
        agreement = f"number p = {found.counts_p:.2f}, times p = {found.times_p:.2f}"
        peers, theirs = (f"QuTiP mcsolve ({agreement})", "QuTiP mesolve"), (found.mcsolve, found.mesolve)
    return [Row("cavity photon: attempts sampled", "1/s", found.sampled, peers[0], theirs[0], "higher", "1e6, 50 x"),
            Row("cavity photon: wavepacket of new parameters", "1/s", found.wavepackets, peers[1], theirs[1],
                "higher", "")]


def array(fast: bool) -> list[Row]:
    """A shot of 10,000 sites: load, image, plan, move, image again."""
    side = 16 if fast else 100
    text = script("bench_array.py", str(side))
    shots = [float(ms) for ms in re.findall(r"[\d.]+", find(r"^all((?:\s+[\d.]+)+)", text))]
    memory = float(find(r"^peak memory (\d+) MB", text))
    name = f"{side**2:,}-site shot"
    return [Row(f"{name}, the first compiles", "ms", shots[0], "no peer does it", None, "lower", "2000 ms"),
            Row(f"{name}, best", "ms", min(shots), "no peer does it", None, "lower", "2000 ms"),
            Row(f"{name}, peak memory", "MB", memory, "no peer does it", None, "lower", "1000 MB")]


def kernel(fast: bool) -> list[Row]:
    """Output events per second of a kernel that pulses, gates and counts, beside ARTIQ's own simulation."""
    text = script("bench_kernel.py", "200" if fast else "20000")
    rate = {"ours": r"^gate_and_count \(default, kasli_soc, pip-only\)\s+[\d.]+\s+([\d,]+)",
            "theirs": r"^gate_and_count \(artiq\.sim\)\s+[\d.]+\s+([\d,]+)"}
    ours = float(find(rate["ours"], text).replace(",", ""))
    theirs = re.search(rate["theirs"], text, re.MULTILINE)
    return [Row("kernel: pulse, gate, count", "events/s", ours, "artiq.sim" if theirs else "ARTIQ is not installed",
                float(theirs[1].replace(",", "")) if theirs else None, "higher", "1e6")]


def tags(fast: bool) -> list[Row]:
    """Correlation and storage of time tags, beside numpy and HDF5's gzip."""
    import bench_tags as bench

    rows = bench.measure(1 << 20 if fast else 10_000_000)
    ours, theirs, large, packed = rows[0], rows[1], rows[2], rows[-1]
    peer, unit = f"{packed.name}, {packed.size:.2f} B/tag", "1/CPU s"  # the marks are per core
    return [Row(f"tags: {ours.name}", unit, ours.processor_rate, theirs.name, theirs.processor_rate, "higher", "1e8"),
            Row(f"tags: {large.name}, {large.size:.2f} B/tag", unit, large.processor_rate, peer, packed.processor_rate,
                "higher", "8e7, 3.5 B")]


def instruments(fast: bool) -> list[Row]:
    """Queries of an instrument per second, beside the same transport with a constant for a twin."""
    import bench_instruments as bench

    turns = 3 if fast else bench.TURNS
    inside, wire = bench.in_process(turns), bench.over_loopback(turns)
    return [Row("instrument query in process", "1/s", inside["transport over the twin"].best, "the backend, a constant",
                inside["bare backend"].best, "higher", "8e4"),
            Row("instrument query over loopback", "1/s", wire["transport to the twin"].best,
                "the transport, a constant", wire["bare transport"].best, "higher", "0.8 x")]


ROWS: dict[str, Callable[[bool], list[Row]]] = {
    "link": link, "rearrangement": rearrangement, "photon": photon, "array": array, "kernel": kernel, "tags": tags,
    "instruments": instruments,
}


def script(name: str, *arguments: str) -> str:
    """Run a benchmark that measures in processes of its own; return what it prints."""
    done = subprocess.run([sys.executable, str(FOLDER / name), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return done.stdout


def find(pattern: str, text: str) -> str:
    """Return the group of `pattern` in what a benchmark printed."""
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        sys.exit(f"no line like {pattern} in:\n{text}")
    return match[1]


def measured(name: str, interpreter: str, fast: bool) -> list[Row] | str:
    """Return the rows that a process of `interpreter` measures, or why it failed."""
    path = [str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(path)}
    command = [interpreter, str(FOLDER), name, "--json", *(["--fast"] if fast else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    except OSError as error:
        return f"{interpreter} cannot be started ({error.strerror})"
    if done.returncode:
        return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    return [Row(*row) for row in json.loads(done.stdout.splitlines()[-1])]


def line(row: Row) -> str:
    """Return a row of the table."""
    theirs = "" if row.theirs is None else f"{row.theirs:10.3g}"
    ratio = "" if row.theirs is None else f"{row.ratio():8.3g}"
    return f"{row.name:68s} {row.ours:10.3g} {theirs:>10s} {ratio:>8s}  {row.unit:9s} {row.mark:10s} {row.peer}"


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one or more of {', '.join(ROWS)}")
    parser.add_argument("--python", action="append", default=[], metavar="ROW=INTERPRETER", dest="interpreters")
    parser.add_argument("--fast", action="store_true", help="a short form of each row, to see that it can be measured")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.rows = chosen.rows or list(ROWS)
    chosen.interpreters = dict(item.partition("=")[::2] for item in chosen.interpreters)
    for name in (*chosen.rows, *chosen.interpreters):
        if name not in ROWS:
            parser.error(f"there is no row {name!r}: it must be one of {', '.join(ROWS)}")
    return chosen


def main() -> int:
    """Measure and print."""
    chosen = options()
    if chosen.json:
        print(json.dumps([row for name in chosen.rows for row in ROWS[name](chosen.fast)]))
        return 0
    print(f"{'row':68s} {'ours':>10s} {'peer':>10s} {'ratio':>8s}  {'unit':9s} {'to beat':10s} "
          "peer, or why there is none")
    failed = 0
    for name in chosen.rows:
        found = measured(name, chosen.interpreters.get(name) or sys.executable, chosen.fast)
        failed |= isinstance(found, str)
        print(f"{name}: FAILED: {found}" if isinstance(found, str) else "\n".join(map(line, found)), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
