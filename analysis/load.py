"""Read a results file, written by ARTIQ or by its pip-only runtime, into plain values.

Layout (ARTIQ 8): `datasets/`, `archive/`, `artiq_version`, `rid`, `start_time`, `run_time`, `expid` (PYON text). A
file of `artiq_run -o` has the two groups alone; rid and class then come from its name.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from analysis import digest, old_files
from atomlink.errors import DataError
from atomlink.heralds import FOUR
from atomlink.link_name import LinkName
from atomlink.old_names import today

NODES_KEYS = ("scan.nodes", "link.nodes", "hom.nodes", "images.nodes", "pairs.nodes")
DETECTORS_KEYS = ("link.detectors", "scan.detectors")
LINK_KEYS = ("link.name", "scan.link", "hom.link", "pairs.name")
FILE_NAME = re.compile(r"(?P<rid>\d+)-(?P<class_name>\w+)$")


class BusyError(DataError):
    """Another process writes the file."""


@dataclass(frozen=True)
class Run:
    """One run: `datasets` and `archive` by key (arrays, numpy scalars, str), `metadata` their attributes (unit …)."""

    path: Path
    rid: int
    class_name: str
    start_time: float
    run_time: float
    artiq_version: str
    expid: Mapping[str, Any]
    datasets: Mapping[str, Any]
    archive: Mapping[str, Any]
    metadata: Mapping[str, Mapping[str, Any]]
    integrity: str = digest.UNCHECKED  # what the file's digest said of it, see analysis/digest.py

    @property
    def label(self) -> str:
        """Return what figures carry: `RID 12 RemoteEntanglement`."""
        return f"RID {self.rid} {self.class_name}"

    @property
    def date(self) -> str:
        """Return the local start time, or `unknown` where the file does not say."""
        return datetime.fromtimestamp(self.start_time).strftime("%Y-%m-%d %H:%M:%S") if self.start_time else "unknown"

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the nodes of the run, in the order of its axes of nodes; DataError where the file does not say."""
        found = next((self.datasets[key] for key in NODES_KEYS if key in self.datasets), None)
        if found is None:
            raise DataError(f"Run {self.label} does not say which nodes it is of: it has no {' or '.join(NODES_KEYS)}.")
        return tuple(str(found).split(","))

    @property
    def link(self) -> LinkName:
        """Return the link of the run; DataError where the file does not say."""
        found = next((self.datasets[key] for key in LINK_KEYS if key in self.datasets), None)
        if found is None:
            raise DataError(f"Run {self.label} does not say which link it is of: it has no {' or '.join(LINK_KEYS)}.")
        return LinkName.parse(str(found))

    @property
    def detectors(self) -> tuple[str, ...]:
        """Return the roles of the station's detectors, in the order of a pattern's bits."""
        return tuple(next((str(self.datasets[key]) for key in DETECTORS_KEYS if key in self.datasets),
                          ",".join(FOUR)).split(","))  # fmt: skip

    @property
    def scheme(self) -> str:
        """Return the heralding scheme of the run's station."""
        return self.text("link.scheme", "polarisation")

    def text(self, key: str, default: str = "") -> str:
        """Return a run-level string."""
        return str(self.datasets.get(key, default))

    def belief(self, *keys: str) -> Any:
        """Return the first of these that the run set or read (ARTIQ archives what an experiment reads), else None.

        A belief that the run itself changed at its end is returned as it was before (`fit.previous.*`).
        """
        before = [f"fit.previous.{key}" for key in keys]
        changed = next((self.datasets[key] for key in before if key in self.datasets), None)
        if changed is not None:
            return changed
        found = (store[key] for key in keys for store in (self.datasets, self.archive) if key in store)
        return next(found, None)


def load(source: int | str | os.PathLike[str], results: str | os.PathLike[str] | None = None) -> Run:
    """Return the run in a results file; DataError (one line) where it is not one.

    `source` is the file, or the run's number: then it is looked for in `results`, by default the folder `results` that
    is nearest above the working directory.
    """
    path = find(source, results) if isinstance(source, int) else Path(source)
    if not Path(path).is_file():
        raise DataError(f"Results file `{path}` does not exist: give the .h5 file of a run.")
    return _open(Path(path))


