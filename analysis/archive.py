"""Write a results file in ARTIQ's layout, whole or not at all: `datasets/`, `archive/`, rid, start_time, run_time,
expid.

Source: ARTIQ 8's results files, as its master writes them at the end of an experiment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from analysis import schema

RESULT_FIELDS = ("artiq_version", "start_time", "run_time")


def state_of(results: Path) -> str:
    """Return whether a results file is missing, good, busy (being written) or unreadable."""
    if not results.exists():
        return "missing"
    try:
        with h5py.File(results, "r") as file:
            return "good" if "datasets" in file else "unreadable"
    except BlockingIOError:
        return "busy"
    except OSError:
        return "unreadable"


def write_results(results: Path, header: Mapping[str, Any], datasets: Mapping[str, Any]) -> None:
    """Write a temporary file and rename it; `header` is a journal's."""
    temporary = results.with_name(f".{results.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w") as file:
            _fill(file, header, datasets)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, results)
    finally:
        temporary.unlink(missing_ok=True)


def _fill(file: h5py.File, header: Mapping[str, Any], datasets: Mapping[str, Any]) -> None:
    group = file.create_group("datasets")
    for key, value in datasets.items():
        group[key] = value
        if key in schema.BY_KEY and schema.BY_KEY[key].unit:
            group[key].attrs["unit"] = schema.BY_KEY[key].unit
    archive = file.create_group("archive")
    for key, value in header.get("archive", {}).items():
        archive[key] = schema.stored(key, value)
    defaults = {"artiq_version": "unknown", "start_time": header["created"], "run_time": header["created"]}
    for field in RESULT_FIELDS:
        file[field] = header.get(field, defaults[field])
    file["rid"] = header["rid"]
    expid = header.get("expid", {"class_name": header["class_name"], "arguments": {}})
    file["expid"] = expid if isinstance(expid, str) else json.dumps(expid, separators=(",", ":"))
