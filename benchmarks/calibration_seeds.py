"""Calibrate the drifting lab from beliefs as shipped, then run the link with these beliefs and with the true ones.

    python benchmarks/calibration_seeds.py SEED [SEED ...] [--scenario drifting] [--pairs 5000] [--keep FOLDER]

For each seed, in one lab: `Calibrate remote_entanglement`, the same again (which only checks), `RemoteEntanglement`
with what was calibrated, and again with the best parameters, worked out of the truth at that time (validation). Prints
rates, fidelities, their ratios, times, and how often a node was touched. Exit code 1 where a ratio is beyond 5 %.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sim.artiq_runtime

sim.artiq_runtime.install()

from artiq.experiment import EnvExperiment, NumberValue, TFloat, kernel  # noqa: E402  (needs what the line above installs)

from atomlink.heralds import FOUR  # noqa: E402
from atomlink.topology import pair  # noqa: E402
from drivers import parameters  # noqa: E402
from drivers.parameter_store import ParameterStore  # noqa: E402
from sim.validation.optimum import best_parameters  # noqa: E402

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

ROOT = Path(__file__).resolve().parents[1]
WITHIN = 0.05
BETWEEN_S = 120.0  # lab time between the two passes
SETTINGS = "bell (XX YY ZZ)"


class Arms(EnvExperiment):
    """Calibrate twice, then both arms"""

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("pairs", NumberValue(5000, precision=0, scale=1, step=100, min=10, type="int"))

    def run(self) -> None:
        """Have one run after the other."""
        link = {"settings": SETTINGS, "n_pairs": self.pairs}
        for name in ("first", "second"):
            self.have(name, "calibration/calibrate.py", "Calibrate", {"target": "remote_entanglement"})
            self.let_pass(BETWEEN_S)
        self.have("calibrated", "link/remote_entanglement.py", "RemoteEntanglement", link)
        self.believe_the_truth()
        self.have("best", "link/remote_entanglement.py", "RemoteEntanglement", link)

    def have(self, name: str, file: str, class_name: str, arguments: dict[str, Any]) -> None:
        """Submit a run that comes first, let it take its turn, and note the wall time it took."""
        expid = {"log_level": 30, "file": str(ROOT / "experiments" / file), "class_name": class_name,
                 "arguments": arguments}  # fmt: skip
        began = time.monotonic()
        self.scheduler.submit(self.scheduler.pipeline_name, expid, self.scheduler.priority + 1)
        self.core.comm.close()
        self.scheduler.pause()
        self.set_dataset(f"wall.{name}", time.monotonic() - began)

    @kernel
    def let_pass(self, wait_s: TFloat):
        """Let lab time pass."""
        self.core.wait_until_mu(self.core.get_rtio_counter_mu() + self.core.seconds_to_mu(wait_s))

    def believe_the_truth(self) -> None:
        """Set what ought to be believed now."""
        store = ParameterStore.of(self)
        held = {name: store.get(name) for name in TABLE}
        best = best_parameters(self.core.world, held)
        store.set_all({name: (value, parameters.parameter(name).unit) for name, value in best.items()}, why="truth")


def carry_out(folder: Path, pairs: int) -> dict[str, Any]:
    """Carry both arms out in a new lab and return what they gave."""
    from analysis import link
    from analysis.load import load
    from sim.command.lab import Lab
    from sim.runner import Run

    folder.mkdir(parents=True)
    shutil.copy(ROOT / "device_db.py", folder)
    lab = Lab(folder)
    Run(lab, Path(__file__).resolve(), "Arms", {"pairs": pairs}, lab.results).execute()
    runs = sorted((load(path) for path in folder.glob("results/*/*/*.h5")), key=lambda run: run.rid)
    wall = next(run for run in runs if run.class_name == "Arms").datasets
    first, second = (run.datasets for run in runs if run.class_name == "Calibrate")
    calibrated, best = (link.analyse(run) for run in runs if run.class_name == "RemoteEntanglement")
    nodes = [visit["node"] for visit in _visits(first)]
    values: dict[str, list[Any]] = {"rate_attempting": [], "rate_lab": [], "fidelity": []}
    for arm in (calibrated, best):
        values["rate_attempting"].append(arm.rate_attempting)
        values["rate_lab"].append(arm.rate_lab)
        values["fidelity"].append(arm.total.raw.fidelity)
    return {
        **values,
        "heralds": (calibrated.heralds, best.heralds),
        "touched": max(nodes.count(name) for name in nodes),
        "lab_s": [float(data["calibration.t_lab_s"]) for data in (first, second)],
        "wall_s": [float(wall[f"wall.{name}"]) for name in ("first", "second")],
        "second": [f"{visit['node']} {visit['action']}" for visit in _visits(second)],
    }


def _visits(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a pass did, but for nodes that it left alone."""
    return [visit for visit in json.loads(data["calibration.visits"]) if visit["action"] != "skip"]


def report(seed: int, found: dict[str, Any]) -> bool:
    """Print one seed; return whether every ratio is within the limit."""
    fine = True
    mine, best = found["heralds"]
    print(f"seed {seed}: heralds {mine}, {best}; each node touched at most {found['touched']} times")
    for name in ("rate_attempting", "rate_lab", "fidelity"):
        mine, best = found[name]
        ratio = mine / best
        fine &= ratio.value > 1 - WITHIN
        print(f"  {name:16} {mine.number():>18}  best {best.number():>18}  ratio {ratio.number()}")
    lab, wall = found["lab_s"], found["wall_s"]
    print(f"  second pass ({', '.join(found['second'])}): lab {lab[1]:.0f} of {lab[0]:.0f} s = {lab[1] / lab[0]:.3f}, "
          f"wall {wall[1]:.1f} of {wall[0]:.1f} s = {wall[1] / wall[0]:.3f}", flush=True)  # fmt: skip
    return fine and found["touched"] <= 2 and lab[1] <= 0.1 * lab[0]


def main() -> int:
    """Carry all seeds out."""
    parser = argparse.ArgumentParser(description="Calibration from beliefs that are off, against the truth.")
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--scenario", default="drifting")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--keep", type=Path, help="a folder for the labs")
    args = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as scratch:
        for seed in args.seeds:
            os.environ |= {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": str(seed)}
            fine &= report(seed, carry_out((args.keep or Path(scratch)) / str(seed), args.pairs))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
