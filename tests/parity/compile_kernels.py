"""Compile every kernel of one experiment with real ARTIQ: `python compile_kernels.py FILE CLASS [ARG=VALUE ...]`.

Runs in an interpreter that has real ARTIQ (see test_compiles.py). Prints one line per kernel compiled; exits 1 at the first
error, which the compiler prints, and 3 where there is no real ARTIQ.
"""

import inspect
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def kernels(owner: Any, seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield (name, bound kernel) of an object and its children: those that the host can call without arguments."""
    if type(owner).__name__ in seen:
        return
    seen.add(type(owner).__name__)
    for name, function in inspect.getmembers(owner, callable):
        embedded = getattr(function, "artiq_embedded", None)
        if embedded and embedded.core_name and not embedded.portable and len(inspect.signature(function).parameters) == 0:
            yield f"{type(owner).__name__}.{name}", function
    for child in owner.children:
        yield from kernels(child, seen)


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

    experiment = getattr(file_import(str(ROOT / file), prefix="artiq_run_"), class_name)
    with tempfile.TemporaryDirectory() as folder:
        database = DatasetDB(str(Path(folder) / "dataset_db.mdb"))
        devices = DeviceManager(DeviceDB(str(ROOT / "device_db.py")), virtual_devices=virtual_devices())
        given = ProcessArgumentManager(parse_arguments(arguments))
        instance = experiment((devices, DatasetManager(database), given, {}))
        instance.prepare()
        for name, function in kernels(instance, set()):
            try:
                library = instance.core.compile(function, [], {})[1]
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
