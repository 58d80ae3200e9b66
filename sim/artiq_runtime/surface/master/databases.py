"""The device database (a Python file); the dataset database is in `sim/artiq_runtime/dataset_db.py`."""

import os
from typing import Any

from artiq.tools import file_import

from sim.artiq_runtime.dataset_db import DatasetDB
from sim.artiq_runtime.sync_struct import Notifier, update_from_dict

__all__ = ["DatasetDB", "DeviceDB", "device_db_from_file"]


def device_db_from_file(filename: str | os.PathLike[str]) -> dict[str, Any]:
    """Return `device_db` of a Python file; KeyError if the file does not define it."""
    return vars(file_import(filename))["device_db"]


class DeviceDB:
    """The devices of a laboratory: name to description, or name to another name (an alias)."""

    def __init__(self, backing_file: str | os.PathLike[str]) -> None:
        self.backing_file = backing_file
        self.data = Notifier(device_db_from_file(backing_file))

    def scan(self) -> None:
        """Read the file again."""
        update_from_dict(self.data, device_db_from_file(self.backing_file))

    def get_device_db(self) -> dict[str, Any]:
        """Return all descriptions."""
        return self.data.raw_view

    def get(self, key: str, resolve_alias: bool = False) -> Any:
        """Return the description of a device, following aliases if asked to; KeyError if there is none."""
        desc = self.data.raw_view[key]
        seen = {key}
        while resolve_alias and isinstance(desc, str):
            if desc in seen:
                raise KeyError(f"{desc}: alias of itself")
            seen.add(desc)
            desc = self.data.raw_view[desc]
        return desc

    def get_satellite_cpu_target(self, destination: int) -> Any:
        """Return which CPU the satellite of that number has."""
        return self.data.raw_view["satellite_cpu_targets"][destination]
