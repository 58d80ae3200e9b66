"""A scenario that is of a lab of its own: the tables that then take the place of those of `device_db.py`.

`atomlink run … --scenario chain3`, or ATOMLINK_SCENARIO=chain3 under ARTIQ's own commands, is then all that it takes:
device_db.py calls `tables` before it makes its rows. The hardware is what device_db.py says; the rows that the lab of a
scenario would have as hardware are there with ATOMLINK_TARGET=hardware ATOMLINK_ROWS_OF=chain3.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atomlink.lab_tables import LabTables, read
from sim import target


def tables(nodes: dict[str, int], ports: dict[str, tuple[str, ...]], stations: dict[str, dict[str, Any]],
           switches: dict[str, dict[str, Any]], memories: dict[str, dict[str, Any]],
           environment: Mapping[str, str] | None = None) -> LabTables:  # fmt: skip
    """Return the tables of the lab to simulate: those given, unless its scenario has its own."""
    environment = os.environ if environment is None else environment
    given = LabTables(nodes, ports, stations, switches, memories)
    which = target.target(environment)
    rows_of = environment.get("ATOMLINK_ROWS_OF", "")
    if rows_of or which == "hardware":
        lab = lab_of(rows_of)
        return given if lab is None else read(lab)
    if environment.get("ATOMLINK_LAB"):
        name = str(target.of_lab(environment["ATOMLINK_LAB"])["scenario"])
    elif which == "virtual":
        name = str(target.of_core(environment)["scenario"])
    else:
        name = target.scenario(environment)
    lab = lab_of(name)
    return given if lab is None else read(lab)


def lab_of(scenario: str) -> dict[str, Any] | None:
    """Return the table `[lab]` of a scenario (name or path) or of the one that it extends; None where there is none.

    What cannot be read is for the loader to say.
    """
    known = target.scenario_files()
    while scenario:
        path = known.get(scenario, Path(scenario))
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        if "lab" in table:
            return table["lab"] if isinstance(table["lab"], dict) else None
        base = table.get("extends")
        scenario = base if isinstance(base, str) and base in known else ""
    return None