def _open(path: Path) -> Run:
    import h5py  # here: `import analysis` alone must stay fast

    try:
        opened = h5py.File(path, "r")
    except BlockingIOError:
        raise BusyError(f"Results file `{path}` is being written: wait for its run to end.") from None
    except Exception as error:  # noqa: BLE001 - as below
        raise DataError(
            f"Results file `{path}` is not readable HDF5 ({_first_line(error)}): {_remedy(path)}."
        ) from None
    try:
        with opened as file:
            found = digest.contents(file)
            groups = [name for name in file if hasattr(file[name], "visititems")]
        integrity = digest.check(found)
    except Exception as error:  # noqa: BLE001 - HDF5 answers damage with any exception that there is
        raise DataError(f"Results file `{path}` is damaged ({_first_line(error)}): {_remedy(path)}.") from None
    if "datasets" not in groups:
        raise DataError(f"File `{path}` is not an ARTIQ results file: it must have a group `datasets`.")
    try:
        return replace(_read(path, found), integrity=integrity)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"Results file `{path}` is not laid out as ARTIQ does it: {_first_line(error)}.") from None


def _first_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__


def _remedy(path: Path) -> str:
    journal = path.with_suffix(".journal")
    if journal.is_file():
        return f"`atomlink recover {path}` writes it anew from its journal"
    return "it has no journal beside it from which `atomlink recover` could write it anew, so restore it from a copy"


def find(rid: int, results: str | os.PathLike[str] | None = None) -> Path:
    """Return the results file of a run's number; DataError where there is none."""
    folder = _results_folder() if results is None else Path(results)
    found = sorted(folder.glob(f"????-??-??/*/{rid:09}-*.h5"))
    if not found:
        raise DataError(f"Run {rid} has no results file in {folder}: give its number as `atomlink run` printed it, or "
                        "another `results`.")
    return ([path for path in found if whole_of(path) is None] or found)[-1]


def whole_of(path: Path) -> Path | None:
    """Return the results file of the run of which this file (or journal) holds a part; None where there is none.

    The parts of a calibration pass have its number, and its name before their own: `…52-Calibrate_imaging_check`.
    """
    name, part, _ = path.stem.partition("_")
    whole = path.with_name(f"{name}.h5")
    return whole if part and whole.is_file() else None


def _results_folder() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "results").is_dir():
            return folder / "results"
    raise DataError(f"There is no folder `results` in or above {here}: work inside a lab's folder, or name it with "
                    "`results`.")


def _read(path: Path, found: Mapping[str, digest.Item]) -> Run:
    datasets, archive = _group("datasets/", found), _group("archive/", found)
    names = ("rid", "start_time", "run_time", "artiq_version", "expid")
    top = {name: _plain(found[name].value) for name in names if name in found}
    named = FILE_NAME.search(path.stem)
    expid = _decode(path, top["expid"]) if "expid" in top else {}
    class_name = expid.get("class_name") or (named["class_name"] if named else path.stem)
    return Run(
        path=path,
        rid=int(top["rid"] if "rid" in top else named["rid"] if named else 0),
        class_name=str(class_name),
        start_time=float(top.get("start_time", 0.0)),
        run_time=float(top.get("run_time", 0.0)),
        artiq_version=str(top.get("artiq_version", "unknown")),
        expid=expid,
        datasets=old_files.renamed({key: _plain(item.value) for key, item in datasets.items()}),
        archive={today(key): _plain(item.value) for key, item in archive.items()},
        metadata={key: {name: _plain(value) for name, value in item.attributes.items()}
                  for key, item in datasets.items()},
    )  # fmt: skip


def _group(prefix: str, found: Mapping[str, digest.Item]) -> dict[str, digest.Item]:
    """Return what lies in a group, by full name; a dataset named `a/b` lies in a group `a`."""
    return {path.removeprefix(prefix): item for path, item in found.items() if path.startswith(prefix)}


def _plain(value: Any) -> Any:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value


def _decode(path: Path, text: Any) -> dict[str, Any]:
    """Decode PYON (JSON with tagged objects); a tag that is not known stays as it is."""
    try:
        expid = json.loads(text, object_hook=_untag)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"Results file `{path}`: expid must be PYON text, but it cannot be decoded ({error})."
        ) from None
    return expid if isinstance(expid, dict) else {}


def _array(shape: list[int], dtype: str, data: str) -> Any:
    return np.frombuffer(base64.b64decode(data), dtype).reshape(shape)


_TAGS: dict[str, Callable[..., Any]] = {
    "tuple": tuple,
    "dict": dict,
    "OrderedDict": dict,
    "set": set,
    "complex": complex,
    "bytes": base64.b64decode,
    "nparray": _array,
    "npscalar": lambda dtype, data: np.frombuffer(base64.b64decode(data), dtype)[0],
}


def _untag(tagged: dict[str, Any]) -> Any:
    kind, arguments = tagged.get("__jsonclass__", (None, None))
    return _TAGS[kind](*arguments) if kind in _TAGS else tagged
