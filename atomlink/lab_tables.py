"""The tables at the top of device_db.py, which say which lab it is; a simulated lab may bring its own.

    NODES      {"alice": 0x010000, ...}                the channel of each node's satellite: DRTIO destination << 16
    PORTS      {"charlie": ("west", "east")}           of nodes whose ports are others than one called "port"
    STATIONS   {"left": {"inputs": {...}, "detectors": {...}, "entangler": "entangler"}, ...}      as in `topology`
    SWITCHES   {"fibre_switch": {"from": {...}, "to": {...}}}
    MEMORIES   {"vault": {"base": 0x030000, "port": "alice.port", "rails": 2}}   with its satellite; `memory_spec`

A scenario of another lab than the one that device_db.py describes has them in its table `[lab]`: `nodes`, `ports`,
`stations`, `switches`, `memories`. Only a simulated lab follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from atomlink.errors import UsageError

TABLES = ("nodes", "ports", "stations", "switches", "memories")
_SATELLITE = 0x10000


class LabTables(NamedTuple):
    """The tables of one lab."""

    nodes: dict[str, int]
    ports: dict[str, tuple[str, ...]]
    stations: dict[str, dict[str, Any]]
    switches: dict[str, dict[str, Any]]
    memories: dict[str, dict[str, Any]]

    def network(self) -> dict[str, Any]:
        """Return the arguments of the row `network`."""
        nodes = {node: {"ports": list(self.ports.get(node, ("port",)))} for node in self.nodes}
        found = {"nodes": nodes, "stations": self.stations, "switches": self.switches}
        ways = {name: {key: value for key, value in table.items() if key != "base"}
                for name, table in self.memories.items()}  # fmt: skip
        return found | {"memories": ways} if ways else found


def read(lab: Mapping[str, Any]) -> LabTables:
    """Return the tables of a scenario's `[lab]`; UsageError where they are none. What they connect is checked later."""
    for key, value in lab.items():
        if key not in TABLES:
            raise UsageError(f"lab.{key} does not exist; it must be one of {', '.join(TABLES)}.")
        if not isinstance(value, dict):
            raise UsageError(f"lab.{key} is {value!r}, but must be a table of names: write [lab.{key}].")
    nodes, memories = lab.get("nodes", {}), lab.get("memories", {})
    bases = {f"nodes.{node}": base for node, base in nodes.items()}
    for name, table in memories.items():
        bases[f"memories.{name}.base"] = table.get("base") if isinstance(table, dict) else table
    for where, base in bases.items():
        if type(base) is not int or base < _SATELLITE or base % _SATELLITE or list(bases.values()).count(base) > 1:
            raise UsageError(f"lab.{where} is {base!r}, but must be the first channel of a satellite of its own: "
                             "0x010000, 0x020000, …")  # fmt: skip
    unknown = set(lab.get("ports", {})) - set(nodes)
    if unknown:
        raise UsageError(f"lab.ports.{min(unknown)} is of no node of the lab: name it in lab.nodes, or take it out.")
    for node, names in lab.get("ports", {}).items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"lab.ports.{node} is {names!r}, but must be a list of names: [\"east\", \"west\"].")
    ports = {node: tuple(names) for node, names in lab.get("ports", {}).items()}
    return LabTables(dict(nodes), ports, dict(lab.get("stations", {})), dict(lab.get("switches", {})), dict(memories))
