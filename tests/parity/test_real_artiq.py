"""Real ARTIQ and the pip-only runtime do the same: RTIO events, cursor, counter and datasets of every experiment.

Each experiment runs three times with the same seed: with ARTIQ's own `artiq_run`; with `atomlink run` on real ARTIQ's
language and stock drivers; with `atomlink run` on the pip-only runtime. Needs an interpreter with real ARTIQ: this one,
or the one that ATOMLINK_ARTIQ_PYTHON names; all three use it, so that NumPy is the same.
"""

import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import real_artiq
from real_artiq import ROOT
from test_compiles import experiments

SCRIPT = Path(__file__).with_name("traced_run.py")
MODES = ("artiq_run", "atomlink", "pip")
SEED = "7"
SMALL: dict[str, tuple[str, ...]] = {  # arguments that make a run of a second or two
    "HomInterference": (
        'delays={"ty": "RangeScan", "start": -1e-7, "stop": 1e-7, "npoints": 2, "randomize": false}',
        "attempts=300",
        "singles_attempts=100",
        "dark_attempts=100",
    ),
    "AomPower": ('amplitude={"ty": "ExplicitScan", "sequence": [0.3, 1.0]}', "shots=2"),
    "BellTomography": ("n_pairs=3",),
    "CzBell": ('phase={"ty": "ExplicitScan", "sequence": [0.0, 0.25, 0.3, 0.5]}', "shots=2"),
    "CavityScan": ('v_piezo={"ty": "ExplicitScan", "sequence": [0.0, 2.0]}', "shots=40"),
    "DetectorCharacterisation": ("shots=2",),
    "PairPhase": ("shots=2",),
    "PolarisationAlignment": ("shots=1",),
    "Rearrangement": ("n_shots=1",),
    "LinkMonitor": ("shots=3", "repeats=2", "period=6"),
    "MultiplexedPort": ('n_atoms={"ty": "ExplicitScan", "sequence": [2]}', "shots=2"),
    "ParallelLinks": ("shots=2", "repeats=1"),
    "PairLifetime": ('t_wait={"ty": "ExplicitScan", "sequence": [3e-5, 1e-4]}', "shots=2"),
    "AtomPhoton": ("shots=1", "repeats=1"),
    "EmissionEfficiency": ('amplitude={"ty": "ExplicitScan", "sequence": [0.5, 1.0]}', "shots=40"),
    "FibreDelay": ("shots=40", "repeats=1"),
    "HbtG2": ("shots=200", "repeats=2", "singles_attempts=20", "dark_attempts=50"),
    "Idle": (),
    "ImagingHistogram": ("shots=3", "repeats=1"),
    "LinkRates": ("shots=2", "repeats=1"),
    "LoadAndImage": ("n_shots=3",),
    "MicrowaveRabi": ('t_mw={"ty": "ExplicitScan", "sequence": [0.0, 1e-5]}', "shots=2"),
    "OpticalPumping": ('t_pump={"ty": "ExplicitScan", "sequence": [1e-6, 4e-6]}', "shots=2"),
    "PhotonShape": ("shots=40", "repeats=1"),
    "Pulse": ("duration=1e-6",),
    "PushoutFidelity": ('t_pushout={"ty": "ExplicitScan", "sequence": [0.0, 5e-5]}', "shots=2"),
    "RamanRabi": ('t_raman={"ty": "ExplicitScan", "sequence": [0.0, 2e-6]}', "shots=2"),
    "Ramsey": ('t_wait={"ty": "ExplicitScan", "sequence": [5e-6, 2e-5]}', "shots=2"),
    "RegisterRamsey": ('t_wait={"ty": "ExplicitScan", "sequence": [0.05, 0.1]}', "shots=2"),
    "ReleaseRecapture": ('t_release={"ty": "ExplicitScan", "sequence": [0.0, 2e-5]}', "shots=2"),
    "RemoteEntanglement": ("n_pairs=3", "calibration_fraction=0.3"),
    "DistributedCircuit": ('circuit="bell"', "shots=3", "repeats=1"),
    "EntanglementSwapping": ("shots=3", "repeats=1"),
    "SpinEcho": ('t_wait={"ty": "ExplicitScan", "sequence": [2e-5, 1e-4]}', "shots=2"),
    "ControlDelay": ('t_off={"ty": "ExplicitScan", "sequence": [3e-7, 4.5e-7]}', "shots=30"),
    "ControlDetuning": ('f_control={"ty": "ExplicitScan", "sequence": [79e6, 80e6]}', "shots=30"),
    "ControlPower": ('a_control={"ty": "ExplicitScan", "sequence": [0.3, 0.4]}', "shots=30"),
    "RetrievedG2": ("shots=60", "repeats=1"),
    "StorageTime": ('t_storage={"ty": "ExplicitScan", "sequence": [2e-6, 1e-4]}', "shots=30"),
    "TransferRate": ('amplitude={"ty": "ExplicitScan", "sequence": [0.2, 1.0]}', "shots=2"),
    "PhaseWalk": ('t_wait={"ty": "ExplicitScan", "sequence": [2e-3, 5e-3]}', "shots=2"),
    "TrapLifetime": ('t_hold={"ty": "ExplicitScan", "sequence": [0.0, 1.0]}', "shots=2"),
    "TweezerLoading": ('t_loading={"ty": "ExplicitScan", "sequence": [1e-2, 5e-2]}', "shots=2"),
}
# Calibrate's datasets say the time of day; its children are the other experiments (test_real_artiq_scan.py). The lock's
# quality is measured through its electronics alone: there is no RTIO event to compare.
NOT_HERE = ("Calibrate", "CavityLockQuality")
SCENARIOS = {  # where the default lab does not do
    "PhaseWalk": "one_photon",
    **dict.fromkeys(("ControlDelay", "ControlDetuning", "ControlPower", "RetrievedG2", "StorageTime"), "memory"),
    "CzBell": "pair",
    "DistributedCircuit": "register",
    "EntanglementSwapping": "repeater",
    "LinkRates": "star4",
    "MultiplexedPort": "array",
    "ParallelLinks": "chain3",
    "Rearrangement": "array",
    "RegisterRamsey": "register",
}
Dataset = tuple[str, tuple[int, ...], bytes, dict[str, Any]]


