"""Write a results file in ARTIQ's layout, whole or not at all: `datasets/`, `archive/`, rid, start_time, run_time,
expid, and the digest of it all.

Source: ARTIQ 8's results files, as its master writes them at the end of an experiment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py

from analysis import digest, schema
from analysis.load import BusyError, Run, load
from atomlink.errors import DataError
from atomlink.files import write_whole

RESULT_FIELDS = ("artiq_version", "start_time", "run_time")
BLOCK = 2**20  # bytes by which a file in memory grows
# What HDF5 raises at a name or a value that it cannot hold.
REFUSALS = (TypeError, ValueError, OSError, RuntimeError, KeyError, OverflowError)


def state_of(results: Path) -> tuple[str, Run | None]:
    """Return whether a results file is missing, good, busy (being written) or unreadable; and the run in a good one."""
    if not results.exists():
        return "missing", None
    try:
        return "good", load(results)
    except BusyError:
        return "busy", None
    except DataError:
        return "unreadable", None


def write_hdf5(path: Path, fill: Callable[[h5py.File], None], remedy: str = "") -> None:
    """Let `fill` make a file, in memory, and write it with its digest; DataError where the disk refuses.

    In memory, because HDF5 cannot get rid of a file that the disk had no room for.
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False, block_size=BLOCK) as file:
        fill(file)
        digest.seal(file)
        file.flush()
        image = file.id.get_file_image()
    write_whole(path, image, remedy)


def write_results(
    results: Path, header: Mapping[str, Any], datasets: Mapping[str, Any], units: Mapping[str, Mapping[str, Any]] = {}
) -> list[str]:
    """Write a results file; `header` is a journal's, `units` the attributes of datasets beside the schema's.

    What HDF5 cannot hold under its name or as it is is written as `odd.NAME`, as JSON text; those names are returned.
    """
    odd: list[str] = []
    write_hdf5(results, lambda file: odd.extend(_fill(file, header, datasets, units)))
    return odd


def _fill(
    file: h5py.File, header: Mapping[str, Any], datasets: Mapping[str, Any], units: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    group, archive = file.create_group("datasets"), file.create_group("archive")
    odd = []
    for key, value in datasets.items():
        refused = _place(group, key, value)
        odd += refused
        if not refused:
            unit = {"unit": schema.BY_KEY[key].unit} if key in schema.BY_KEY and schema.BY_KEY[key].unit else {}
            group[key].attrs.update({**unit, **units.get(key, {})})
    for key, value in header.get("archive", {}).items():
        odd += _place(archive, key, schema.stored(key, value))
    defaults = {"artiq_version": "unknown", "start_time": header["created"], "run_time": header["created"]}
    for field in RESULT_FIELDS:
        file[field] = header.get(field, defaults[field])
    file["rid"] = header["rid"]
    expid = header.get("expid", {"class_name": header["class_name"], "arguments": {}})
    file["expid"] = expid if isinstance(expid, str) else json.dumps(expid, separators=(",", ":"))
    return odd


def _place(group: h5py.Group, key: str, value: Any) -> list[str]:
    """Write a dataset; where HDF5 refuses its name or value, write it as text under a name that can be."""
    try:
        if not _is_name(key):
            raise ValueError(key)
        group[key] = value
    except REFUSALS:
        plain = value.tolist() if hasattr(value, "tolist") else value
        group[odd_name(key)] = json.dumps(plain, default=ascii)
        return [odd_name(key)]
    return []


def _is_name(key: str) -> bool:
    """Return whether HDF5 gives a dataset this name: it cuts one with NUL, and reads `/` and `.` as places."""
    return schema.is_storable(key) and not {"", "."} & set(key.split("/"))


def odd_name(key: str) -> str:
    """Return under which name a dataset is written that HDF5 refuses."""
    return "odd." + ascii(key)[1:-1].replace("/", "%2F")
