"""Days in a drifting lab: the link monitor keeps it calibrated, and beside it the same lab left alone.

    python benchmarks/health_24h.py [--seeds 1 2 3 4 5] [--hours 24] [--figure PNG] [--keep FOLDER] [--both]

Each lab begins with beliefs as shipped, calibrates once and takes a reference; from then on `LinkMonitor` with its own
defaults looks at the link every 15 minutes and submits calibrations. Hour by hour the rate that these beliefs give,
that of the optimum, and that of the beliefs of the start (left alone) are worked out of the truth (validation:
`sim.validation.optimum`, `.expected`; no experiment sees it), at the moment of a look, before what it submits.
With `--both` the day left alone is lived through as well, for what is seen of it. With `--keep` the labs stay in the
folder, and a day that is complete there is not lived through again.

Exit code 1 if the mean of a day is below 90 % of the optimum, or an hour is by more than two standard errors.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import sim.artiq_runtime

sim.artiq_runtime.install()

import numpy as np  # noqa: E402  (what follows needs what the line above installs)
from artiq.experiment import BooleanValue, EnvExperiment, NumberValue, TInt64, kernel  # noqa: E402

from atomlink.heralds import FOUR  # noqa: E402
from atomlink.topology import pair  # noqa: E402
from drivers import parameters  # noqa: E402

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

ROOT = Path(__file__).resolve().parents[1]
ARMS = LOOP, ALONE = "health loop", "left alone"
LOOK_S = 900.0
PAIRS = 100  # of a look
REFERENCE_LOOKS = 16  # 1600 heralds: the reference of the rate is good to 2.5 %
EVERY = 4  # look the truth is asked, which takes two seconds
DRAWS = 2000  # of heralds in a batch, with the same random numbers for all beliefs
BATCHES = 4  # their scatter is the error
PUMPING = (1.0, 0.9, 0.8, 0.7)  # times its pumping times, the optimum may be better still: it is taken as it is best
WANTED = 0.9
SIGMAS = 2.0


class Day(EnvExperiment):
    """Calibrate, take the reference, then watch the link for so many hours"""

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("hours", NumberValue(24.0, precision=2, step=1, min=0.2, max=1000))
        self.setattr_argument("loop", BooleanValue(True))

    def run(self) -> None:
        """Have one run after the other; note when the day began and that it ended."""
        self.have("calibration/calibrate.py", "Calibrate", {"target": "remote_entanglement"})
        quiet = {"calibrate": False, "period": 0.0, "repeats": REFERENCE_LOOKS, "apply": True}
        self.have("link/link_monitor.py", "LinkMonitor", {"shots": PAIRS, **quiet})
        self.set_dataset("day.t_start_s", self.counter() * self.core.ref_period)
        day = {"calibrate": self.loop, "period": LOOK_S, "repeats": round(self.hours * 3600 / LOOK_S)}
        self.have("link/link_monitor.py", "LinkMonitor", {"shots": PAIRS, **day})

    def have(self, file: str, class_name: str, arguments: dict[str, Any]) -> None:
        """Submit a run that comes first, and let it take its turn."""
        expid = {"log_level": 30, "file": str(ROOT / "experiments" / file), "class_name": class_name,
                 "arguments": arguments}  # fmt: skip
        self.scheduler.submit(self.scheduler.pipeline_name, expid, self.scheduler.priority + 1)
        self.core.comm.close()
        self.scheduler.pause()

    @kernel
    def counter(self) -> TInt64:
        """Return lab time in machine units."""
        return self.core.get_rtio_counter_mu()


class Seen(NamedTuple):
    """What a day left in its files: by look, and the lab time of the passes that the loop submitted."""

    t_s: np.ndarray
    heralds: np.ndarray
    attempting_s: np.ndarray
    lab_s: np.ndarray  # that the looks took
    fidelity: np.ndarray  # raw
    alarms: dict[str, np.ndarray]  # by chart, whether this look raised one
    kept_up: np.ndarray
    calibrating_s: float
    failed: int  # passes that did not come to their end
    believed: list[dict[str, float]]  # every EVERY looks, before what that look submitted


class Truth(NamedTuple):
    """Hour by hour: rate over optimum and fidelity of new pairs, of each arm; the standard error of a ratio; the rate
    of `sim.validation.optimum` over that of the optimum.
    """

    hour_s: np.ndarray
    ratio: dict[str, np.ndarray]
    fidelity: dict[str, np.ndarray]
    error: float
    committed: np.ndarray


def live(folder: Path, args: argparse.Namespace, seed: int, loop: bool) -> None:
    """Live through a day in a lab of its own, unless it is there already."""
    from sim.command.lab import Lab
    from sim.runner import Run

    if _is_lived(folder, args.hours):
        return
    os.environ |= {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": str(seed)}
    shutil.rmtree(folder, ignore_errors=True)  # a day that was cut short
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "device_db.py", folder)
    lab = Lab(folder)
    Run(lab, Path(__file__).resolve(), "Day", {"hours": args.hours, "loop": loop}, lab.results).execute()


def _is_lived(folder: Path, hours: float) -> bool:
    """Return whether a folder holds the whole of such a day; UsageError where it is a day of another length."""
    from analysis.load import load
    from atomlink.errors import UsageError

    watches = sorted(folder.glob("results/*/*/*-LinkMonitor.h5"))
    if not list(folder.glob("results/*/*/*-Day.h5")) or len(watches) != 2:  # the reference, and the day
        return False
    data = load(watches[-1]).datasets
    if not data["run.complete"]:
        return False
    looks, wanted = len(data["scan.t_s"]), round(hours * 3600 / LOOK_S)
    if looks != wanted:
        raise UsageError(f"{folder} holds a day of {looks} looks, must be {wanted}: give another folder or --hours.")
    return True


def seen(folder: Path) -> Seen:
    """Read a day's files."""
    from analysis.experiments import link_monitor
    from analysis.load import load
    from drivers.parameter_log import read

    runs = sorted((load(path) for path in folder.glob("results/*/*/*.h5")), key=lambda run: run.rid)
    day = next(run for run in runs if run.class_name == "Day")
    watch = [run for run in runs if run.class_name == "LinkMonitor"][-1]
    passes = [run for run in runs if run.class_name == "Calibrate"][1:]
    data = {key.removeprefix("scan."): np.asarray(value) for key, value in watch.datasets.items()}
    submitted = (data["calibrated"] + data["kept_up"]).astype(int)
    before = np.concatenate([[0], np.cumsum(submitted)[:-1]])[::EVERY]
    revisions, numbers = read(folder / "params.log"), [run.rid for run in passes]
    return Seen(
        float(day.datasets["day.t_start_s"]) + data["t_s"],
        data["heralds"], data["t_attempting_s"], data["t_lab_s"],
        np.array([estimate.value for estimate in link_monitor.fidelities(watch)]),
        {name: data[f"fallen_{name}"].astype(bool) for name in ("rate", "fidelity")},
        data["kept_up"].astype(bool),
        sum(float(run.datasets.get("calibration.t_lab_s", 0.0)) for run in passes),
        sum(not run.datasets.get("run.complete", 0) for run in passes),
        [_believed(revisions, numbers[k:]) for k in before],
    )  # fmt: skip


