"""What a job may be: an experiment of the lab's own folders, checked as far as that goes without importing it.

Its arguments are checked in the worker, by the rules of `atomlink run`, before anything is made.
"""

import re
import time
from typing import Any

from atomlink.errors import UsageError, brief
from atomlink.service.config import LabConfig
from atomlink.service.problems import Problem, bad_request
from sim.command.find_experiment import classes_in, files_of, named
from sim.command.lab import Lab
from sim.suggest import closest

KINDS = ("experiment",)
PARTS = ("kind", "lab", "experiment", "class_name", "arguments", "seed", "priority", "session")
ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
EXPERIMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
LONGEST = 20_000  # characters of an argument
FRESH_S = 2.0     # for which a look at the folders is good
PRIORITIES = {"user": 10, "operator": 100, "admin": 100}  # the highest that a scope may ask for; the lowest is -10


class Catalogue:
    """The experiments of one lab."""

    def __init__(self, config: LabConfig) -> None:
        self.config, self.lab = config, Lab(config.folder)
        self._seen: tuple[float, dict[str, list[str]]] = (-1e9, {})
        self._found: dict[tuple[str, str | None], dict[str, Any]] = {}

    def files(self) -> dict[str, list[str]]:
        """Return the files with experiments, relative to the lab, with the classes of each."""
        if time.monotonic() - self._seen[0] > FRESH_S:
            files = {str(path.relative_to(self.lab.root)): classes_in(path) for path in files_of(self.lab)}
            self._seen = time.monotonic(), files
            self._found = {}
        return self._seen[1]

    def find(self, name: str, class_name: str | None) -> dict[str, Any]:
        """Return file and class of an experiment; Problem for one that the lab does not have."""
        files = self.files()
        if (name, class_name) not in self._found:
            self._found[name, class_name] = self._find(files, name, class_name)
        return self._found[name, class_name]

    def _find(self, files: dict[str, list[str]], name: str, class_name: str | None) -> dict[str, Any]:
        found = {"file": name, "class_name": class_name}
        if name not in files:  # no path of a request is ever opened: it is one of these, or a name
            none = bad_request(f"lab {self.config.name} has no experiment {brief(name)}", "see GET /v1/experiments")
            if not EXPERIMENT.fullmatch(name):
                raise none
            try:
                path = named(name, self.lab)
            except UsageError as error:
                raise bad_request(f"experiment: {error}", "see GET /v1/experiments") from None
            file = str(path.file.relative_to(self.lab.root))
            if file not in files:
                raise none
            found = {"file": file, "class_name": class_name or path.class_name}
        classes = files.get(found["file"] or "", [])
        if found["class_name"] is not None and found["class_name"] not in classes:
            hint = closest(found["class_name"], classes)
            raise bad_request(f"{found['file']} has no class {brief(found['class_name'])}{hint}",
                              f"its classes are {', '.join(classes)}")  # fmt: skip
        return found


def spec_of(body: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return what the worker of an experiment is told; Problem for what is wrong."""
    name = wanted(body, "experiment", str, None)
    spec = catalogue.find(name, wanted(body, "class_name", str, ""))
    arguments = wanted(body, "arguments", dict, {})
    for key, value in arguments.items():
        if not ARGUMENT.fullmatch(key):
            raise bad_request(f"argument {brief(key)} is no name", "an argument's name is letters, digits and _")
        size = len(value) if isinstance(value, (str, list, dict)) else 0
        if size > LONGEST:
            raise bad_request(f"argument {key} has {size} characters or entries", f"send {LONGEST} at most")
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63):
        raise bad_request(f"seed is {brief(seed)}", "a seed is a whole number from 0 on")
    return {**spec, "arguments": arguments, **({} if seed is None else {"seed": seed})}


def priority_of(body: dict[str, Any], scope: str) -> int:
    """Return a job's priority; Problem for one that its user may not ask for."""
    priority: int = wanted(body, "priority", int, 0)
    if not -10 <= priority <= PRIORITIES[scope]:
        raise bad_request(f"priority is {brief(priority)}", f"from -10 to {PRIORITIES[scope]} with the scope {scope}")
    return priority


def wanted(body: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    """Return a member of a body; Problem where it is of another type, or is missing and has no default ("": None)."""
    value = body.get(key)
    if value is None:
        if default is None:
            raise bad_request(f"`{key}` is missing", "see /openapi.json")
        return None if default == "" else default
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        names = {str: "a text", dict: "an object", int: "a whole number", bool: "true or false"}
        raise bad_request(f"`{key}` is {brief(value)}", f"it must be {names[kind]}")
    return value


def check_parts(body: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse members that nobody knows: a slip would otherwise be ignored."""
    for key in body:
        if key not in known:
            raise bad_request(f"{brief(key)} is not known{closest(key, known)}", f"known are {', '.join(known)}")


def kind_of(body: dict[str, Any]) -> str:
    """Return a job's kind; Problem for one that is not there."""
    kind: str = wanted(body, "kind", str, "experiment")
    if kind not in KINDS:
        raise Problem(422, "unknown-kind", f"kind is {brief(kind)}", f"known are {', '.join(KINDS)}")
    return kind
