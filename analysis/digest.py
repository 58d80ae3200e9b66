"""Tell whether what a results file holds is what was written into it.

Where we write the file it has, beside ARTIQ's groups, a dataset `digest`: JSON text with a checksum of everything else
(values with dtype, shape and attributes), by path; the root's attribute `digest` is the checksum of that text. ARTIQ's
own master writes neither; there the experiments' archive step sets the dataset `run.digest`, checksums of the datasets
that it has set. A file with neither is not damaged for that: nobody can say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from atomlink.errors import DataError

if TYPE_CHECKING:
    import h5py

NAME = "digest"  # of the dataset and of the root's attribute
EXPERIMENT = "run.digest"  # what an experiment's archive step sets
CHECKED, PARTLY, UNCHECKED = "checked", "checked in part", "unchecked"


class Item(NamedTuple):
    """A dataset as it was read, and its attributes."""

    value: Any
    attributes: Mapping[str, Any]


def of(value: Any) -> str:
    """Return the checksum (16 hex digits) of a value; the same before it is written and after it was read."""
    checksum = hashlib.sha256()
    _feed(checksum, value)
    return checksum.hexdigest()[:16]


def text(values: Mapping[str, Any]) -> str:
    """Return the JSON text of the checksums of values, by name."""
    return json.dumps({key: of(value) for key, value in sorted(values.items())}, separators=(",", ":"))


def contents(file: h5py.File) -> dict[str, Item]:
    """Read every dataset of a file, by path, and the root's attributes as those of `.`."""
    found = {".": Item(b"", dict(file.attrs))}

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "shape"):  # a dataset
            found[name] = Item(item[()], dict(item.attrs))

    file.visititems(visit)
    return found


def seal(file: h5py.File) -> None:
    """Write the digest of all that a file holds into it."""
    made = json.dumps(_checksums(contents(file)), separators=(",", ":"))
    file[NAME] = made
    file.attrs[NAME] = of(made)


def check(found: Mapping[str, Item]) -> str:
    """Return how far the contents of a file have been checked; DataError where they are not what was written."""
    mark = found["."].attributes.get(NAME)
    if mark is None and NAME not in found:
        return _check_experiments(found)
    if mark is None or NAME not in found or of(found[NAME].value) != _plain(mark):
        raise DataError("its digest is spoiled")
    _compare(json.loads(_plain(found[NAME].value)), _checksums(found))
    return CHECKED


def _check_experiments(found: Mapping[str, Item]) -> str:
    """Check what experiments have said of their datasets; the parts of a calibration pass say it each."""
    covered = 0
    for path in found:
        group, name = path.rpartition(EXPERIMENT)[::2]
        if name or not group.startswith("datasets/") or not group.endswith(("/", ".")):
            continue
        said = json.loads(_plain(found[path].value))
        known = {f"{group}{key}": checksum for key, checksum in said.items()}
        _compare(known, {key: of(found[key].value) for key in known if key in found})
        covered += 1 + len(known)
    rest = sum(path.startswith(("datasets/", "archive/")) for path in found) - covered
    return UNCHECKED if not covered else PARTLY if rest else CHECKED


def _compare(known: Mapping[str, str], now: Mapping[str, str]) -> None:
    differ = [path for path, checksum in known.items() if now.get(path) != checksum]
    if differ:
        more = f" and {len(differ) - 1} more" if len(differ) > 1 else ""
        raise DataError(f"`{differ[0]}`{more} is not what was written")


def _checksums(found: Mapping[str, Item]) -> dict[str, str]:
    return {path: _of_item(item) for path, item in found.items() if path != NAME}


def _of_item(item: Item) -> str:
    checksum = hashlib.sha256()
    _feed(checksum, item.value)
    for name, value in sorted(item.attributes.items()):
        if name != NAME:
            _feed(checksum, name)
            _feed(checksum, value)
    return checksum.hexdigest()[:16]


def _feed(checksum: Any, value: Any) -> None:
    if isinstance(value, str | bytes):
        content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        checksum.update(b"text %d " % len(content) + content)
        return
    array = np.asarray(value)
    kind = "text" if array.dtype.kind in "OU" else array.dtype.str
    checksum.update(f"{kind} {array.shape} ".encode())
    if array.dtype.kind in "biufcS" and array.dtype.char not in "gG":  # a long double has bytes without meaning
        checksum.update(np.ascontiguousarray(array).tobytes())
    elif kind == "text" and array.shape:
        for entry in array.flat:
            _feed(checksum, entry)
    else:
        checksum.update(repr(value).encode("utf-8", "backslashreplace"))


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
