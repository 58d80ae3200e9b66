"""Whose beliefs they are: the hardware's, or those of one simulated lab for each scenario.

A belief of the simulated lab `default` is the dataset `param.NAME`; in every other lab the lab's name comes before it:
`lab.drifting.param.NAME`, `lab.hardware.param.NAME`; the histories likewise, `params.log`, `params.drifting.log`. So
they are plain ARTIQ datasets under ARTIQ's master, too, and no lab sees those of another. In a results file they are
`param.NAME`, whichever lab it was. Why so: docs/decisions/0003-beliefs-of-labs.md.
"""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from drivers.parameter_log import lab_folder

_HARDWARE = "hardware"
_HOME = "default"
_LONGEST = 40  # letters of a scenario file's name


@dataclass(frozen=True)
class LabName:
    """The name of a lab, as datasets and files have it."""

    name: str

    def key(self, key: str) -> str:
        """Return the name of the dataset that all runs in this lab share."""
        return key if self.name == _HOME else f"lab.{self.name}.{key}"

    def file(self, file: str) -> str:
        """Return the name of this lab's file: `params.drifting.log` for `params.log`."""
        stem, dot, suffix = file.rpartition(".")
        return file if self.name == _HOME else f"{stem}.{self.name}{dot}{suffix}"

    def __str__(self) -> str:
        """Return the name as it is shown."""
        return self.name if self.name == _HARDWARE else f"{self.name} (simulated)"


HOME, HARDWARE = LabName(_HOME), LabName(_HARDWARE)


def of_scenario(scenario: str, folder: Path) -> LabName:
    """Return the lab that simulates a scenario: a shipped one by its name, a file by its own and its place.

    `folder` is the lab's root; what lies in it keeps its beliefs when the whole folder moves.
    """
    path = Path(scenario)
    if not path.is_absolute():
        return LabName(scenario)
    place = path.relative_to(folder) if path.is_relative_to(folder) else path
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem)[:_LONGEST]
    return LabName(f"{stem}-{zlib.crc32(str(place).encode()):08x}")


def of(experiment: Any) -> LabName:
    """Return the lab in which an experiment runs."""
    manager = getattr(experiment, "_HasEnvironment__device_mgr", None)  # every part of a run has the same one
    if manager is None:
        return HOME  # nothing it does reaches a lab
    if manager not in _known:
        made_with = simulation(experiment)
        if made_with is None:
            _known[manager] = HARDWARE
        else:
            _known[manager] = of_scenario(str(made_with.get("scenario", _HOME)), lab_folder())
    return _known[manager]


_known: WeakKeyDictionary[Any, LabName] = WeakKeyDictionary()  # asking a master for its device_db takes a while


def simulation(experiment: Any) -> dict[str, Any] | None:
    """Return what the core of an experiment's simulated lab was made with, None for the hardware."""
    rows = experiment.get_device_db()
    row = rows["core"]
    while isinstance(row, str):  # an alias
        row = rows[row]
    if row.get("module") == "artiq.coredevice.core":
        return row.get("simulated")  # the virtual core's: it runs the compiled kernel in a simulated lab
    return {**row.get("arguments", {}), **_expid(experiment).get("devarg_override", {}).get("core", {})}


def _expid(experiment: Any) -> dict[str, Any]:
    """Return how the run was submitted: the dashboard and artiq_client can override a device's arguments."""
    from artiq.master.worker_db import DeviceError  # here, because histories are also read where there is no ARTIQ

    try:
        scheduler = experiment.get_device("scheduler")
    except DeviceError:  # carried out without any
        return {}
    return getattr(scheduler, "expid", None) or {}
