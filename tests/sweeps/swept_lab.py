"""A laboratory in this process for one experiment and many seeds: the kernels are compiled once, the world is new each
time.

What a seed gives is what `atomlink run --seed` gives (`test_sweeps.py` compares); no file is written, what the
experiment prints is dropped.
"""

import contextlib
import importlib.util
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from artiq.language.scan import ScanObject
from artiq.master.worker_db import DatasetManager, DeviceManager

from analysis import schema
from analysis.load import Run
from experiments.calibration.subexperiment import load_class
from experiments.sequences.analyse_run import run_of
from sim.gateware.build import Gateware
from sim.world.scenario import load_scenario
from sim.world.world import World

ROOT = Path(__file__).resolve().parents[2]


class NoJournal:
    """Takes the place of a run's journal."""

    @classmethod
    def create(cls, *_arguments: Any, **_options: Any) -> "NoJournal":
        return cls()

    def append(self, _row: Any) -> None:
        """Drop a row."""

    def close(self, _complete: bool) -> None:
        """Do nothing."""


class _Scheduler:
    rid, priority, pipeline_name = 1, 0, "main"
    expid: Mapping[str, Any] = {}

    def check_pause(self) -> bool:
        return False

    def pause(self) -> None:
        """Nobody else is there."""


class _Shared:
    """The datasets of the lab: none is persisted, every belief has its default, but for those that are `believed`."""

    def __init__(self, believed: Mapping[str, float]) -> None:
        self.believed = dict(believed)

    def update(self, _mod: Any) -> None:
        """Nobody looks at what is broadcast."""

    def get(self, key: str) -> Any:
        return self.believed[key]

    def get_metadata(self, key: str) -> Any:
        raise KeyError(key)


class _Arguments:
    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given, self.asked = dict(given), set[str]()

    def get(self, key: str, processor: Any, _group: Any, _tooltip: Any) -> Any:
        self.asked.add(key)
        if key not in self.given:
            return processor.default()
        value = self.given[key]
        return value if isinstance(value, ScanObject) else processor.process(value)


class _Rows:
    """The device_db of this repository, as ARTIQ's device manager asks for it."""

    def __init__(self, scenario: str, seed: int) -> None:
        spec = importlib.util.spec_from_file_location("swept_device_db", ROOT / "device_db.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.rows: dict[str, Any] = module.device_db
        self.rows["core"]["arguments"] |= {"scenario": scenario, "seed": seed}

    def get_device_db(self) -> dict[str, Any]:
        return self.rows

    def get(self, name: str, resolve_alias: bool = False) -> Any:
        row = self.rows[name]
        while resolve_alias and isinstance(row, str):
            row = self.rows[row]
        return row


class SweptLab:
    """One experiment, built once; `run(seed)` runs it in a new world.

    `fresh`: build everything anew for each seed, as an experiment needs that opens instruments, which keep hold of the
    world they were opened in.
    """

    def __init__(
        self,
        experiment: str,
        arguments: Mapping[str, Any],
        scenario: str = "default",
        believed: Mapping[str, float] | None = None,
        fresh: bool = False,
    ) -> None:
        self.experiment, self.arguments, self.scenario = load_class(experiment), arguments, scenario
        self.believed, self.fresh = dict(believed or {}), fresh
        self.made: Any = None

    def run(self, seed: int) -> Run:
        """Return the run of one seed, as its analysis twin takes it."""
        if self.made is None or self.fresh:
            self._build(seed)
        else:
            self._renew(seed)
        with _quiet():
            self.made.run()
            self.devices.notify_run_end()
        return run_of(self.made, {**self.datasets.archive, **self.datasets.local})

    @property
    def world(self) -> World:
        """Return the world of the last seed."""
        world: World = self.devices.get("core").world
        return world

    def _build(self, seed: int) -> None:
        devices = {"scheduler": _Scheduler(), "ccb": SimpleNamespace(issue=lambda *_a, **_k: None)}
        self.devices = DeviceManager(_Rows(self.scenario, seed), virtual_devices=devices)
        self.datasets, given = DatasetManager(_Shared(self.believed)), _Arguments(self.arguments)
        with _quiet():
            self.made = self.experiment((self.devices, self.datasets, given, {}))
            self.made.prepare()
        self.prepared = dict(self.datasets.local)  # the beliefs
        surplus = self.arguments.keys() - given.asked
        assert not surplus, f"{self.experiment.__name__} has no argument {', '.join(sorted(surplus))}"

    def _renew(self, seed: int) -> None:
        """Put a new world below the compiled kernels; they know the bus, and the bus starts afresh."""
        core = self.devices.get("core")
        core.dmgr.get_device_db()["core"]["arguments"]["seed"] = seed
        gateware: Any = Gateware(core.dmgr.get_device_db(), World(load_scenario(self.scenario), seed))
        core.bus.__init__(gateware, core.costs, core.ref_multiplier)
        self.datasets.local.clear()
        self.datasets.local.update(self.prepared)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with (
        mock.patch("experiments.sequences.recorder.Journal", NoJournal),
        mock.patch("drivers.interlock_log.InterlockLog._write"),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield


def to_json(run: Run) -> str:
    """Return what the analysis needs of a run, on one line."""
    plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in run.datasets.items()}
    return json.dumps({"class_name": run.class_name, "datasets": plain})


def from_json(text: str) -> Run:
    """Return the run again."""
    kept = json.loads(text)
    datasets = {key: _value(key, value) for key, value in kept["datasets"].items()}
    return Run(path=Path(), rid=1, class_name=kept["class_name"], start_time=0.0, run_time=0.0, artiq_version="",
               expid={}, datasets=datasets, archive={}, metadata={})  # fmt: skip


def _value(key: str, value: Any) -> Any:
    if key in schema.BY_KEY:
        return schema.array(key, value)
    return np.asarray(value) if isinstance(value, list) else value
