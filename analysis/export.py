"""A run for other tools: its tables as CSV, or all of it as an xarray dataset (which writes netCDF).

A *table* is what has one row per shot or per point: the datasets of one prefix (`shots`, `scan`, `hom`) whose first
axis has the same length. Columns with further axes become several, `counts[0]`, `counts[1]` …
"""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run
from atomlink.errors import DataError
from atomlink.files import replacing

TABLES = ("shots", "scan", "hom")
WIDEST = 1000  # columns of a table
INSTEAD = "export all of it with `atomlink export --netcdf`, or with to_xarray() in Python"


def tables(run: Run) -> dict[str, dict[str, np.ndarray]]:
    """Return the tables of a run by prefix: columns by name, each of shape (rows,)."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for prefix in TABLES:
        arrays = {key.removeprefix(f"{prefix}."): np.asarray(value) for key, value in run.datasets.items()
                  if key.startswith(f"{prefix}.") and np.ndim(value) > 0}  # fmt: skip
        if arrays:
            found[prefix] = _columns(prefix, arrays)
    return found


def to_csv(run: Run, folder: str | os.PathLike[str]) -> list[Path]:
    """Write one CSV file per table, `{rid:09}-{Class}-{prefix}.csv`, units in the header; return their paths."""
    found = tables(run)
    if not found:
        raise DataError(f"Run {run.label} has no table of {', '.join(TABLES)}: {INSTEAD}.")
    written = []
    for prefix, columns in found.items():
        path = Path(folder) / f"{run.rid:09}-{run.class_name}-{prefix}.csv"
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([_header(run, prefix, name) for name in columns])
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
        written.append(path)
    return written


def to_netcdf(run: Run, folder: str | os.PathLike[str]) -> Path:
    """Write everything as `{rid:09}-{Class}.nc` (netCDF 3, which scipy writes) and return its path."""
    path = Path(folder) / f"{run.rid:09}-{run.class_name}.nc"
    dataset = to_xarray(run)
    wide = {name: dataset[name].astype("float64") for name in dataset if dataset[name].dtype == "int64"}
    with replacing(path) as temporary:
        # netCDF 3 has no 64-bit integers; 2^53 ns are 104 days
        dataset.assign(wide).to_netcdf(temporary, engine="scipy")
    return path


def to_xarray(run: Run) -> Any:
    """Return an `xarray.Dataset`: tables along `shots`, `scan` or `hom`, the rest as it is, units as attributes.

    Names have `_` in place of `.`, so that they read as attributes. DataError without xarray.
    """
    try:
        import xarray
    except ImportError:
        raise DataError("xarray is not installed: pip install 'atomlink[notebook]', or export CSV.") from None
    variables = {}
    for key, value in run.datasets.items():
        prefix = key.partition(".")[0]
        array = np.asarray(value)
        first = [prefix] if prefix in TABLES and array.ndim else [f"{key}_0"] if array.ndim else []
        dimensions = first + [f"{key}_{axis}" for axis in range(1, array.ndim)]
        name = key.replace(".", "_")
        variables[name] = xarray.Variable([d.replace(".", "_") for d in dimensions], array, {"unit": _unit(run, key)})
    lengths = {key: max(v.shape[0] for v in variables.values() if v.dims[:1] == (key,)) for key in TABLES
               if any(v.dims[:1] == (key,) for v in variables.values())}  # fmt: skip
    for name, variable in variables.items():  # a list that is no column of its prefix's table has an axis of its own
        if variable.dims and variable.dims[0] in lengths and variable.shape[0] != lengths[variable.dims[0]]:
            variables[name] = xarray.Variable((f"{name}_0", *variable.dims[1:]), variable.values, variable.attrs)
    about = {"rid": run.rid, "class_name": run.class_name, "start_time": run.start_time}
    return xarray.Dataset(variables, attrs=about)


def _columns(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keep what has the longest first axis, and spread further axes out."""
    rows = max(len(array) for array in arrays.values())
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if len(array) != rows:
            continue
        flat = array.reshape(rows, math.prod(array.shape[1:]))
        for column, place in enumerate(np.ndindex(array.shape[1:])):
            index = "".join(f"[{k}]" for k in place)
            columns[f"{name}{index}"] = flat[:, column]
        if len(columns) > WIDEST:
            raise DataError(f"Table `{prefix}` has more than {WIDEST} columns (`{name}`): {INSTEAD}.")
    return columns


def _unit(run: Run, key: str) -> str:
    return str(run.metadata.get(key, {}).get("unit", ""))


def _header(run: Run, prefix: str, name: str) -> str:
    unit = _unit(run, f"{prefix}.{name.partition('[')[0]}")
    return f"{name} ({unit})" if unit else name
