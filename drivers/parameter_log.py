"""The history of a lab's beliefs: `params.log` beside the dataset database, one revision on a line.

A revision is written here, and forced to the disk, before any dataset changes; the dataset `params.revision` says up to
which revision the datasets have followed. After a kill the two may differ: revisions above `params.revision` win over
the datasets (they were acknowledged to this file), at or below it the datasets win (somebody edited them by hand).
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from atomlink.old_names import today
from drivers import line_log

FILE = "params.log"
REVISION = "params.revision"  # the dataset
UNKNOWN = "unknown"  # which lab, since the entry is older than the telling apart
ROOT_VARIABLE = "ATOMLINK_ROOT"  # set by the command `atomlink`, whose results may lie outside the lab
LEVELS = 5  # results/2026-11-22/14 is three folders below the lab


@dataclass(frozen=True)
class Change:
    """One belief's change within a revision; `error` and `n` where it was measured; `origin` where that was not this
    lab: the name of the other one, or UNKNOWN.
    """

    value: float
    previous: float
    unit: str
    error: float | None = None
    n: int | None = None
    origin: str = ""


@dataclass(frozen=True)
class Revision:
    """What changed together: who, when (UTC, ISO 8601), in which run, the fits it rests on, and in which lab; this is
    empty in what was written before labs were told apart.
    """

    revision: int
    time: str
    rid: int
    who: str
    why: str
    changes: Mapping[str, Change]
    fits: Mapping[str, Any] = field(default_factory=dict)
    lab: str = ""

    def origin(self, name: str) -> str:
        """Return where a belief comes from: empty for this lab itself."""
        return self.changes[name].origin or ("" if self.lab else UNKNOWN)


def lab_folder() -> Path:
    """Return where the dataset database is: told by the environment, else the nearest folder upwards that looks so."""
    told = os.environ.get(ROOT_VARIABLE)
    if told:
        return Path(told)
    here = Path.cwd()
    for folder in (here, *list(here.parents)[:LEVELS]):
        if (folder / "dataset_db.mdb").exists() or (folder / "device_db.py").exists():
            return folder
    return here


def read(path: Path) -> tuple[Revision, ...]:
    """Return all revisions, oldest first."""
    return tuple(_revision(row) for row in line_log.read(path))


def _revision(row: Mapping[str, Any]) -> Revision:
    changes = {today(name): Change(**change) for name, change in row["changes"].items()}
    return Revision(**{**row, "changes": changes})


def append(path: Path, revision: Revision) -> None:
    """Write one revision and force it to the disk; to be called with the lock held."""
    line_log.append(path, asdict(revision))


def waiting(path: Path, followed: int) -> dict[str, float]:
    """Return the last value of every belief that changed after the revision that the datasets have followed."""
    rows = line_log.read(path)
    if not rows or rows[-1]["revision"] <= followed:
        return {}
    return {
        today(name): change["value"]
        for row in rows if row["revision"] > followed
        for name, change in row["changes"].items()
    }