def _believed(revisions: Any, not_yet: list[int]) -> dict[str, float]:
    """Return what was believed before the runs with these numbers."""

    values = {name: row.default for name, row in TABLE.items()}
    for revision in revisions:
        if revision.rid not in not_yet:
            values.update({name: change.value for name, change in revision.changes.items()})
    return values


def by_truth(day: Seen, scenario: str, seed: int) -> Truth:
    """Return what the truth says of a day's beliefs, and of those that it began with."""
    from sim.world.scenario import load_scenario
    from sim.world.world import World

    world = World(load_scenario(scenario), seed)
    hour_s = day.t_s[::EVERY]
    pumping, rows = 0.0, []
    for t_s, believed in zip(hour_s, day.believed, strict=True):
        world.reach(int(t_s * 1e9))
        pumping = pumping or max(PUMPING, key=lambda factor: _yields(world, _best(world, factor))[0].mean())
        rows.append([_yields(world, values)
                     for values in (_best(world, pumping), believed, day.believed[0], _best(world, 1.0))])  # fmt: skip
    rates, fidelities = np.array(rows).transpose(2, 1, 0, 3)  # each: beliefs, hours, batches
    ratios = rates[1:] / rates[0]
    error = float(np.sqrt(ratios.var(axis=2, ddof=1).mean() / BATCHES))
    *by_arm, committed = ratios.mean(axis=2)
    means = dict(zip(ARMS, fidelities.mean(axis=2)[1:3], strict=True))
    return Truth(hour_s, dict(zip(ARMS, by_arm, strict=True)), means, error, committed)


