"""Look at a lab and at an experiment before anything is made: files, classes, device rows, arguments."""

import contextlib
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from artiq.language.environment import is_experiment, is_public_experiment
from artiq.master.databases import DeviceDB
from artiq.master.worker_db import DeviceError as NoDevice
from artiq.master.worker_db import DummyDevice
from artiq.tools import file_import

from atomlink.errors import DataError, LabError, ScenarioError, UsageError
from atomlink.topology import topology_of
from sim.artiq_runtime.dataset_db import DatasetDB
from sim.command.arguments import CheckedArguments
from sim.command.device_rows import check_row
from sim.command.environment import variables
from sim.command.lab import Lab
from sim.suggest import closest
from sim.target import scenario_files, without_controllers

logger = logging.getLogger(__name__)


def load_module(file: Path) -> ModuleType:
    """Import an experiment's file as ARTIQ does, its own folder first on the path."""
    if not file.is_file():
        raise UsageError(f"no file {file}: name the file of an experiment, or see `atomlink list`")
    return file_import(str(file), prefix="artiq_worker_")


def find_class(module: ModuleType, file: Path, class_name: str | None) -> type:
    """Return the experiment class that is asked for, or the only one in the file."""
    known = {name: value for name, value in vars(module).items() if is_public_experiment(value)}
    if class_name is None and len(known) == 1:
        return next(iter(known.values()))
    listed = ", ".join(known) or "none"
    if class_name is None:
        raise UsageError(f"{file} has these experiments: {listed}; one must be named with -c Class")
    found: Any = module
    for name in class_name.split("."):
        found = getattr(found, name, None)
    if not is_experiment(found):
        hint = closest(class_name, known)
        raise UsageError(f"unknown class `{class_name}`{hint}: the experiments of {file} are {listed}")
    return found


def save(database: DatasetDB) -> None:
    """Write the persisted datasets that have changed; DataError where the disk refuses, then all are as they were."""
    import lmdb

    try:
        database.save()
    except (lmdb.Error, OSError) as error:
        raise DataError(
            f"The persistent datasets cannot be saved ({error}): free the disk. What was set through the parameter "
            "store is in params.log, and the next run brings the datasets up to date."
        ) from error


def load_device_db(lab: Lab, settings: Mapping[str, str] | None = None) -> DeviceDB:
    """Read a lab's `device_db.py`, with these settings (ATOMLINK_SCENARIO …) in the environment."""
    with variables(settings or {}):
        try:
            device_db = DeviceDB(str(lab.device_db))
        except KeyError as error:
            raise UsageError(f"{lab.device_db} defines no `device_db`, must define the dict of that name") from error
        without_controllers(device_db.get_device_db(), os.environ)
    return device_db


def check_scenario(core_row: Any, device_db: Mapping[str, Any] | None = None) -> None:
    """Refuse a scenario file that is not valid before anything is made; the shipped ones have their own test."""
    if isinstance(core_row, Mapping) and core_row.get("module") == "sim.rtio.core":
        scenario = core_row["arguments"]["scenario"]
        if scenario not in scenario_files():
            from sim.world.scenario import load_scenario

            try:
                load_scenario(scenario, topology_of(device_db or {}))
            except ScenarioError as error:
                raise ScenarioError(f"scenario {scenario}: {error}") from error


def open_dataset_db(lab: Lab) -> DatasetDB:
    """Open a lab's persisted datasets; the file is made where there is none.

    Beside a real ARTIQ, too, it is our database: ARTIQ's is for one process, the master, that has the file to itself.
    """
    import lmdb

    try:
        return DatasetDB(str(lab.dataset_db))
    except (lmdb.Error, ValueError) as error:
        raise DataError(f"{lab.dataset_db} is not readable ({error}): move it away and a new one is made") from error


class ExaminedDevices:
    """Device manager for examination: every device that exists is a dummy."""

    def __init__(self, device_db: DeviceDB) -> None:
        self.device_db = device_db

    def get_device_db(self) -> Mapping[str, Any]:
        return self.device_db.get_device_db()

    def get(self, name: str) -> Any:
        if name in ("scheduler", "ccb"):
            return DummyDevice()
        check_row(name, self.get_device_db())
        try:
            self.device_db.get(name, resolve_alias=True)
        except KeyError as error:
            raise NoDevice(f"Failed to get description of device '{name}'") from error
        return DummyDevice()


class ExaminedDatasets:
    """Dataset manager for examination: read only."""

    def __init__(self, dataset_db: DatasetDB) -> None:
        self.dataset_db = dataset_db

    def get(self, key: str, archive: bool = False) -> Any:
        return self.dataset_db.get(key)

    def get_metadata(self, key: str) -> Any:
        return self.dataset_db.get_metadata(key)


def examine(experiment: type, given: Mapping[str, Any], device_db: DeviceDB, dataset_db: DatasetDB) -> dict[str, Any]:
    """Build an experiment with dummy devices to check its arguments and device names before anything is made.

    Return the arguments as ARTIQ takes them, units worked out.

    An experiment that uses its devices in `build` fails here for that reason alone; it is then checked as it is built.
    """
    arguments = CheckedArguments(given)
    managers: tuple[Any, ...] = (ExaminedDevices(device_db), ExaminedDatasets(dataset_db), arguments, {})
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # what `build` prints is printed when it is built
            experiment(managers)
    except (LabError, NoDevice):
        raise
    except Exception as error:  # noqa: BLE001 - the real build meets it again, with real devices, and reports it
        logger.debug("examination of %s ended early: %r", experiment.__name__, error)
        return arguments.plain()
    arguments.check_all_used(experiment.__name__)
    return arguments.plain()
