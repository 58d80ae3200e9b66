"""What is installed, which engines there are, what is missing and the command that gets it."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import atomlink
from atomlink.errors import LabError
from sim import artiq_runtime, target
from sim.command.lab import Lab, find_lab

PYTHON_NEEDED = (3, 11)
COMPILER_TOOLS = ("ld.lld", "llvm-strip", "llvm-symbolizer", "llvm-cxxfilt")  # what artiq.compiler.targets calls
GET_TOOLS = "apt install lld llvm (Debian, Ubuntu; a version suffix such as ld.lld-15 needs a link without it)"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do where it is missing."""

    what: str
    found: str
    remedy: str = ""
    needed: bool = False    # False: atomlink works without it

    def __str__(self) -> str:
        mark = "ok" if not self.remedy else "MISSING" if self.needed else "-"
        return f"{mark:8}{self.what:22}{self.found}" + (f"\n{'':30}get it: {self.remedy}" if self.remedy else "")


def print_findings() -> int:
    """Print every finding; return 1 where something needed is missing."""
    findings = [*_python(), *_packages(), *_artiq(), *_tools(), *_lab()]
    for finding in findings:
        print(finding)
    return int(any(finding.needed and finding.remedy for finding in findings))


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    enough = sys.version_info >= PYTHON_NEEDED
    yield Finding("python", f"{version}, {sys.executable}", "" if enough else "Python 3.11 or newer", needed=True)
    yield Finding("atomlink", f"{atomlink.__version__}, {Path(atomlink.__file__).parent.parent}")


def _packages() -> Iterator[Finding]:
    """Look at each package that the project declares, default and extras."""
    for requirement in importlib.metadata.requires("atomlink") or ():
        name, extra = _parsed(requirement)
        if extra == "artiq" or name == "atomlink":  # found by importing it; itself
            continue
        install = _install(extra) if extra else f"{sys.executable} -m pip install {name}"
        note = f" (extra {extra})" if extra else ""
        try:
            yield Finding(name, importlib.metadata.version(name) + note)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "not installed" + note, install, needed=not extra)


def _parsed(requirement: str) -> tuple[str, str]:
    """Return the name of a requirement and the extra that it belongs to, empty for a default one."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", requirement)
    return (name.group(0) if name else requirement), (extra.group(1) if extra else "")


def _install(extra: str) -> str:
    checkout = Path(atomlink.__file__).parent.parent
    return f"{sys.executable} -m pip install --editable '{checkout}[{extra}]'"


def _artiq() -> Iterator[Finding]:
    artiq_runtime.install()
    import artiq

    real = not getattr(artiq, "__host_runtime__", False)
    get = f"{_install('artiq')} (needs git)"
    place = str(Path(artiq.__file__).parent) if real else "pip-only runtime"
    language = "real ARTIQ's language" if real else "the pip-only runtime"
    yield Finding("ARTIQ", f"{artiq.__version__}, {place}", "" if real else f"{get}: for hardware, master, dashboard")
    yield Finding("engine: host", f"kernels in this Python interpreter, under {language}")
    yield Finding("engine: hardware", "ATOMLINK_TARGET=hardware" if real else "needs real ARTIQ", "" if real else get)


def _rows(lab: Lab) -> Iterator[Finding]:
    """Look at the rows of the device database: what is wrong, and what the twin has no model of."""
    from sim.command.device_rows import faults
    from sim.command.examine import load_device_db
    from sim.command.failures import explain

    try:
        device_db = load_device_db(lab).get_device_db()
    except Exception as error:  # noqa: BLE001 - whatever a lab's file does; it is the finding
        yield Finding("device_db.py", explain(error)[0])
        return
    inert = Counter(row["arguments"]["device_class"] for row in device_db.values()
                    if isinstance(row, Mapping) and "instead_of" in row)  # fmt: skip
    named = "; no model, refused once used: " + ", ".join(f"{count} {name}" for name, count in inert.items())
    yield Finding("device_db.py", f"{len(device_db)} rows" + (named if inert else ""))
    for fault in faults(device_db):
        yield Finding("device_db.py", fault.removeprefix("device_db.py: "))


def _tools() -> Iterator[Finding]:
    for tool in COMPILER_TOOLS:
        path = shutil.which(tool)
        yield Finding(tool, path or "not found (compiles kernels for hardware)", "" if path else GET_TOOLS)


def _lab() -> Iterator[Finding]:
    try:
        lab = find_lab(Path.cwd())
        yield Finding("lab", str(lab.root))
        yield from _rows(lab)
    except LabError as error:
        yield Finding("lab", str(error))
    for read in (target.target, target.scenario, target.seed, target.costs):
        name = read.__name__
        try:
            yield Finding(name, str(read(os.environ)))
        except LabError as error:
            yield Finding(name, str(error), f"unset ATOMLINK_{name.upper()}, or set it to what it must be", needed=True)
    yield Finding("scenarios", ", ".join(target.scenario_files()))
    yield Finding("cost presets", ", ".join(target.COST_PRESETS))
