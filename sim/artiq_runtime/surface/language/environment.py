"""What an experiment is, and what it asks of its surroundings: arguments, devices, datasets."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isclass
from types import SimpleNamespace
from typing import Any

from artiq.language.arguments import (
    BooleanValue,
    DefaultMissing,
    EnumerationValue,
    NoDefault,
    NumberValue,
    PYONValue,
    StringValue,
)
from artiq.language.core import rpc

__all__ = [
    "BooleanValue", "CancelledArgsError", "DefaultMissing", "EnumerationValue", "EnvExperiment", "Experiment",
    "HasEnvironment", "NoDefault", "NumberValue", "PYONValue", "StringValue",
]  # fmt: skip


class CancelledArgsError(Exception):
    """Raised where the user cancelled a request for arguments made by `interactive()`."""


class TraceArgumentManager:
    """Record which arguments an experiment asks for; every value is None."""

    def __init__(self) -> None:
        self.requested_args: dict[str, tuple[Any, str | None, str | None]] = {}

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> None:
        """Record the request."""
        self.requested_args[key] = processor, group, tooltip

    def get_interactive(self, interactive_arglist: Any, title: str) -> Any:
        """Refuse: nobody is there to answer while an experiment is examined."""
        raise NotImplementedError("interactive() needs a running experiment; move it from build() to run()")


class ProcessArgumentManager:
    """Give an experiment the arguments that the user supplied."""

    def __init__(self, unprocessed_arguments: dict[str, Any]) -> None:
        self.unprocessed_arguments = unprocessed_arguments
        self._processed_arguments: set[str] = set()

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        """Return the processed value of an argument, or its default."""
        if key not in self.unprocessed_arguments:
            return processor.default()
        value = processor.process(self.unprocessed_arguments[key])
        self._processed_arguments.add(key)
        return value

    def check_unprocessed_arguments(self) -> None:
        """Raise AttributeError if the user supplied an argument that the experiment never asked for."""
        surplus = self.unprocessed_arguments.keys() - self._processed_arguments
        if surplus:
            raise AttributeError("Supplied argument(s) not queried in experiment: " + ", ".join(sorted(surplus)))

    def get_interactive(self, interactive_arglist: Any, title: str) -> Any:
        """Refuse: this manager cannot ask anybody."""
        raise NotImplementedError("interactive() needs an argument manager that can ask the user")


class HasEnvironment:
    """Give a class access to arguments, devices and datasets; its `build()` says what it needs.

    `managers_or_parent` is the tuple (device manager, dataset manager, argument manager, scheduler defaults), or an
    object that has an environment already and becomes the parent. What else is passed goes to `build()`.
    """

    # Other packages reach these attributes by their mangled names; they are ARTIQ's.
    __device_mgr: Any
    __dataset_mgr: Any
    __argument_mgr: Any
    __scheduler_defaults: dict[str, Any]

    def __init__(self, managers_or_parent: Any, *args: Any, **kwargs: Any) -> None:
        self.children: list[Any] = []
        if isinstance(managers_or_parent, tuple):
            managers = managers_or_parent[:4]
            self.__device_mgr, self.__dataset_mgr, self.__argument_mgr, self.__scheduler_defaults = managers
        else:
            parent = managers_or_parent
            self.__device_mgr = parent.__device_mgr
            self.__dataset_mgr = parent.__dataset_mgr
            self.__argument_mgr = parent.__argument_mgr
            # Only the experiment itself has a say in scheduling.
            self.__scheduler_defaults = {}
            parent.register_child(self)
        self.__in_build = True
        self.build(*args, **kwargs)
        self.__in_build = False

    def register_child(self, child: Any) -> None:
        """Add a child; `call_child_method` visits children in this order."""
        self.children.append(child)

    def call_child_method(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Call the named method of every child that has one."""
        for child in self.children:
            child_method = getattr(child, method, None)
            if child_method is not None:
                child_method(*args, **kwargs)

    def build(self) -> None:
        """Request arguments and devices; to be written by the user.

        While a repository is examined devices are dummies and arguments None. Datasets are read-only here.
        """

    def get_argument(self, key: str, processor: Any, group: str | None = None, tooltip: str | None = None) -> Any:
        """Return the value of an argument; only from `build()`."""
        if not self.__in_build:
            raise TypeError("get_argument() should only be called from build()")
        return self.__argument_mgr.get(key, processor, group, tooltip)

    def setattr_argument(
        self, key: str, processor: Any = None, group: str | None = None, tooltip: str | None = None
    ) -> None:
        """Set an argument as the attribute of that name, and count it among the kernel invariants."""
        setattr(self, key, self.get_argument(key, processor, group, tooltip))
        self.__add_invariant(key)

    def __add_invariant(self, key: str) -> None:
        invariants: set[str] = getattr(self, "kernel_invariants", set())
        # A new set: the class attribute of that name is shared by all instances.
        self.kernel_invariants = invariants | {key}

    @contextmanager
    def interactive(self, title: str = "") -> Iterator[SimpleNamespace]:
        """Ask the user for arguments while the experiment runs.

        The namespace that the block gets has `setattr_argument`; after the block it has the values.
        Raises CancelledArgsError if the user cancels.
        """
        requested: list[tuple[str, Any, str | None, str | None]] = []
        namespace = SimpleNamespace()

        def setattr_argument(
            key: str, processor: Any = None, group: str | None = None, tooltip: str | None = None
        ) -> None:
            requested.append((key, processor, group, tooltip))

        namespace.setattr_argument = setattr_argument
        yield namespace
        del namespace.setattr_argument
        values = self.__argument_mgr.get_interactive(requested, title)
        if values is None:
            raise CancelledArgsError
        for key, value in values.items():
            setattr(namespace, key, value)

    def get_device_db(self) -> dict[str, Any]:
        """Return the whole device database."""
        return self.__device_mgr.get_device_db()

    def get_device(self, key: str) -> Any:
        """Return the driver of a device, creating it the first time."""
        return self.__device_mgr.get(key)

    def setattr_device(self, key: str) -> None:
        """Set a driver as the attribute of that name, and count it among the kernel invariants."""
        setattr(self, key, self.get_device(key))
        self.__add_invariant(key)

    @rpc(flags={"async"})
    def set_dataset(
        self,
        key: str,
        value: Any,
        *,
        unit: str | None = None,
        scale: float | None = None,
        precision: int | None = None,
        broadcast: bool = False,
        persist: bool = False,
        archive: bool = True,
    ) -> None:
        """Set a dataset: `broadcast` to everybody, `persist` on disk (implies broadcast), `archive` in the results.

        `unit`, `scale` and `precision` say how to display it.
        """
        metadata = {"unit": unit, "scale": scale, "precision": precision}
        metadata = {name: item for name, item in metadata.items() if item is not None}
        self.__dataset_mgr.set(key, value, metadata, broadcast, persist, archive)

    @rpc(flags={"async"})
    def mutate_dataset(self, key: str, index: Any, value: Any) -> None:
        """Change part of a dataset.

        A tuple of integers as index means `slice(*index)`; a tuple of tuples means one slice per dimension.
        """
        self.__dataset_mgr.mutate(key, index, value)

    @rpc(flags={"async"})
    def append_to_dataset(self, key: str, value: Any) -> None:
        """Append to a dataset that this experiment has set to a list."""
        self.__dataset_mgr.append_to(key, value)

    def get_dataset(self, key: str, default: Any = NoDefault, archive: bool = True) -> Any:
        """Return a dataset, this experiment's own first, then the shared one.

        A missing one gives `default`, or KeyError without one. `archive` keeps the value with the results.
        """
        try:
            return self.__dataset_mgr.get(key, archive)
        except KeyError:
            if default is NoDefault:
                raise
            return default

    def get_dataset_metadata(self, key: str, default: Any = NoDefault) -> Any:
        """Return the unit, scale and precision of a dataset, as a dict."""
        try:
            return self.__dataset_mgr.get_metadata(key)
        except KeyError:
            if default is NoDefault:
                raise
            return default

    def setattr_dataset(self, key: str, default: Any = NoDefault, archive: bool = True) -> None:
        """Set a dataset's value as the attribute of that name."""
        setattr(self, key, self.get_dataset(key, default, archive))

    def set_default_scheduling(
        self, priority: int | None = None, pipeline_name: str | None = None, flush: bool | None = None
    ) -> None:
        """Set how this experiment is scheduled where the user does not say; only from `build()`."""
        if not self.__in_build:
            raise TypeError("set_default_scheduling() should only be called from build()")
        wishes = {
            "priority": None if priority is None else int(priority),
            "pipeline_name": pipeline_name,
            "flush": flush,
        }
        self.__scheduler_defaults.update({name: wish for name, wish in wishes.items() if wish is not None})


class Experiment:
    """Base of top-level experiments: what derives from it is found in a module."""

    def prepare(self) -> None:
        """Compute beforehand what `run()` needs, without touching hardware."""

    def run(self) -> None:
        """Do the experiment; to be written by the user. May call the scheduler's `pause()`."""
        raise NotImplementedError

    def analyze(self) -> None:
        """Evaluate the results, without touching hardware."""


class EnvExperiment(Experiment, HasEnvironment):
    """Base of most experiments: an experiment with an environment."""

    def prepare(self) -> None:
        """Call `prepare()` of every child that has one."""
        self.call_child_method("prepare")


def is_experiment(o: Any) -> bool:
    """Return whether `o` is a class of experiments."""
    return isclass(o) and issubclass(o, Experiment) and o not in (Experiment, EnvExperiment)


def is_public_experiment(o: Any) -> bool:
    """Return whether `o` is a class of experiments whose name has no leading underscore."""
    return is_experiment(o) and not o.__name__.startswith("_")
