"""Rows of a `device_db.py`, checked before their device is made: a missing key is one line, not a traceback.

Only what is asked for is checked: a row that nobody asks for, or an alias of one that was taken out, stops nobody.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from atomlink.errors import UsageError

# What ARTIQ's device manager reads without a default; controllers also serve the controller manager.
REQUIRED = {
    "local": ("module", "class"),
    "controller": ("host", "port"),
    "controller_aux_target": ("controller", "target_name"),
    "dummy": (),
}


def faults(device_db: Mapping[str, Any]) -> Iterator[str]:
    """Go through what is wrong with the rows of a device database, one line each."""
    for name in device_db:
        try:
            if name != "satellite_cpu_targets":  # ARTIQ keeps this table among the devices
                check_row(name, device_db)
        except UsageError as error:
            yield str(error)


def check_row(name: str, device_db: Mapping[str, Any]) -> None:
    """Refuse a row that lacks a key, or an alias of what does not exist; a name without a row is not looked at."""
    if name not in device_db:
        return
    seen = []
    while isinstance(row := device_db[name], str):
        seen.append(name)
        if row not in device_db or row in seen:
            what = "and so of itself" if row in seen else "which must be a row and is not"
            raise UsageError(f"device_db.py: row `{name}` is an alias of `{row}`, {what}")
        name = row
    where = f"device_db.py: row `{name}`"
    if not isinstance(row, Mapping):
        raise UsageError(f"{where} is {row!r}, must be a dict or the name of another row")
    if "type" not in row:
        raise UsageError(f"{where} lacks the key `type`, must be one of: {', '.join(REQUIRED)}")
    if row["type"] not in REQUIRED:
        raise UsageError(f"{where} has type {row['type']!r}, must be one of: {', '.join(REQUIRED)}")
    for key in REQUIRED[row["type"]]:
        if key not in row:
            raise UsageError(f"{where} lacks the key `{key}`, which every row of type `{row['type']}` must have")
