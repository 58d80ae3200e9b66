"""The whole of `make test` with the lowest and the newest libraries, on each Python of this machine that is promised.

    python tests/pythons.py lowest      # pip's constraints: the lower bounds of pyproject.toml, exactly
    python tests/pythons.py test        # newest libraries on each Python, the lowest on the oldest and on the newest
    python tests/pythons.py ends        # lowest libraries on the oldest Python, newest ones on the newest

Which Pythons are promised: the classifiers of pyproject.toml. They are looked for on PATH and among pyenv's. Each
environment is made anew in .venvs/. Exit code 1 if one of them fails; a Python that is not there is only named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENVS = ".venvs"
CLASSIFIER = "Programming Language :: Python :: "
SHOWN = ("numpy", "scipy", "h5py", "matplotlib", "numba")
PROBE = "import ensurepip, platform, venv; print(platform.python_version())"
Version = tuple[int, ...]


def project() -> dict[str, Any]:
    """Return the table [project] of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lowest(table: dict[str, Any]) -> list[str]:
    """Return a constraint `name==bound` for each requirement `name>=bound`; ARTIQ's own extra is not on PyPI.

    Raises ValueError for a requirement without a lower bound.
    """
    extras = table.get("optional-dependencies", {})
    needed = [*table["dependencies"], *(need for extra, needs in extras.items() if extra != "artiq" for need in needs)]
    constraints = []
    for need in needed:
        if need.startswith(f"{table['name']}["):
            continue
        bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)", need)
        if bound is None:
            raise ValueError(f"Requirement {need!r} must be `name>=version`: write the lowest version that was tried.")
        constraints.append(f"{bound[1]}=={bound[2]}")
    return constraints


def promised(table: dict[str, Any]) -> list[Version]:
    """Return the minor versions of Python in the classifiers, oldest first."""
    names = [entry.removeprefix(CLASSIFIER) for entry in table["classifiers"] if entry.startswith(CLASSIFIER)]
    return sorted(number(name) for name in names)


def number(version: str) -> Version:
    """Return (3, 12, 1) for "3.12.1"."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def candidates() -> list[Path]:
    """Return what may be a Python: python3* of each folder of PATH, and pyenv's, whose shims hide all but one."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    roots = [folder.parent for folder in folders if folder.name == "shims"]
    roots += [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")]
    folders += [path for root in roots for path in sorted(root.glob("versions/3.*/bin"))]
    return list(dict.fromkeys(path for folder in folders for path in sorted(folder.glob("python3*"))
                              if re.fullmatch(r"python3(\.\d+)?", path.name)))  # fmt: skip


def found(minors: list[Version]) -> dict[Version, str]:
    """Return the newest Python of each of the minor versions that runs and can make an environment."""
    best: dict[Version, tuple[Version, str]] = {}
    for path in candidates():
        try:
            done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = number(done.stdout) if not done.returncode else ()
        if version[:2] in minors and version > best.get(version[:2], ((), ""))[0]:
            best[version[:2]] = version, str(path)
    return {minor: best[minor][1] for minor in minors if minor in best}


def plan(pythons: list[Version], ends: bool) -> list[tuple[Version, str]]:
    """Return which Python is tried with which libraries, "lowest" or "newest"."""
    oldest, newest = pythons[0], pythons[-1]
    if ends:
        return [(oldest, "lowest"), (newest, "newest")]
    return [*((minor, "newest") for minor in pythons), *((minor, "lowest") for minor in sorted({oldest, newest}))]


def tried(minor: Version, python: str, libraries: str) -> tuple[int, str]:
    """Run `make test` in an environment of its own; return its exit code and a line that tells of it."""
    name = f"{VENVS}/{minor[0]}.{minor[1]}-{libraries}"
    shutil.rmtree(ROOT / name, ignore_errors=True)
    print(f"\n== Python {minor[0]}.{minor[1]} ({python}), {libraries} libraries", flush=True)
    start = time.monotonic()
    done = subprocess.run(["make", "test", f"PYTHON={python}", f"VENV={name}", f"LIBRARIES={libraries}"], cwd=ROOT,
                          check=False)  # fmt: skip
    minutes = (time.monotonic() - start) / 60
    listed = f"from importlib.metadata import version; print(*(f'{{n}} {{version(n)}}' for n in {SHOWN}), sep=', ')"
    seen = subprocess.run([f"{name}/bin/python", "-c", listed], cwd=ROOT, capture_output=True, text=True, check=False)
    verdict = "failed" if done.returncode else "passed"
    what = seen.stdout.strip() or "not installed"
    return done.returncode, f"{minor[0]}.{minor[1]}  {libraries}  {verdict}  {minutes:4.1f} min  {what}"


def main() -> int:
    """Do what the command line names."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command == "lowest":
        print("\n".join(lowest(project())))
        return 0
    if command not in ("test", "ends"):
        print(f"pythons.py: {command or 'no command'!r}: it must be one of lowest, test, ends", file=sys.stderr)
        return 2
    minors = promised(project())
    pythons = found(minors)
    if not pythons:
        print(f"pythons.py: none of Python {', '.join(f'{a}.{b}' for a, b in minors)} is here: install one",
              file=sys.stderr)  # fmt: skip
        return 2
    results = [tried(minor, pythons[minor], libraries) for minor, libraries in plan(list(pythons), command == "ends")]
    print("\n" + "\n".join(line for _, line in results))
    print("".join(f"{a}.{b}  not found on this machine\n" for a, b in minors if (a, b) not in pythons), end="")
    return int(any(code for code, _ in results))


if __name__ == "__main__":
    sys.exit(main())
