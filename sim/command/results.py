"""The results file of a run, in ARTIQ's layout, written aside and renamed: a name that exists is a whole file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.artiq_runtime import pyon

LAYOUT = ("artiq_version", "rid", "start_time", "run_time")


def write_results(path: Path, dataset_mgr: Any, header: Mapping[str, Any]) -> list[str]:
    """Write the datasets and the description of a run; return what HDF5 could not hold and was left out.

    `header` has ARTIQ's artiq_version, rid, start_time, run_time, expid; what else it has becomes attributes.
    """
    import h5py  # 100 ms: only when there is something to write

    refused = _take_out_unwritable(h5py, dataset_mgr)
    scratch = path.with_name(f".{path.name}.tmp")
    with h5py.File(scratch, "w") as file:
        dataset_mgr.write_hdf5(file)
        for key in LAYOUT:
            file[key] = header[key]
        file["expid"] = pyon.encode(header["expid"])
        for key in header.keys() - {*LAYOUT, "expid"}:
            file.attrs[key] = header[key] if isinstance(header[key], str) else pyon.encode(header[key])
    _flush_to_disk(scratch)
    scratch.replace(path)
    return refused


def _take_out_unwritable(h5py: Any, dataset_mgr: Any) -> list[str]:
    """Remove datasets that HDF5 refuses, so that one bad value does not lose the shots; return what and why."""
    refused = []
    with h5py.File("trial", "w", driver="core", backing_store=False) as trial:
        for kind, store in (("dataset", dataset_mgr.local), ("archived dataset", dataset_mgr.archive)):
            for key in list(store):
                try:
                    trial[f"{kind}/{key}"] = store[key]
                except (TypeError, ValueError, OSError) as error:
                    refused.append(f"{kind} `{key}` ({str(error).splitlines()[0]})")
                    del store[key]
    return refused


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
