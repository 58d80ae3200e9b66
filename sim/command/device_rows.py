"""Rows of a `device_db.py`, checked before a device is made: a missing key is one line, not a traceback."""

from collections.abc import Mapping
from typing import Any

from atomlink.errors import UsageError

# What ARTIQ's device manager reads without a default; controllers also serve the controller manager.
REQUIRED = {
    "local": ("module", "class"),
    "controller": ("host", "port"),
    "controller_aux_target": ("controller", "target_name"),
    "dummy": (),
}


def check_rows(device_db: Mapping[str, Any]) -> None:
    """Refuse a device database in which a row lacks a key or names what does not exist."""
    for name, row in device_db.items():
        _check_row(name, row, device_db)


def _check_row(name: str, row: Any, device_db: Mapping[str, Any]) -> None:
    where = f"device_db.py: row `{name}`"
    if name == "satellite_cpu_targets":  # ARTIQ keeps this table among the devices
        return
    if isinstance(row, str):
        if row not in device_db:
            raise UsageError(f"{where} is an alias of `{row}`, which must be a row and is not")
        return
    if not isinstance(row, Mapping):
        raise UsageError(f"{where} is {row!r}, must be a dict or the name of another row")
    if "type" not in row:
        raise UsageError(f"{where} lacks the key `type`, must be one of: {', '.join(REQUIRED)}")
    if row["type"] not in REQUIRED:
        raise UsageError(f"{where} has type {row['type']!r}, must be one of: {', '.join(REQUIRED)}")
    for key in REQUIRED[row["type"]]:
        if key not in row:
            raise UsageError(f"{where} lacks the key `{key}`, which every row of type `{row['type']}` must have")
