"""One line for whatever ended a command: an experiment's exception with its place, a device that cannot be made."""

import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from atomlink.errors import DeviceError, LabError, UsageError
from atomlink.files import FULL
from sim.command.device_rows import check_row
from sim.command.paths import short
from sim.gateware.row import resolved
from sim.suggest import closest
from sim.target import target

SIM = str(Path(__file__).parent.parent) + "/"
INSTALLED = (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), SIM, "<frozen")


REAL_CORE = (
    "device_db.py: row `{name}` is a real core device ({module}.{class}), which needs the real ARTIQ; for the "
    "simulated lab end device_db.py with the two lines `from sim.target import apply` and `apply(device_db)`"
)


def explain(error: BaseException) -> tuple[str, int]:
    """Return one line about an exception, and the exit code: 2 for bad input, 1 for a failure of the experiment."""
    if isinstance(error, LabError):
        return str(error), 2
    if isinstance(error, OSError) and error.errno in FULL:
        return f"{error.filename or 'a file'} cannot be written ({error.strerror}): free the disk ({place(error)})", 2
    message = str(error).strip()
    where = place(error)
    if isinstance(error, KeyError) and "Unit " in message:  # ARTIQ's own complaint about NumberValue(unit=…)
        return f"{error.args[0]} ({where})", 2
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"{' | '.join(text.splitlines())} ({where}; --traceback shows more)", 1


def place(error: BaseException) -> str:
    """Return file:line of the innermost frame of the lab's own code, else of the innermost frame."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = list(_frames(error.__traceback__))
    ours = [frame for frame in frames if not frame[0].startswith(INSTALLED)]
    if not frames:
        return "no place known"
    file, line, function = (ours or frames)[-1]
    return f"{short(Path(file))}:{line} in {function}"


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield code.co_filename, traceback.tb_lineno, code.co_name
        traceback = traceback.tb_next


def explain_device(error: Exception, device_db: Mapping[str, Any]) -> LabError | None:
    """Return what is wrong with a device's row, where ARTIQ's device manager failed because of the row."""
    name, cause = _deepest(error)
    try:
        check_row(name, device_db)
    except UsageError as fault:
        return fault
    name = resolved(device_db, name)
    if _is_real_core(device_db.get(name)) and isinstance(cause, (LabError, ImportError)):
        return UsageError(REAL_CORE.format(name=name, **device_db[name]))
    if isinstance(cause, LabError):
        return cause
    if name not in device_db:
        return UsageError(f"unknown device `{name}`{closest(name, device_db)}: device_db.py has no row of that name")
    row = device_db[name]
    where = f"device_db.py: row `{name}`"
    if isinstance(cause, (ModuleNotFoundError, AttributeError)) and _is_missing_class(cause, row):
        return UsageError(f"{where} names {row['module']}.{row['class']}, which does not exist: {cause}")
    if isinstance(cause, TypeError) and "__init__()" in str(cause):
        return UsageError(f"{where} has `arguments` that do not fit {row.get('class')}: {cause}")
    if isinstance(cause, OSError) and row.get("type") != "local":
        address = f"{row.get('host')} port {row.get('port')}"
        return DeviceError(f"controller `{name}` at {address} does not answer ({cause}): start it")
    if isinstance(cause, ImportError) and not _is_missing_class(cause, row):
        return DeviceError(f"{where}: its module {row.get('module')} cannot be imported: {cause}")
    return None


def _deepest(error: BaseException) -> tuple[str, BaseException | None]:
    """Follow a chain of device errors (a driver asks for its core, and so on) to the device that failed."""
    name, cause = "", error.__cause__
    while True:
        match = re.search(r"device '([^']*)'", str(error))
        name, cause = match.group(1) if match else name, error.__cause__
        if cause is None or type(cause) is not type(error):
            return name, cause
        error = cause


def _is_real_core(row: Any) -> bool:
    """Say whether a row is a core device that `sim.target.apply` has not replaced, though the target is the twin."""
    return (isinstance(row, Mapping) and row.get("type") == "local" and row.get("class") == "Core"
            and row.get("module") != "sim.rtio.core" and target(os.environ) == "simulation")  # fmt: skip


def _is_missing_class(cause: BaseException, row: Any) -> bool:
    names = [str(row.get(key)).split(".")[-1] for key in ("module", "class")] if isinstance(row, Mapping) else []
    return any(name in str(cause) for name in names)