def _best(world: Any, pumping: float) -> dict[str, float]:
    """Return the best beliefs of now, the times to pump multiplied by a factor.

    The committed optimum starts every attempt with unpumped atoms, but what an attempt in vain has pumped is kept: it
    pumps too long, and its rate is 1 to 3 % short. The higher one is what docs/calibration.md calls optimum.
    """
    from sim.validation.optimum import best_parameters

    held = {name: row.default for name, row in TABLE.items()}
    best = best_parameters(world, held)
    return held | best | {name: value * pumping for name, value in best.items() if name.endswith("t_pump_s")}


def _yields(world: Any, believed: dict[str, float]) -> np.ndarray:
    """Return heralds per second of attempting (2, batches) and below the fidelity of new pairs."""
    from sim.validation.expected import attempting

    return np.array([attempting(world, believed, DRAWS, seed) for seed in range(BATCHES)]).T


def table(days: dict[int, tuple[Seen, Truth]], alone: dict[int, Seen]) -> list[str]:
    """Return the figures: a column for each seed."""
    lines = [f"{'seed':44}" + "".join(f"{seed:>10}" for seed in days)]

    def row(title: str, text: Any, found: dict[int, Any] = days) -> None:
        lines.append(f"{title:44}" + "".join(f"{text(found[seed]):>10}" for seed in days))

    row("share of lab time calibrating", lambda day: f"{day[0].calibrating_s / _length_s(day[0]):.4f}")
    row("share of lab time looking", lambda day: f"{day[0].lab_s.sum() / _length_s(day[0]):.4f}")
    for name in ("rate", "fidelity"):
        row(f"alarms of the {name}", lambda day, name=name: f"{day[0].alarms[name].sum()}")
    row("time-outs acted on; passes that failed", lambda day: f"{day[0].kept_up.sum()}; {day[0].failed}")
    for arm in ARMS:
        row(f"{arm}: rate/optimum, mean", lambda day, arm=arm: f"{day[1].ratio[arm].mean():.3f}")
        row("... worst hour", lambda day, arm=arm: f"{day[1].ratio[arm].min():.3f}")
        row(f"... hours below {WANTED:g}", lambda day, arm=arm: f"{(day[1].ratio[arm] < WANTED).sum()}")
        row("... over sim.validation.optimum as it is, worst",
            lambda day, arm=arm: f"{_committed(day[1], arm).min():.3f}")
        row("... fidelity of new pairs, mean", lambda day, arm=arm: f"{day[1].fidelity[arm].mean():.3f}")
    row("standard error of a ratio", lambda day: f"{day[1].error:.4f}")
    row("health loop, calibrating counted as lost", lambda day: f"{_net(*day):.3f}")
    for arm, found in ((LOOP, {seed: day[0] for seed, day in days.items()}), (ALONE, alone)):
        if found:
            row(f"{arm}: heralds/s attempting, seen", lambda s: f"{s.heralds.sum() / s.attempting_s.sum():.1f}", found)
            row("... raw fidelity, seen", lambda s: f"{s.fidelity.mean():.3f}", found)
    return lines


def _length_s(day: Seen) -> float:
    return float(day.t_s[-1] - day.t_s[0])


