"""Run every estimator for many seeds and write down how often its 68 % intervals cover the truth: `make sweep`.

    python tests/sweeps/sweep.py [--seeds 400] [--jobs 2] [--only ROW …] [--folder results/sweep] [--analyse]
                                  [--draws 400]
What a seed gave is kept in FOLDER/ROW.jsonl, so that a second call takes the seeds that are missing, and an estimator
that was changed is judged anew by the data there are (`--analyse` takes no more). `--draws`: where seeds are dear and
an experiment counts shares, more runs are drawn from the shares that all seeds together had. The table is
FOLDER/coverage.md; without `--only` it has every row.
Exit code 1 where a verdict is bad.
"""

import argparse
import contextlib
import sys
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from sim.artiq_runtime import install  # noqa: E402

install()

import numpy as np  # noqa: E402
from covered import COVERED, Coverage, coverage  # noqa: E402
from rows import ROWS, Row, pooled, row_named  # noqa: E402
from swept_lab import SweptLab, from_json, to_json  # noqa: E402

from analysis.load import Run  # noqa: E402
from analysis.twins import twin_of  # noqa: E402
from atomlink.errors import DataError  # noqa: E402
from sim.world.scenario import load_scenario  # noqa: E402
from sim.world.world import World  # noqa: E402

ENOUGH = 10  # seeds to draw from
CHUNK = 10  # seeds that one process takes at a time
NODES = ("alice", "bob")


def take(name: str, seeds: list[int]) -> list[tuple[int, str]]:
    """Return what each of these seeds gives, as a line."""
    row = row_named(name)
    if row.draw is not None:
        return [(seed, to_json(row.draw(seed))) for seed in seeds]
    lab = _labs.get(name) or _labs.setdefault(
        name, SweptLab(row.experiment, row.arguments, row.scenario, row.believed, row.fresh)
    )
    return [(seed, to_json(lab.run(seed))) for seed in seeds]


_labs: dict[str, SweptLab] = {}


def kept(path: Path, row: Row) -> dict[int, str]:
    """Return what earlier calls left; a row that has changed begins anew."""
    head = f"# {fingerprint(row)}"
    lines = path.read_text().splitlines() if path.exists() else []
    if not lines or lines[0] != head:
        path.write_text(head + "\n")
        return {}
    found = (line.partition("\t") for line in lines[1:])
    return {int(seed): text for seed, tab, text in found if tab and text.endswith("}")}


def fingerprint(row: Row) -> str:
    """Return what tells whether a row's data are still those of its description."""
    arguments = {key: value.describe() if hasattr(value, "describe") else value for key, value in row.arguments.items()}
    said = f"{row.experiment} {arguments} {Path(row.scenario).name} {sorted(row.believed.items())} {row.version}"
    return f"{zlib.crc32(said.encode()):08x}"


def judge(row: Row, runs: Mapping[int, Run], draws: int = 0) -> dict[str, Coverage]:
    """Analyse every run anew, or so many drawn ones; return the coverage of each estimate, both nodes together."""
    world = World(load_scenario(row.scenario), 1)
    together: Mapping[str, Any] = {}
    names = [(key, name) for key in row.truths for name in _names(key)]
    values: dict[str, list[Any]] = {key: [] for key in row.truths}
    analyse = row.analyse or _twin_of(row)
    if draws or pooled in row.truths.values():
        wanted = {name for key, name in names if draws or row.truths[key] is pooled}
        together = all_together(analyse, list(runs.values()), wanted)
    for run in (drawn(list(runs.values()), row, draws) if draws else runs).values():
        try:
            estimates = analyse(run)
        except DataError:
            estimates = {}
        for key, name in names:
            estimate, truth = estimates.get(name), row.truths[key]
            if estimate is None:
                values[key].append(None)
                continue
            expected = truth
            if draws or truth is pooled:  # what is drawn has the seeds' own shares for its truth
                expected = together[name].value
            elif callable(truth):
                expected = truth(world, run, name)
            values[key].append((estimate.value, estimate.error, expected))
    return {key: coverage(entries) for key, entries in values.items()}


