"""Helpers that commands and experiments share: arguments, loading files, finding experiments, showing values."""

import importlib.machinery
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from artiq import __version__ as artiq_version
from artiq.appdirs import user_config_dir
from artiq.language import units
from artiq.language.environment import is_public_experiment

from sim.artiq_runtime import pyon

__all__ = [
    "asyncio_wait_or_cancel", "elide", "exc_to_warning", "file_import", "get_experiment", "get_user_config_dir",
    "get_windows_drives", "parse_arguments", "parse_devarg_override", "scale_from_metadata", "short_format",
    "unparse_devarg_override",
]  # fmt: skip

logger = logging.getLogger(__name__)


def parse_arguments(arguments: Iterable[str]) -> dict[str, Any]:
    """Return the arguments given as NAME=PYON texts; ValueError names the one that is not PYON."""
    parsed = {}
    for argument in arguments:
        name, _, text = argument.partition("=")
        try:
            parsed[name] = pyon.decode(text)
        except ValueError as error:
            raise ValueError(f"Argument `{argument}` must be NAME=VALUE: {error}") from error
    return parsed


def parse_devarg_override(devarg_override: str) -> dict[str, dict[str, Any]]:
    """Return the overrides of device arguments in "device:argument=PYON" items separated by blanks."""
    overrides: dict[str, dict[str, Any]] = {}
    for item in devarg_override.split():
        device, _, override = item.partition(":")
        argument, _, text = override.partition("=")
        if not override or not text:
            raise ValueError(f"Device override {item!r} must be device:argument=value")
        overrides.setdefault(device, {})[argument] = pyon.decode(text)
    return overrides


def unparse_devarg_override(devarg_override: dict[str, dict[str, Any]]) -> str:
    """Return overrides of device arguments as the text that `parse_devarg_override` reads."""
    return " ".join(
        f"{device}:{argument}={pyon.encode(value)}"
        for device, overrides in devarg_override.items()
        for argument, value in overrides.items()
    )


def elide(s: str, maxlen: int) -> str:
    """Return the first line of `s` in at most `maxlen` characters, with "..." where something was left out."""
    first_line = s.split("\n", 1)[0]
    if first_line == s and len(s) <= maxlen:
        return s
    return first_line[: maxlen - 3] + "..."


def scale_from_metadata(metadata: dict[str, Any]) -> Any:
    """Return the scale that a dataset is shown with: its own, or its unit's, or 1."""
    return metadata.get("scale", getattr(units, metadata.get("unit", ""), 1))


def short_format(v: Any, metadata: dict[str, Any] | None = None) -> str | None:
    """Return a value in one short line, in the unit, scale and precision of its metadata."""
    metadata = {} if metadata is None else metadata
    scale, precision = scale_from_metadata(metadata), metadata.get("precision")
    suffix = f" {metadata['unit']}" if metadata.get("unit") else ""
    if v is None:
        return "None"
    kind = type(v)
    if np.issubdtype(kind, np.number):
        return np.format_float_positional(np.divide(v, scale), precision=precision, trim="-", unique=True) + suffix
    if np.issubdtype(kind, np.bool_):
        return str(v)
    if np.issubdtype(kind, np.str_):
        return f'"{elide(v, 50)}"'
    if kind is np.ndarray:
        layout: dict[str, Any] = {"max_line_width": 1000, "suppress_small": True, "separator": ", ", "threshold": 4}
        layout |= {"edgeitems": 2, "floatmode": "maxprec", "precision": precision}
        return np.array2string(np.divide(v, scale), **layout) + suffix
    if isinstance(v, dict | list):
        return f"{kind.__name__} ({len(v)})"
    return None


def file_import(filename: str | os.PathLike[str], prefix: str = "file_import_") -> ModuleType:
    """Load a Python file as a module, with the file's own folder first on the path while it loads."""
    path = Path(filename)
    module_name = prefix + path.stem
    folder = str(path.resolve().parent)
    spec = importlib.util.spec_from_loader(
        module_name, importlib.machinery.SourceFileLoader(module_name, str(path))
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def get_experiment(module: Any, class_name: str | None = None) -> Any:
    """Return the named experiment class of a module (dots reach into classes), or its only one."""
    if class_name:
        found = module
        for name in class_name.split("."):
            found = getattr(found, name)
        return found
    experiments = inspect.getmembers(module, is_public_experiment)
    if not experiments:
        raise ValueError("No experiments in module")
    if len(experiments) > 1:
        raise ValueError("More than one experiment found in module")
    return experiments[0][1]


async def exc_to_warning(coro: Any) -> None:
    """Wait for a coroutine; an exception in it becomes a warning in the log."""
    try:
        await coro
    except Exception:
        logger.warning("asyncio coroutine terminated with exception", exc_info=True)


async def asyncio_wait_or_cancel(fs: Iterable[Any], **kwargs: Any) -> list[Any]:
    """Wait as `asyncio.wait` does, and cancel what is still pending then."""
    import asyncio  # here, because starting a command must not pay for it

    tasks = [asyncio.ensure_future(f) for f in fs]
    try:
        _, pending = await asyncio.wait(tasks, **kwargs)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
    for task in pending:
        task.cancel()
        await asyncio.wait([task])
    return tasks


def get_windows_drives() -> list[str]:
    """Return the letters of the drives of a Windows machine."""
    import ctypes
    import string

    bitmask = ctypes.windll.kernel32.GetLogicalDrives()  # type: ignore[attr-defined]
    return [letter for i, letter in enumerate(string.ascii_uppercase) if bitmask >> i & 1]


def get_user_config_dir() -> str:
    """Return the folder for this user's settings of this major version, creating it."""
    folder = user_config_dir("artiq", "m-labs", artiq_version.split(".")[0])
    os.makedirs(folder, exist_ok=True)
    return folder
