"""Where the beliefs of a lab come from, in one line where that is not the lab itself."""

from collections import Counter
from pathlib import Path

from drivers import labs, parameter_log
from drivers.labs import LabName
from drivers.parameter_log import UNKNOWN

OLDER = "from before labs were told apart"


def note(lab: LabName, folder: Path) -> str | None:
    """Return the line that a run begins with, None where every belief is this lab's own or a default."""
    rows = parameter_log.read(folder / lab.file(parameter_log.FILE))
    last = {name: row for row in rows for name in row.changes}
    found = Counter(filter(None, (row.origin(name) for name, row in last.items())))
    if found:
        parts = [f"{n} {OLDER if name == UNKNOWN else f'from lab {name}'}" for name, n in sorted(found.items())]
        mine = f"; `atomlink params adopt {lab.name}` says they are its own" if UNKNOWN in found else ""
        return f"beliefs of lab {lab}: {', '.join(parts)} (`atomlink params log`){mine}"
    if lab == labs.HARDWARE and not rows:
        return ("beliefs of the hardware: none yet, the defaults of drivers/parameters.py hold; "
                "`atomlink params adopt default` takes over those of the lab default")  # fmt: skip
    return None


def in_folder(folder: Path) -> list[LabName]:
    """Return the labs that have a history."""
    stem, _, suffix = parameter_log.FILE.rpartition(".")
    names = (path.name[len(stem) + 1 : -len(suffix) - 1] for path in sorted(folder.glob(f"{stem}.*.{suffix}")))
    home = [labs.HOME] if (folder / parameter_log.FILE).exists() else []
    return [*home, *map(LabName, names)]
