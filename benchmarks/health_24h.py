"""A day in a drifting lab: the link monitor has it calibrated when it falls, and beside it the same lab left alone.

    python benchmarks/health_24h.py [--hours 24] [--seed 1] [--scenario drifting] [--figure PATH.png] [--keep FOLDER]

Both arms begin with beliefs as shipped, calibrate once, and take a reference; from then on the monitor looks at the
link every 15 minutes. In one arm an alarm submits a calibration, in the other nothing is done. What the lab could give
is worked out from the truth here (validation, `sim.world.optimum` and `sim.world.expected`); no experiment sees it.
Exit code 1 if the mean rate of the arm with the loop is below 90 % of the optimum.
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

ROOT = Path(__file__).resolve().parents[1]
LOOK_S = 900.0
PAIRS = 100  # of a look
REFERENCE_LOOKS = 8
TARGET = "pair_phase"
EVERY = 4  # look: once an hour the truth is asked, which takes a second
DRAWS = 6000  # of attempts, to work out a rate: 1.3 %, the same random numbers for both beliefs
WANTED = 0.9


class Day(EnvExperiment):
    """Calibrate, take the reference, then watch the link for so many hours"""

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("hours", NumberValue(24.0, precision=2, step=1, min=0.2, max=1000))
        self.setattr_argument("loop", BooleanValue(True))

    def run(self) -> None:
        """Have one run after the other; note when the day began."""
        self.have("calibration/calibrate.py", "Calibrate", {"target": "remote_entanglement"})
        quiet = {"calibrate": False, "period": 0.0, "repeats": REFERENCE_LOOKS, "apply": True}
        self.have("link/link_monitor.py", "LinkMonitor", {"shots": PAIRS, **quiet})
        self.set_dataset("day.t_start_s", self.counter() * self.core.ref_period)
        day = {"calibrate": self.loop, "target": TARGET, "period": LOOK_S, "repeats": round(self.hours * 3600 / LOOK_S)}
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


class Arm(NamedTuple):
    """One arm: lab time of each look in s, what was seen; by the hour, rates by the truth with these beliefs and the
    best.
    """

    t_s: np.ndarray
    heralds: np.ndarray
    attempting_s: np.ndarray
    fidelity: np.ndarray
    calibrated: np.ndarray
    calibrating_s: float
    hour_s: np.ndarray
    expected_hz: np.ndarray
    best_hz: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Return rate over optimum, hour by hour."""
        return self.expected_hz / self.best_hz


def live(folder: Path, args: argparse.Namespace, loop: bool) -> Arm:
    """Live through a day in a lab of its own."""
    from sim.command.lab import Lab
    from sim.runner import Run

    folder.mkdir(parents=True)
    shutil.copy(ROOT / "device_db.py", folder)
    lab = Lab(folder)
    arguments = {"hours": args.hours, "loop": loop}
    run = Run(lab, Path(__file__).resolve(), "Day", arguments, lab.results)
    run.execute()
    return _arm(folder, args)


def _arm(folder: Path, args: argparse.Namespace) -> Arm:
    from analysis import link_monitor
    from analysis.load import load
    from drivers.parameter_log import read

    runs = sorted((load(path) for path in folder.glob("results/*/*/*.h5")), key=lambda run: run.rid)
    day = next(run for run in runs if run.class_name == "Day")
    watch = [run for run in runs if run.class_name == "LinkMonitor"][-1]
    passes = [run for run in runs if run.class_name == "Calibrate"]
    data = watch.datasets
    t_s = float(day.datasets["day.t_start_s"]) + np.asarray(data["scan.t_s"], dtype=float)
    calibrated = np.asarray(data["scan.calibrated"]).astype(bool)
    before = np.concatenate([[0], np.cumsum(calibrated)[:-1]]).astype(int)  # calibrations of the day before each look
    revisions = read(folder / "params.log")
    later = [run.rid for run in passes[1:]]
    hour_s = t_s[::EVERY]
    expected, best = _by_truth(hour_s, [_believed(revisions, later[k:]) for k in before[::EVERY]], args)
    lab_s = sum(float(run.datasets["calibration.t_lab_s"]) for run in passes[1:])
    fidelity = np.array([estimate.value for estimate in link_monitor.fidelities(watch)])
    heralds, attempting_s = np.asarray(data["scan.heralds"]), np.asarray(data["scan.t_attempting_s"])
    return Arm(t_s, heralds, attempting_s, fidelity, calibrated, lab_s, hour_s, expected, best)


def _believed(revisions: Any, not_yet: list[int]) -> dict[str, float]:
    """Return what was believed before the runs with these numbers."""
    from drivers.parameters import TABLE

    values = {name: row.default for name, row in TABLE.items()}
    for revision in revisions:
        if revision.rid not in not_yet:
            values.update({name: change.value for name, change in revision.changes.items()})
    return values


