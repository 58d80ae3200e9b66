"""What a lab offers: its experiments with their arguments and units, and the scenarios of the simulated lab."""

import contextlib
import inspect
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from artiq.language.environment import (
    BooleanValue,
    DefaultMissing,
    EnumerationValue,
    NumberValue,
    TraceArgumentManager,
    is_public_experiment,
)
from artiq.language.scan import Scannable
from artiq.tools import file_import

from atomlink.errors import UsageError
from sim.command.arguments import describe, is_integer
from sim.command.examine import ExaminedDatasets, ExaminedDevices, load_device_db, open_dataset_db
from sim.command.failures import explain
from sim.command.find_experiment import FOLDERS, python_files
from sim.command.lab import Lab
from sim.command.written import quantity_text, scan_text
from sim.suggest import closest
from sim.target import scenario_files, scenario_of

WIDTH = 118
NAME_WIDTH = 26
DEFAULT_WIDTH = 30  # of `name = default`, where it is not longer

Requested = Mapping[str, tuple[Any, str | None, str | None]]
Managers = tuple[Any, Any]


class Entry(NamedTuple):
    """An experiment's class, with what `atomlink run` calls it and where it is."""

    name: str
    path: Path  # below the lab's root
    made_of: type
    says: str   # one line

    def matches(self, word: str) -> bool:
        """Return whether a word is in its name, file or description."""
        return any(word.lower() in text.lower() for text in (self.made_of.__name__, str(self.path), self.says))


def print_catalog(lab: Lab, words: Sequence[str] = (), details: bool = False) -> int:
    """Print a line for each experiment below `experiments/` and `repository/`, and each shipped scenario.

    Only those in which one of the `words` occurs, these with their arguments; `details`: all with their arguments.
    Return 1 where a file does not load; UsageError where nothing has the words.
    """
    entries, broken = _entries(lab)
    scenarios = {name: describe_scenario(path) for name, path in scenario_files().items()}
    if words:
        known = [*(entry.made_of.__name__ for entry in entries), *(entry.path.stem for entry in entries), *scenarios]
        scenarios = {name: text for name, text in scenarios.items() if any(word in name for word in words)}
        entries = [entry for entry in entries if any(entry.matches(word) for word in words)]
        if not entries and not scenarios:
            hint = closest(words[0], known)
            raise UsageError(f"no experiment and no scenario has `{' '.join(words)}`{hint}: see `atomlink list`")
    for line in _experiments(lab, entries, broken, bool(words), bool(words) or details):
        print(line)
    if scenarios:
        print("\nscenarios (atomlink run … --scenario NAME)")
        for name, text in scenarios.items():
            print(_cut(f"  {name:{NAME_WIDTH}} {text}"))
    return 1 if broken else 0


def _experiments(lab: Lab, entries: list[Entry], broken: list[str], chosen: bool, details: bool) -> Iterator[str]:
    if not chosen:
        yield f"experiments of {lab.root} (atomlink run NAME; its arguments: atomlink run NAME --help)"
    folder = None
    with _managers(lab) as managers:
        for entry in entries:
            if entry.path.parent != folder and not details:
                folder = entry.path.parent
                yield f"{folder}/"
            if details:
                yield ""
                yield from detailed(entry, managers)
            else:
                yield _cut(f"  {entry.name:{NAME_WIDTH}} {entry.says}")
    yield from broken
    if not entries and not broken:
        places = " and ".join(f"{folder}/" for folder in FOLDERS)
        yield f"  none: looked for .py files in {places} there; any other file runs with `atomlink run FILE`"


def detailed(entry: Entry, managers: Managers) -> Iterator[str]:
    """Yield what there is to know of an experiment: name, place, description, arguments."""
    scenario = scenario_of(entry.made_of)
    only = f"; runs in scenario {scenario} where no other is chosen" if scenario else ""
    yield f"{entry.name}  ({entry.path}, class {entry.made_of.__name__}{only})"
    yield f"  {entry.says}"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            requested = _arguments_of(entry.made_of, managers)
    except Exception as error:  # noqa: BLE001 - the same examination fails in ARTIQ's master: say so here
        yield f"    arguments unknown: {explain(error)[0]}"
        return
    yield from argument_lines(requested)


def argument_lines(requested: Requested) -> Iterator[str]:
    """Yield a line for each argument: name = default as it may be written, what it may be, what it means."""
    for key, (processor, _group, tooltip) in requested.items():
        written = f"{key} = {default_text(processor)}"
        yield f"    {written:{DEFAULT_WIDTH}} [{may_be(processor)}]" + (f"  {tooltip}" if tooltip else "")


