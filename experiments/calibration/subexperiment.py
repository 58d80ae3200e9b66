"""Run an experiment inside another: the same devices, so that the timeline and the lab go on; arguments of its own.

Its datasets appear in the parent's results file as `calibration.LABEL.NAME`; beliefs (`param.*`, `params.*`, those of
other labs `lab.*`) and live plots (`live.*`) are everybody's and pass as they are.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from artiq.language.scan import ScanObject

from atomlink.errors import UsageError
from drivers import run_datasets

SHARED = ("param.", "params.", "lab.", "live.")


class _Devices:
    """A device manager that asks the parent."""

    def __init__(self, parent: Any) -> None:
        self._parent = parent

    def get_device_db(self) -> Any:
        return self._parent.get_device_db()

    def get(self, name: str) -> Any:
        return self._parent.get_device(name)


class _Datasets:
    """A dataset manager that keeps the child's own datasets, and shows them in the parent's under its label."""

    def __init__(self, parent: Any, label: str) -> None:
        self._parent = parent
        self._prefix = f"calibration.{label}."
        self.own: dict[str, Any] = {}
        self.archive: dict[str, Any] = {}  # what it has read to be filed

    @property
    def local(self) -> Mapping[str, Any]:
        """Return what the child has set and not shared, by the name that ARTIQ's own manager has for it."""
        return self.own

    def get_shared(self, key: str) -> Any:
        """Return what all runs share (`drivers/run_datasets.py`)."""
        return run_datasets.shared(self._parent, key)

    def set(
        self, key: str, value: Any, metadata: dict[str, Any], broadcast: bool, persist: bool, archive: bool
    ) -> None:
        if key.startswith(SHARED) and (broadcast or persist):
            self.own.pop(key, None)
            self._parent.set_dataset(key, value, **metadata, broadcast=broadcast, persist=persist, archive=archive)
            return
        self.own[key] = value
        if archive:
            self._parent.set_dataset(self._prefix + key, value, **metadata)

    def mutate(self, key: str, index: Any, value: Any) -> None:
        self._parent.mutate_dataset(self._name(key), index, value)

    def append_to(self, key: str, value: Any) -> None:
        self._parent.append_to_dataset(self._name(key), value)

    def get(self, key: str, archive: bool = False) -> Any:
        if key in self.own:
            return self.own[key]
        value = self._parent.get_dataset(key, archive=False)
        if archive:  # what this child believed
            self.archive[key] = value
            self._parent.set_dataset(self._prefix + key, value)
        return value

    def get_metadata(self, key: str) -> Any:
        return self._parent.get_dataset_metadata(self._name(key))

    def _name(self, key: str) -> str:
        return key if key.startswith(SHARED) or key not in self.own else self._prefix + key


class _Arguments:
    """An argument manager with values for some arguments and the defaults for the rest."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self.asked: dict[str, None] = {}  # in the order of the requests

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        self.asked[key] = None
        if key not in self._given:
            return processor.default()
        value = self._given[key]
        return value if isinstance(value, ScanObject) else processor.process(value)

    def get_interactive(self, interactive_arglist: Any, title: str) -> Any:
        raise UsageError("An experiment of the calibration graph must not ask for arguments while it runs.")


def load_class(experiment: str) -> Any:
    """Return the class of "atoms.microwave_rabi:MicrowaveRabi", a module below `experiments`."""
    module, _, name = experiment.partition(":")
    try:
        return getattr(importlib.import_module(f"experiments.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"Experiment {experiment!r} cannot be loaded ({error}), must be `module:Class` below experiments/"
        ) from None


def run_child(
    parent: Any, experiment: str | type, arguments: Mapping[str, Any], label: str
) -> tuple[Any, dict[str, Any]]:
    """Build, prepare, run and analyse an experiment inside another; return it and its datasets.

    UsageError where it has no argument of a given name. What it raises passes through.
    """
    made = load_class(experiment) if isinstance(experiment, str) else experiment
    datasets, given = _Datasets(parent, label), _Arguments(arguments)
    child = made((_Devices(parent), datasets, given, {}))
    surplus = arguments.keys() - given.asked.keys()
    if surplus:
        raise UsageError(f"{made.__name__} has no argument {', '.join(sorted(surplus))}, has {', '.join(given.asked)}")
    parent.set_dataset(f"calibration.{label}.class_name", made.__name__)
    child.journal_label = f"{type(parent).__name__}_{label}".replace(".", "_")
    child.prepare()
    child.run()
    child.analyze()
    return child, datasets.own
