"""Find an experiment by name: the file `ramsey.py` or the class `Ramsey` below `experiments/` or `repository/`.

Nothing is imported for it: classes are read off the text, and what they are is found out when the file is loaded.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from atomlink.errors import UsageError
from sim.command.lab import Lab, find_lab
from sim.suggest import closest

FOLDERS = ("experiments", "repository")  # ours and ARTIQ's own name
CLASS = re.compile(r"^class (?P<name>[A-Za-z]\w*)\s*\(", re.MULTILINE)
EXPERIMENT = re.compile(r"^class \w+\s*\([^)]*\bEnvExperiment\b", re.MULTILINE)


class Found(NamedTuple):
    """An experiment's file, and its class where that is what was named."""

    lab: Lab
    file: Path
    class_name: str | None = None


def find_experiment(name: str, here: Path) -> Found:
    """Return what is named: a file, else the one experiment in `here`'s lab with that file name or class.

    UsageError where none or several have it.
    """
    file = Path(name)
    if file.is_file():
        return Found(find_lab(file.parent, here), file.resolve())
    if "/" in name or name.endswith(".py"):
        raise UsageError(f"no file {name}: name the file of an experiment, or see `atomlink list`")
    return named(name, find_lab(here))


def named(name: str, lab: Lab) -> Found:
    """Return the one experiment of a lab with a file name or class; UsageError where none or several have it."""
    wanted = _folded(name)
    files = files_of(lab)
    classes = [(path, each) for path in files for each in classes_in(path)]
    found = [Found(lab, path) for path in files if _folded(path.stem) == wanted]
    found = found or [Found(lab, path, each) for path, each in classes if _folded(each) == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(str(each.file.relative_to(lab.root)) for each in found)
        raise UsageError(f"several experiments are called `{name}`: name one of the files {places}")
    known = [path.stem for path in files] + [each for _, each in classes]
    begun = [each for each in known if _folded(each).startswith(wanted)]
    hint = f" (did you mean `{begun[0]}`?)" if begun else closest(name, known)
    raise UsageError(f"no file and no experiment `{name}`{hint}: see `atomlink list`")


def files_of(lab: Lab) -> list[Path]:
    """Return the files of a lab's experiments, by folder and name: those in which a class is an experiment's."""
    return [path for path in python_files(lab) if EXPERIMENT.search(_text(path))]


def python_files(lab: Lab) -> Iterator[Path]:
    """Yield the Python files of the folders in which experiments are."""
    for folder in FOLDERS:
        yield from sorted((lab.root / folder).rglob("*.py"))


def classes_in(path: Path) -> list[str]:
    """Return the public classes that a file defines."""
    return [match["name"] for match in CLASS.finditer(_text(path))]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
