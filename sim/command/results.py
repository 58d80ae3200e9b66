"""The results file of a run, in ARTIQ's layout and with a digest: a name that exists is a whole file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.artiq_runtime import pyon

LAYOUT = ("artiq_version", "rid", "start_time", "run_time")


def write_results(path: Path, dataset_mgr: Any, header: Mapping[str, Any]) -> list[str]:
    """Write the datasets and the description of a run; return what HDF5 could not hold and was left out.

    DataError, with what to do, where the disk refuses. `header` has ARTIQ's artiq_version, rid, start_time, run_time,
    expid; what else it has becomes attributes.
    """
    import h5py  # 100 ms: only when there is something to write

    from analysis.archive import write_hdf5

    refused = _take_out_unwritable(h5py, dataset_mgr)

    def fill(file: Any) -> None:
        dataset_mgr.write_hdf5(file)
        for key in LAYOUT:
            file[key] = header[key]
        file["expid"] = pyon.encode(header["expid"])
        for key in header.keys() - {*LAYOUT, "expid"}:
            file.attrs[key] = header[key] if isinstance(header[key], str) else pyon.encode(header[key])

    write_hdf5(path, fill, _remedy(path))
    return refused


def _remedy(path: Path) -> str:
    if not path.with_suffix(".journal").is_file():
        return ""
    return f"free the disk, then `atomlink recover {path.with_suffix('.journal')}` writes it from its journal"


def _take_out_unwritable(h5py: Any, dataset_mgr: Any) -> list[str]:
    """Remove datasets that HDF5 refuses, so that one bad value does not lose the shots; return what and why."""
    refused = []
    with h5py.File("trial", "w", driver="core", backing_store=False) as trial:
        for kind, store in (("dataset", dataset_mgr.local), ("archived dataset", dataset_mgr.archive)):
            for key in list(store):
                try:
                    trial[f"{kind}/{key}"] = store[key]
                except (TypeError, ValueError, OSError, RuntimeError, KeyError, OverflowError) as error:
                    why = str(error).splitlines() or [type(error).__name__]
                    refused.append(f"{kind} `{ascii(key)[1:-1]}` ({why[0]})")
                    del store[key]
    return refused