def default_text(processor: Any) -> str:
    """Return an argument's default as it is written on the command line; `…` where it must be given."""
    try:
        value = processor.default()
    except DefaultMissing:
        return "…"
    if isinstance(processor, NumberValue):
        return quantity_text(value, processor)
    if isinstance(processor, Scannable):
        return scan_text(value, processor)
    return f'"{value}"' if isinstance(value, str) and not isinstance(processor, EnumerationValue) else str(value)


def may_be(processor: Any) -> str:
    """Return what an argument may be, with its unit and its limits."""
    if isinstance(processor, Scannable):
        low, high = processor.global_min, processor.global_max
        kind = "scan" + (f" in {processor.unit}" if processor.unit else "")
    elif isinstance(processor, NumberValue):
        low, high = processor.min, processor.max
        kind = "integer" if is_integer(processor) else processor.unit or "number"
    else:
        return describe(processor)
    ends = ["" if end is None else quantity_text(end, processor) for end in (low, high)]
    if all(ends):
        return f"{kind}, {ends[0]} … {ends[1]}"
    return kind + "".join(f", {sign} {end}" for sign, end in zip((">=", "<="), ends, strict=True) if end)


def requested_by(lab: Lab, experiment: type) -> Requested:
    """Return the arguments that an experiment asks for, by name: processor, group, tooltip."""
    with _managers(lab) as managers, contextlib.redirect_stdout(io.StringIO()):
        return _arguments_of(experiment, managers)


def print_arguments(lab: Lab, file: Path, module: Any, experiment: type) -> None:
    """Print what `atomlink run FILE --help` says of one experiment: its sequence, its arguments."""
    path = file.relative_to(lab.root) if file.is_relative_to(lab.root) else file
    entry = Entry(file.stem, path, experiment, _says(experiment, module))
    drawn = inspect.cleandoc(experiment.__doc__ or "").partition("\n")[2].strip("\n")
    with _managers(lab) as managers:
        head, says, *arguments = detailed(entry, managers)
    print("\n".join(["", head, says, *(f"    {line}".rstrip() for line in drawn.splitlines()), "", *arguments]))


def choices_of(processor: Any) -> list[str]:
    """Return the values that an argument offers, as they are written: true and false, or those of an enumeration."""
    if isinstance(processor, BooleanValue):
        return ["True", "False"]
    return [str(choice) for choice in processor.choices] if isinstance(processor, EnumerationValue) else []


@contextlib.contextmanager
def _managers(lab: Lab) -> Iterator[Managers]:
    dataset_db = open_dataset_db(lab)
    try:
        yield ExaminedDevices(load_device_db(lab)), ExaminedDatasets(dataset_db)
    finally:
        dataset_db.close_db()


def _entries(lab: Lab) -> tuple[list[Entry], list[str]]:
    """Return a lab's experiments, and a line for each file that does not load."""
    entries, broken = [], []
    for file in python_files(lab):
        path = file.relative_to(lab.root)
        try:
            entries += _entries_in(file, path)
        except Exception as error:  # noqa: BLE001 - one broken file must not hide the others; it is named
            broken.append(f"  {path}  skipped: {explain(error)[0]}")
    stems = [entry.path.stem for entry in entries]
    return [entry._replace(name=entry.made_of.__name__) if stems.count(entry.path.stem) > 1 else entry
            for entry in entries], broken  # fmt: skip


def _entries_in(file: Path, path: Path) -> list[Entry]:
    with contextlib.redirect_stdout(io.StringIO()):  # only the catalog is printed
        module = file_import(str(file), prefix="artiq_worker_")
    found = [value for value in vars(module).values()
             if is_public_experiment(value) and value.__module__ == module.__name__]  # fmt: skip
    return [Entry(file.stem, path, value, _says(value, module if len(found) == 1 else None)) for value in found]


def _says(experiment: type, module: Any) -> str:
    """Return the first line about an experiment: its file's where that is about it alone, else its class's."""
    # None has a docstring of its own from Python 3.13 on.
    texts = (None if module is None else module.__doc__, experiment.__doc__)
    return next((text.strip().splitlines()[0] for text in texts if text and text.strip()), "")


def _arguments_of(experiment: type, managers: Managers) -> Requested:
    """Return the arguments that `build` asks for, examined as ARTIQ's master does: each value is None."""
    arguments = TraceArgumentManager()
    experiment((*managers, arguments, {}))
    requested: Requested = arguments.requested_args
    return requested


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def describe_scenario(path: Path) -> str:
    """Return the one-line description of a scenario file."""
    with path.open("rb") as file:
        content: Mapping[str, Any] = tomllib.load(file)
    return next(iter(str(content.get("description", "")).strip().splitlines()), "(no description)")
