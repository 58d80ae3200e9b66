"""Labs of other shapes than the first one, each its own tables in the shipped device_db.py, or in its scenario.

A lab's scenario is tests/data/labs/NAME.toml; `write` makes the lab in a folder.
"""

import ast
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "tests" / "data" / "labs"


def four(station: str) -> dict[str, str]:
    """Return the detectors of a station with four, by role."""
    return {role: f"{station}_{role}" for role in ("c_h", "c_v", "d_h", "d_v")}


# What each lab says in the tables at the top of device_db.py.
LABS: dict[str, dict[str, Any]] = {
    "three": {
        "NODES": {"n1": 0x010000, "Quokka": 0x030000, "west_2": 0x040000},
        "STATIONS": {
            "left": {"inputs": {"a": ["n1.port"], "b": ["Quokka.port"]},
                     "detectors": four("left"), "entangler": "entangler"},
            "right": {"inputs": {"a": ["Quokka.port"], "b": ["west_2.port"]},
                      "detectors": four("right"), "entangler": "entangler_right"},
        },
        "SWITCHES": {"fibre_switch": {"from": {"Quokka.port": 2}, "to": {"left.b": 18, "right.a": 19}}},
    },
    "solo": {"NODES": {"solo": 0x010000}, "STATIONS": {}},
    "two_detectors": {
        "NODES": {"Emu": 0x010000, "n_2": 0x020000},
        "STATIONS": {"hub": {"inputs": {"a": ["Emu.port"], "b": ["n_2.port"]},
                             "detectors": {"c_h": "apd_h", "c_v": "apd_v"}}},
    },
    **{scheme: {
        "NODES": {"alice": 0x010000, "bob": 0x020000},
        "STATIONS": {"hub": {"scheme": scheme, "inputs": {"a": ["alice.port"], "b": ["bob.port"]},
                             "detectors": {"c": "hub_c", "d": "hub_d"}, "entangler": "entangler"}},
    } for scheme in ("one_photon", "time_bin", "barrett_kok")},
}  # fmt: skip


# Shipped scenarios that are of labs of their own: device_db.py stays as it is.
SHIPPED = ("chain3", "star4")


def write(folder: Path, name: str) -> str:
    """Write a lab into a folder: device_db.py with its tables, the experiments; return its scenario."""
    shutil.copytree(ROOT / "experiments", folder / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    if name not in LABS:
        shutil.copy(ROOT / "device_db.py", folder)
        return name
    (folder / "device_db.py").write_text(with_tables((ROOT / "device_db.py").read_text(), LABS[name]))
    return str(SCENARIOS / f"{name}.toml")


def with_tables(source: str, tables: dict[str, Any]) -> str:
    """Return device_db.py with other values of its tables."""
    lines = source.splitlines()
    found = {}
    for statement in ast.parse(source).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if isinstance(target, ast.Name) and target.id in tables:
            found[target.id] = statement
    assert found.keys() == tables.keys(), f"device_db.py has no table {tables.keys() - found.keys()}"
    for name, statement in sorted(found.items(), key=lambda item: -item[1].lineno):
        lines[statement.lineno - 1 : statement.end_lineno] = [f"{name} = {tables[name]!r}"]
    return "\n".join(lines) + "\n"