def all_together(analyse: Any, runs: list[Run], wanted: set[str]) -> Mapping[str, Any]:
    """Return what the data of all seeds give; of half of them, and so on, where so many counts refuse the model."""
    found: Mapping[str, Any] = {}
    while runs:
        with contextlib.suppress(DataError):
            found = analyse(merged(runs))
            if wanted <= found.keys():
                break
        runs = runs[: len(runs) // 2]
    return found


def drawn(runs: list[Run], row: Row, n: int) -> dict[int, Run]:
    """Return n more runs, each count drawn from the share that the lab gave at its point in all seeds together."""
    rng, first, out = np.random.default_rng(1), runs[0], {}
    totals = {name: np.sum([run.datasets[f"scan.{name}"] for run in runs], axis=0)
              for name in {*row.shares, *row.shares.values()}}  # fmt: skip
    for k in range(n):
        counts = {f"scan.{name}": rng.binomial(np.asarray(first.datasets[f"scan.{of}"]), totals[name] / totals[of])
                  for name, of in row.shares.items()}  # fmt: skip
        out[k] = replace(first, datasets={**first.datasets, **counts})
    return out


def merged(runs: list[Run]) -> Run:
    """Return one run with the data of all: rows one after another, counts of equal HOM delays added up."""
    first = runs[0]
    datasets = dict(first.datasets)
    for key, value in first.datasets.items():
        columns = [np.asarray(run.datasets[key]) for run in runs]
        if key.startswith(("scan.", "shots.", "array.")) and np.ndim(value):
            datasets[key] = np.concatenate(columns)
        elif key.startswith("hom.") and key not in ("hom.delay_s", "hom.t_gate_s"):
            datasets[key] = np.sum(columns, axis=0)
        elif key in ("link.attempts", "link.losses", "link.t_lab_s", "link.t_attempting_s"):
            datasets[key] = np.sum(columns)
    return replace(first, datasets=datasets)


def _twin_of(row: Row) -> Any:
    def analyse(run: Run) -> Any:
        twin = twin_of(run.class_name)
        assert twin is not None, run.class_name
        return twin.analyse(run).estimates

    return analyse


def _names(key: str) -> list[str]:
    return [key.replace("*", node) for node in NODES] if "*" in key else [key]


def line(row: Row, key: str, found: Coverage, seeds: int, draws: int = 0) -> str:
    """Return a line of the table."""
    runs = f"{draws} drawn from {seeds}" if draws else f"{seeds}"
    return (
        f"| {row.name} | {key} | {runs} | {found.n} | {100 * found.share:.1f} ± {100 * found.error:.1f} % "
        f"| {found.mean:+.2f} | {found.rms:.2f} | {100 * found.refused:.1f} % | {verdict(row, key, found)} "
        f"| {'the seeds together' if draws else row.source}{'; ' + row.wide[key] if key in row.wide else ''} |"
    )


def verdict(row: Row, key: str, found: Coverage) -> str:
    """Return the verdict; `wide` where an interval covers too often and is meant to."""
    return "wide" if key in row.wide and found.share > COVERED[1] else found.verdict()


HEAD = """# How often 68 % intervals cover the truth

Written by `make sweep`. Good: the share lies within 57 … 79 %; open: outside, but that may be chance; bad: outside;
wide: above, where an error is meant to be larger than the scatter. Both nodes of a run count as two estimates. A pull
is (estimate - truth)/error. Truth: the scenario or the optimum of the simulated lab; "all seeds together": what the
same estimator says of all data (of half of them where so many counts refuse its model), which judges errors and not a
model's bias.

| row | estimate | seeds | estimates | covered | mean pull | rms pull | refused | verdict | truth |
|---|---|---|---|---|---|---|---|---|---|
"""


def write(folder: Path, rows: list[Row], draws: int) -> int:
    """Write the table of all data there are; return how many verdicts are bad."""
    lines, bad = [], 0
    for row in rows:
        path = folder / f"{row.name}.jsonl"
        runs = {seed: from_json(text) for seed, text in sorted(kept(path, row).items())} if path.exists() else {}
        if not runs:
            continue
        for n in (0, draws) if row.shares and draws and len(runs) >= ENOUGH else (0,):
            for key, found in judge(row, runs, n).items():
                lines.append(line(row, key, found, len(runs), n))
                bad += verdict(row, key, found) == "bad"
                print(lines[-1], flush=True)
    (folder / "coverage.md").write_text(HEAD + "\n".join(lines) + "\n")
    return bad


def collect(folder: Path, rows: list[Row], seeds: int, jobs: int) -> None:
    """Take the seeds that are missing, row after row."""
    with ProcessPoolExecutor(jobs) as pool:
        for row in rows:
            path = folder / f"{row.name}.jsonl"
            missing = [seed for seed in range(1, seeds + 1) if seed not in kept(path, row)]
            if not missing:
                continue
            start_s, size = time.monotonic(), max(1, min(CHUNK, -(-len(missing) // jobs)))
            chunks = [missing[k : k + size] for k in range(0, len(missing), size)]
            with path.open("a") as file:
                for done in as_completed([pool.submit(take, row.name, chunk) for chunk in chunks]):
                    file.writelines(f"{seed}\t{text}\n" for seed, text in done.result())
                    file.flush()
            print(f"{row.name}: {len(missing)} seeds in {time.monotonic() - start_s:.0f} s", flush=True)


def main() -> int:
    """Take what is missing, write the table, say what is bad."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], metavar="ROW", help=", ".join(row.name for row in ROWS))
    parser.add_argument("--folder", type=Path, default=ROOT / "results" / "sweep")
    parser.add_argument("--analyse", action="store_true", help="take no more seeds")
    parser.add_argument("--draws", type=int, default=0, help="judge so many runs drawn from the seeds' shares, too")
    options = parser.parse_args()
    rows = [row_named(name) for name in options.only] or list(ROWS)
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.analyse:
        collect(options.folder, rows, options.seeds, options.jobs)
    bad = write(options.folder, list(ROWS) if not options.only else rows, options.draws)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