def _committed(truth: Truth, arm: str) -> np.ndarray:
    return truth.ratio[arm] / truth.committed


def _net(day: Seen, truth: Truth) -> float:
    return float(truth.ratio[LOOP].mean() * (1 - day.calibrating_s / _length_s(day)))


def passed(truth: Truth) -> bool:
    """Return whether a day with the loop is as good as wanted."""
    ratio = truth.ratio[LOOP]
    return bool(ratio.mean() >= WANTED and (ratio + SIGMAS * truth.error >= WANTED).all())


def draw(days: dict[int, tuple[Seen, Truth]], path: Path) -> None:
    """Draw rate over optimum and fidelity against hours, both arms, a row for each seed."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from analysis.figures import ACCENT, INK, SIDE_COLOURS, STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 1.2 + 1.6 * len(days)), layout="constrained", dpi=120)
        FigureCanvasAgg(figure)
        rows = figure.subplots(len(days), 2, sharex=True, sharey="col", squeeze=False)
        for (seed, (day, truth)), (left, right) in zip(days.items(), rows, strict=True):
            hours = (truth.hour_s - day.t_s[0]) / 3600
            for axes, values in ((left, truth.ratio), (right, truth.fidelity)):
                for arm, colour in zip(ARMS, SIDE_COLOURS, strict=True):
                    axes.plot(hours, values[arm], "o-", ms=3, lw=1.2, color=colour, label=arm)
            left.axhline(WANTED, color=ACCENT, lw=1)
            looks = (day.t_s - day.t_s[0]) / 3600
            for axes, chart in ((left, "rate"), (right, "fidelity")):
                for t in looks[day.alarms[chart]]:
                    axes.axvline(t, color=INK, lw=1, ls=":")
            left.plot(looks[day.kept_up], np.full(day.kept_up.sum(), 0.02), "|", ms=5, color=INK, clip_on=False,
                      transform=left.get_xaxis_transform())  # fmt: skip
            left.set_ylabel(f"seed {seed}")
        rows[0][0].set_title("heralds per second of attempting / optimum (line: 90 %)", loc="left")
        rows[0][1].set_title("fidelity of new pairs", loc="left")
        rows[0][0].set_xticks(np.arange(0, hours[-1] + 4, 4))
        for axes in rows[-1]:
            axes.set_xlabel("lab time (h)")
        notes = "Dotted: an alarm of the rate (left), of the fidelity (right). Ticks at the foot: a time-out acted on."
        figure.legend(*rows[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=2, title=notes,
                      alignment="left", title_fontsize=8)  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Days in a drifting lab, with the health loop and left alone.")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--scenario", default="drifting")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder for the labs")
    parser.add_argument("--both", action="store_true", help="live through the days left alone, too")
    return parser.parse_args()


def main() -> int:
    """Live through the days; print the table, draw the figure."""
    args = _arguments()
    began = time.monotonic()
    arms = ARMS if args.both else (LOOP,)
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        root = args.keep or Path(scratch)
        folders = {(seed, arm): root / f"seed_{seed}" / arm.replace(" ", "_") for seed in args.seeds for arm in arms}
        jobs = [pool.submit(live, folder, args, key[0], key[1] == LOOP) for key, folder in folders.items()]
        for job in jobs:
            job.result()
        found = {key: seen(folder) for key, folder in folders.items()}
        truths = [pool.submit(by_truth, found[seed, LOOP], args.scenario, seed) for seed in args.seeds]
        days = {seed: (found[seed, LOOP], job.result()) for seed, job in zip(args.seeds, truths, strict=True)}
    print("\n".join(table(days, {seed: found[seed, ALONE] for seed in args.seeds} if args.both else {})))
    print(f"{time.monotonic() - began:.0f} s of wall time; scenario {args.scenario}, {args.hours:g} h")
    if args.figure:
        draw(days, args.figure)
    return int(not all(passed(truth) for _, truth in days.values()))


if __name__ == "__main__":
    sys.exit(main())
