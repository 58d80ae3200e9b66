"""Compile every kernel of one experiment with real ARTIQ: `python compile_kernels.py FILE CLASS [ARG=VALUE ...]`.

Runs in an interpreter that has real ARTIQ (see test_compiles.py). Prints one line per kernel compiled; exits 1 at the
first error, which the compiler prints, and 3 where there is no real ARTIQ.
"""

import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numpy import int64

ROOT = Path(__file__).resolve().parents[2]


def kernels(owner: Any, only: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield (name, bound kernel, arguments) of an object's kernels; what they call is compiled with them."""
    from artiq.language.types import TBool, TFloat, TInt32, TInt64

    samples = {TInt32: 1, TInt64: int64(1), TFloat: 0.5, TBool: True}
    for name, function in inspect.getmembers(owner, callable):
        embedded = getattr(function, "artiq_embedded", None)
        if not (embedded and embedded.core_name and not embedded.portable) or (only and name not in only):
            continue
        annotations = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
        yield f"{type(owner).__name__}.{name}", function, [sample(samples, annotation) for annotation in annotations]


def sample(samples: dict[Any, Any], annotation: Any) -> Any:
    """Return a value of an annotated type; a list of two for a TList, whose annotation is made anew each time."""
    for known, value in samples.items():
        if annotation is known:
            return value
    return [sample(samples, annotation["elt"].find())] * 2


def of_sequences(experiment: Any) -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield the kernels of an experiment's children that the host starts: it names them, or no kernel calls them."""
    owners = list(descendants(experiment))
    ours = [owner for owner in owners if type(owner).__module__.startswith("experiments.")]
    called = set(re.findall(r"\.(\w+)\(", "\n".join(texts(embedded, experiment, *owners))))
    named = set(re.findall(r"\.(\w+)", "\n".join(texts(on_host, experiment, *ours))))
    for owner in ours:
        for name, function, values in kernels(owner):
            if function.__name__ in named or function.__name__ not in called:
                yield name, function, values


def texts(which: Callable[[Any], Iterator[Any]], *owners: Any) -> list[str]:
    """Return the source of some functions of these objects, once for each class."""
    classes = {type(owner): owner for owner in owners}
    return [inspect.getsource(function) for owner in classes.values() for function in which(owner)]


def descendants(owner: Any) -> Iterator[Any]:
    """Yield the children of an environment, and theirs."""
    for child in owner.children:
        yield child
        yield from descendants(child)


def embedded(owner: Any) -> Iterator[Any]:
    """Yield what of an object runs on the core device."""
    for _, function in inspect.getmembers(owner, callable):
        record = getattr(function, "artiq_embedded", None)
        if record and record.core_name:
            yield record.function


def on_host(owner: Any) -> Iterator[Any]:
    """Yield the functions of an object's class, and of ours above it, that run on the host."""
    for one in type(owner).__mro__:
        if one.__module__.startswith(("experiments.", "artiq_run_")):
            yield from (function for function in vars(one).values()
                        if inspect.isfunction(function) and not hasattr(function, "artiq_embedded"))  # fmt: skip


def main(file: str, class_name: str, arguments: list[str]) -> int:
    os.environ["ATOMLINK_TARGET"] = "hardware"
    try:
        from artiq.coredevice.core import CompileError
    except ImportError:
        return 3
    from artiq.language.environment import ProcessArgumentManager
    from artiq.master.databases import DatasetDB, DeviceDB
    from artiq.master.worker_db import DatasetManager, DeviceManager
    from artiq.tools import file_import, parse_arguments

    from atomlink.errors import UsageError

    experiment = getattr(file_import(str(ROOT / file), prefix="artiq_run_"), class_name)
    with tempfile.TemporaryDirectory() as folder:
        database = DatasetDB(str(Path(folder) / "dataset_db.mdb"))
        devices = DeviceManager(DeviceDB(str(ROOT / "device_db.py")), virtual_devices=virtual_devices())
        given = ProcessArgumentManager(parse_arguments(arguments))
        try:
            instance = experiment((devices, DatasetManager(database), given, {}))
            instance.prepare()
        except UsageError as error:  # the lab lacks what it needs
            print(f"refused: {error}")
            database.close_db()
            return 0
        # What a register offers and no experiment here calls.
        offered = (*kernels(instance.register, ("cz", "rotate", "store", "recall", "move")),
                   *kernels(instance.register.storage, ("hold",))) if hasattr(instance, "register") else ()  # fmt: skip
        for name, function, values in (*kernels(instance), *of_sequences(instance), *offered):
            try:
                library = instance.core.compile(function, values, {})[1]
            except CompileError:
                print(f"{name}: does not compile", file=sys.stderr)
                return 1
            print(f"{name} {len(library)} bytes", flush=True)
        database.close_db()
    return 0


def virtual_devices() -> dict[str, Any]:
    """Return ARTIQ's own stand-ins for the devices that only its master has."""
    from artiq.frontend.artiq_run import DummyCCB, DummyScheduler

    return {"scheduler": DummyScheduler(), "ccb": DummyCCB()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