def _by_truth(t_s: np.ndarray, believed: list[dict[str, float]], args: argparse.Namespace) -> tuple[Any, Any]:
    """Return heralds per second of attempting with these beliefs, and with the best ones, at each time."""
    from drivers.parameters import TABLE
    from sim.world.expected import attempting
    from sim.world.optimum import best_parameters
    from sim.world.scenario import load_scenario
    from sim.world.world import World

    world = World(load_scenario(args.scenario), args.seed)
    held = {name: row.default for name, row in TABLE.items()}
    found = []
    for t, beliefs in zip(t_s, believed, strict=True):
        world.reach(int(t * 1e9))
        best = {**held, **best_parameters(world, held)}
        found.append([attempting(world, values, DRAWS).herald_hz for values in (beliefs, best)])
    expected, best_hz = np.array(found).T
    return expected, best_hz


def table(arms: dict[str, Arm]) -> list[str]:
    """Return the figures of both arms."""
    lines = [f"{'':34}" + "".join(f"{name:>14}" for name in arms)]

    def row(title: str, values: list[str]) -> None:
        lines.append(f"{title:34}" + "".join(f"{value:>14}" for value in values))

    every = list(arms.values())
    row("rate/optimum, mean", [f"{arm.ratio.mean():.3f}" for arm in every])
    row("rate/optimum, worst hour", [f"{arm.ratio.min():.3f}" for arm in every])
    row("... calibrating counted as lost", [f"{arm.ratio.mean() * (1 - _share(arm)):.3f}" for arm in every])
    row("heralds/s attempting, seen", [f"{arm.heralds.sum() / arm.attempting_s.sum():.1f}" for arm in every])
    row("heralds seen", [f"{arm.heralds.sum()}" for arm in every])
    row("fidelity seen, mean", [f"{arm.fidelity.mean():.3f}" for arm in every])
    row("calibrations", [f"{arm.calibrated.sum()}" for arm in every])
    row("share of lab time calibrating", [f"{_share(arm):.3f}" for arm in every])
    return lines


def _share(arm: Arm) -> float:
    return arm.calibrating_s / float(arm.t_s[-1] - arm.t_s[0])


def draw(arms: dict[str, Arm], path: Path) -> None:
    """Draw rate over optimum and fidelity against hours, both arms."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from analysis.figures import ACCENT, SIDE_COLOURS, STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 5.0), layout="constrained", dpi=120)
        FigureCanvasAgg(figure)
        top, bottom = figure.subplots(2, 1, sharex=True)
        for colour, (name, arm) in zip(SIDE_COLOURS, arms.items(), strict=True):
            hours = (arm.t_s - arm.t_s[0]) / 3600
            top.plot((arm.hour_s - arm.t_s[0]) / 3600, arm.ratio, "o-", ms=3, color=colour, label=name)
            smooth = np.convolve(arm.fidelity, np.full(4, 0.25), "same") if len(hours) >= 8 else arm.fidelity
            bottom.plot(hours, arm.fidelity, ".", ms=3, color=colour)
            bottom.plot(hours[2:-2], smooth[2:-2], color=colour, lw=1)
            for t in hours[arm.calibrated]:
                top.axvline(t, color=colour, lw=0.6, ls=":")
        top.axhline(WANTED, color=ACCENT, lw=1)
        top.set(ylabel="heralds: rate / optimum", ylim=(min(0.6, top.get_ylim()[0]), 1.08))
        top.legend(loc="lower left")
        top.set_title("dotted: a calibration", fontsize=8, loc="left")
        bottom.set(xlabel="lab time (h)", ylabel="fidelity seen, raw")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def main() -> int:
    """Live through both days; print the table, draw the figure."""
    parser = argparse.ArgumentParser(description="A day in a drifting lab, with the health loop and without.")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", default="drifting")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder that does not exist yet, for both labs")
    args = parser.parse_args()
    os.environ |= {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": str(args.seed)}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        root = args.keep or Path(scratch)
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            jobs = {name: pool.submit(live, root / name.replace(" ", "_"), args, name == "health loop")
                    for name in ("health loop", "left alone")}  # fmt: skip
            arms = {name: job.result() for name, job in jobs.items()}
    print("\n".join(table(arms)))
    took_s = time.monotonic() - began
    print(f"{took_s:.0f} s of wall time; scenario {args.scenario}, seed {args.seed}, {args.hours:g} h")
    if args.figure:
        draw(arms, args.figure)
    return int(arms["health loop"].ratio.mean() < WANTED)


if __name__ == "__main__":
    sys.exit(main())
