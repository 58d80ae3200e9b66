"""Hash every dataset of every experiment: what a rebuilding of the twin must leave as it was, to the last bit.

    python benchmarks/dataset_hashes.py OUT.json [--seeds 1 2 3] [--scenarios default drifting] [--only Ramsey ...]
    python benchmarks/dataset_hashes.py --compare BEFORE.json AFTER.json

Each experiment runs with a few shots in a lab of its own (an experiment that names a scenario: in that one), with both
heralders where it has the choice. The file is JSON: {"Class scenario seed backend": {dataset: SHA-256 of dtype, shape
and bytes}}; a run that failed has {"error": what it said}. Keep the file of the commit before outside the repository;
`--compare` names what differs and exits with 1. What takes its value from the wall clock is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sim import artiq_runtime  # noqa: E402

artiq_runtime.install()

import h5py  # noqa: E402
import numpy as np  # noqa: E402

from sim.cli import main as atomlink  # noqa: E402

# Short runs; what an experiment does not have is left out.
SMALL = {"shots": 4, "repeats": 1, "n_pairs": 24, "n_shots": 6, "attempts": 400, "singles_attempts": 200,
         "dark_attempts": 2000, "gates": 20, "period": 20, "calibrate": False}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "Calibrate": {"target": "larmor"},
    "LinkMonitor": {"shots": 12, "repeats": 2},
    "HbtG2": {"shots": 4000},
    "EmissionEfficiency": {"shots": 200},
    "CavityScan": {"shots": 200},
    "FibreDelay": {"shots": 300},
    "PhotonShape": {"shots": 300},
    "PairLifetime": {"shots": 5},
    "CzBell": {"shots": 8},
    "Rearrangement": {"n_shots": 2, "rows": 12, "columns": 12, "rounds": 2},
    "MultiplexedPort": {"shots": 4, "attempts": 50},
    "AtomPhoton": {"watch_locks": True},
}  # fmt: skip
BACKENDS = ("entangler", "software")
NEVER_ENDS = {"Idle"}  # it plays its kernel until somebody stops it
# Ages and stamps of the calibration graph come from UTC.
OF_THE_CLOCK = ("calibration.clock", "calibration.states", "calibration.visits", "calibration.log", "run.versions")


def experiments() -> list[tuple[Path, str, set[str], str | None]]:
    """Return (file, class, names of its arguments, scenario that it names) of every experiment."""
    from artiq.language.environment import is_public_experiment
    from artiq.tools import file_import

    from sim.command.catalog import _arguments_of
    from sim.command.examine import ExaminedDatasets, ExaminedDevices, load_device_db, open_dataset_db
    from sim.command.lab import Lab

    found = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        shutil.copy(ROOT / "device_db.py", folder)
        lab = Lab(Path(folder))
        managers = ExaminedDevices(load_device_db(lab)), ExaminedDatasets(open_dataset_db(lab))
        for file in sorted((ROOT / "experiments").rglob("*.py")):
            module = file_import(str(file), prefix="artiq_worker_")
            for name, value in vars(module).items():
                if is_public_experiment(value) and value.__module__ == module.__name__ and name not in NEVER_ENDS:
                    arguments = set(_arguments_of(value, managers))
                    found.append((file, name, arguments, getattr(value, "simulated_in", None)))
    return found


def runs(scenarios: list[str], seeds: list[int], only: list[str]) -> list[tuple[str, list[str]]]:
    """Return (key, words for `atomlink`) of every run."""
    out = []
    known = [one for one in experiments() if not only or one[1] in only]
    for seed, (file, name, arguments, own) in itertools.product(seeds, known):
        small = {key: value for key, value in (SMALL | OWN.get(name, {})).items() if key in arguments}
        backends = BACKENDS if "backend" in arguments else ("",)
        for scenario, backend in itertools.product([own] if own else scenarios, backends):
            given = small | ({"backend": backend} if backend else {})
            words = [str(file), "-c", name, "--scenario", scenario, "--seed", str(seed)]
            words += [f"{key}={value!r}" for key, value in given.items()]
            out.append((f"{name} {scenario} {seed} {backend}".strip(), words))
    return out


def hashes(run: tuple[str, list[str]]) -> tuple[str, dict[str, str]]:
    """Carry one run out in a folder of its own and hash its datasets."""
    key, words = run
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "device_db.py", folder)
        experiment = shutil.copy(words[0], folder)
        os.chdir(folder)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            atomlink(["run", experiment, *words[1:]])
        files = sorted(Path(folder).glob("results/*/*/*.h5"))
        os.chdir("/")
        if not files:
            return key, {"error": said.getvalue().strip().splitlines()[-1]}
        found: dict[str, str] = {}
        for k, file in enumerate(files):
            with h5py.File(file) as results:
                results["datasets"].visititems(lambda name, item, k=k: _note(found, f"{k}/{name}", item))
        return key, found


def _note(found: dict[str, str], name: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset) and name.partition("/")[2] not in OF_THE_CLOCK:
        value = np.asarray(item[()])
        data = repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
        found[name] = hashlib.sha256(f"{value.dtype} {value.shape} ".encode() + data).hexdigest()


def compare(before: Path, after: Path) -> int:
    """Print what differs between two files; return 1 where anything does."""
    old, new = json.loads(before.read_text()), json.loads(after.read_text())
    shared = [key for key in old if key in new]
    same = total = differ = 0
    for key in shared:
        names = sorted(old[key].keys() | new[key].keys())
        other = [name for name in names if old[key].get(name) != new[key].get(name)]
        total, same, differ = total + len(names), same + len(names) - len(other), differ + bool(other)
        if other:
            print(f"{key}: {len(other)} of {len(names)} differ: {', '.join(other[:6])}{' ...' * (len(other) > 6)}")
    print(f"{len(shared)} runs, {total} datasets: {same} equal, {total - same} differ in {differ} runs")
    return 1 if differ or not shared else 0


def main() -> int:
    """Run what the words ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--scenarios", nargs="+", default=["default", "drifting"])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--processes", type=int, default=2)
    words = parser.parse_args()
    if words.compare:
        return compare(*words.compare)
    if words.out is None:
        parser.error("say where to write: OUT.json")
    todo = runs(words.scenarios, words.seeds, words.only)
    found: dict[str, dict[str, str]] = {}
    start = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(words.processes, maxtasksperchild=1) as pool:
        for key, datasets in pool.imap_unordered(hashes, todo):
            found[key] = datasets
            said = datasets.get("error", f"{len(datasets)} datasets")
            print(f"{len(found)}/{len(todo)} {time.perf_counter() - start:.0f} s {key}: {said}", flush=True)
            words.out.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
