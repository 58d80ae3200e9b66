"""What a lab offers: its experiments with their arguments and units, and the scenarios of the simulated lab."""

import contextlib
import io
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from artiq.language.environment import DefaultMissing, NumberValue, TraceArgumentManager, is_public_experiment
from artiq.language.scan import Scannable
from artiq.tools import file_import

from sim.command.arguments import describe, shown
from sim.command.examine import ExaminedDatasets, ExaminedDevices, load_device_db, open_dataset_db
from sim.command.failures import explain
from sim.command.lab import Lab
from sim.target import scenario_files, scenario_of

FOLDERS = ("experiments", "repository")  # ours and ARTIQ's own name


def print_catalog(lab: Lab) -> int:
    """Print the experiments below `experiments/` and `repository/`, and the shipped scenarios.

    Return 1 where a file does not load.
    """
    skipped, found = 0, False
    device_db, dataset_db = load_device_db(lab), open_dataset_db(lab)
    managers = ExaminedDevices(device_db), ExaminedDatasets(dataset_db)
    print(f"experiments of {lab.root}")
    for file in (file for folder in FOLDERS for file in sorted((lab.root / folder).rglob("*.py"))):
        try:
            lines = list(_experiments_in(file, file.relative_to(lab.root), managers))
        except Exception as error:  # noqa: BLE001 - one broken file must not hide the others; it is named
            lines = [f"  {file.relative_to(lab.root)}  skipped: {explain(error)[0]}"]
            skipped += 1
        print("\n".join(lines), end="\n" if lines else "")
        found = found or bool(lines)
    if not found:
        places = " and ".join(f"{folder}/" for folder in FOLDERS)
        print(f"  none: looked for .py files in {places} there; any other file runs with `atomlink run FILE`")
    dataset_db.close_db()
    print("\nscenarios (atomlink run … --scenario NAME)")
    for name, path in scenario_files().items():
        print(f"  {name:16} {describe_scenario(path)}")
    return 1 if skipped else 0


def _experiments_in(file: Path, shown_path: Path, managers: tuple[Any, Any]) -> Iterator[str]:
    with contextlib.redirect_stdout(io.StringIO()):  # only the catalog is printed
        module = file_import(str(file), prefix="artiq_worker_")
    for name, value in vars(module).items():
        if is_public_experiment(value) and value.__module__ == module.__name__:
            scenario = scenario_of(value)
            yield f"  {shown_path}  {name}" + (f"  (simulated in scenario {scenario})" if scenario else "")
            yield from (f"      {line.strip()}" for line in (value.__doc__ or "").strip().splitlines()[:1])
            yield from _argument_lines(value, managers)


def _argument_lines(experiment: type, managers: tuple[Any, Any]) -> Iterator[str]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            arguments = _arguments_of(experiment, managers)
    except Exception as error:  # noqa: BLE001 - the same examination fails in ARTIQ's master: say so here
        yield f"        arguments unknown: {explain(error)[0]}"
        return
    for key, (processor, _group, tooltip) in arguments.items():
        yield f"        {key} = {_default(processor)}  [{describe(processor)}]" + (f"  {tooltip}" if tooltip else "")


def _arguments_of(experiment: type, managers: tuple[Any, Any]) -> Mapping[str, tuple[Any, str | None, str | None]]:
    """Return the arguments that `build` asks for, examined as ARTIQ's master does: each value is None."""
    arguments = TraceArgumentManager()
    experiment((*managers, arguments, {}))
    requested: Mapping[str, tuple[Any, str | None, str | None]] = arguments.requested_args
    return requested


def _default(processor: Any) -> str:
    """Return an argument's default as text in the unit it is shown in; `…` where it must be given."""
    try:
        value = processor.default()
    except DefaultMissing:
        return "…"
    if isinstance(processor, NumberValue):
        return shown(value, processor)
    if isinstance(processor, Scannable):
        return type(value).__name__
    return str(value)


def describe_scenario(path: Path) -> str:
    """Return the one-line description of a scenario file."""
    with path.open("rb") as file:
        content: Mapping[str, Any] = tomllib.load(file)
    return next(iter(str(content.get("description", "")).strip().splitlines()), "(no description)")
