"""Masked arrays: what is masked is no data. Numpy's `asarray` forgets the mask, so it is looked at before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from atomlink.errors import DataError


def is_masked(values: Any) -> bool:
    """Return whether an entry of an array is masked."""
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.getmaskarray(values).any())


def floats(*columns: Any) -> tuple[npt.NDArray[np.float64], ...]:
    """Return columns as float arrays, shape (n,), without the rows in which one of them is masked.

    Columns of another length than the first are returned whole, for their reader to refuse.
    """
    flat = [np.asarray(column, dtype=float).ravel() for column in columns]
    keep = np.ones(len(flat[0]), dtype=bool)
    for column, values in zip(columns, flat, strict=True):
        if is_masked(column) and len(values) == len(keep):
            keep &= ~np.ma.getmaskarray(column).ravel()
    return tuple(values[keep] if len(values) == len(keep) else values for values in flat)


def refuse(name: str, values: Any) -> None:
    """Raise DataError where an entry is masked: for arrays of which none can be left out."""
    if is_masked(values):
        raise DataError(f"`{name}` has masked entries, which would be taken for data: leave them out, as "
                        "`values.compressed()` does.")  # fmt: skip