def run(mode: str, file: str, name: str, arguments: tuple[str, ...], folder: Path) -> Path:
    """Run an experiment in a lab of its own and return the lab's folder."""
    lab = folder / mode
    lab.mkdir()
    shutil.copy(ROOT / "device_db.py", lab)
    shutil.copy(ROOT / file, lab)
    real_artiq.run([str(SCRIPT), mode, Path(file).name, name, *arguments], lab, ATOMLINK_SEED=SEED,
                    ATOMLINK_SCENARIO=SCENARIOS.get(name, "default"))  # fmt: skip
    return lab


def events(lab: Path, runtime: str) -> list[str]:
    """Return the RTIO events of a run and its last cursor and counter."""
    first, *lines = (lab / "trace.txt").read_text().splitlines()
    assert first == f"runtime {runtime}"
    return lines


def datasets(lab: Path) -> dict[str, Dataset]:
    """Return dtype, shape, bytes and attributes of everything a run wrote below datasets/ and archive/."""
    (path,) = (*lab.glob("artiq_run.h5"), *lab.glob("results/*/*/*.h5"))
    with h5py.File(path) as file:
        return {name: _plain(item) for name, item in _items(file) if name.startswith(("datasets/", "archive/"))}


def _items(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    names: list[str] = []
    file.visit(names.append)
    yield from ((name, file[name]) for name in names if isinstance(file[name], h5py.Dataset))


def _plain(item: h5py.Dataset) -> Dataset:
    value = np.asarray(item[()])
    content = repr(item[()]).encode() if value.dtype.hasobject else value.tobytes()
    return str(item.dtype), item.shape, content, dict(item.attrs)


def first_difference(a: list[str], b: list[str]) -> str:
    """Say where two lists of events part, empty where they are the same."""
    for i, (left, right) in enumerate(zip_longest(a, b)):
        if left != right:
            return f"event {i} of {len(a)} and {len(b)}: {left!r}, {right!r}"
    return ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("file", "name", "arguments"), [row for row in experiments() if row[1] not in NOT_HERE],
                         ids=lambda value: str(value))  # fmt: skip
def test_an_experiment_does_the_same_on_real_artiq_and_pip_only(
    file: str, name: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    real_artiq.require()
    assert name in SMALL, f"{name} is new: give it arguments in SMALL that make a short run"
    labs = {mode: run(mode, file, name, (*SMALL[name], *arguments), tmp_path) for mode in MODES}
    traces = {mode: events(lab, "pip-only" if mode == "pip" else "real") for mode, lab in labs.items()}
    written = {mode: datasets(lab) for mode, lab in labs.items()}
    assert len(traces["pip"]) > 1, "nothing happened: no RTIO event"
    for mode in ("artiq_run", "atomlink"):
        assert first_difference(traces[mode], traces["pip"]) == "", mode
        assert written[mode].keys() == written["pip"].keys(), mode
        different = [key for key in written[mode] if written[mode][key] != written["pip"][key]]
        assert not different, (mode, different)


def test_atomlink_run_appends_once_to_a_broadcast_dataset_on_real_artiq(tmp_path: Path) -> None:
    """ARTIQ's own artiq_run appends twice, because its database shares the value with the experiment."""
    file = str(Path(__file__).with_name("dataset_probe.py").relative_to(ROOT))
    labs = {mode: run(mode, file, "DatasetProbe", (), tmp_path) for mode in ("atomlink", "pip")}
    written = {mode: datasets(lab) for mode, lab in labs.items()}
    assert written["atomlink"] == written["pip"]
    assert written["pip"]["datasets/live"][1] == (4, 3)
