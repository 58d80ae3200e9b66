"""The memories of a network: ensembles in the way behind a port, as the row `network` names them.

    "memories": {"vault": {"port": "alice.port", "rails": 2}, ...}

`rails`: 2 where both polarisations are stored, each in a rail of its own, 1 for one polarisation. Its rows are
`vault_ttl_control`, `vault_dds_control` and `vault_ttl_mot`. Pure data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atomlink.errors import UsageError

SIGNALS = ("ttl_control", "dds_control", "ttl_mot")
_TWO_RAILS = ("polarisation",)  # schemes whose photons are qubits of two polarisations


@dataclass(frozen=True)
class MemorySpec:
    """One memory: its name, the port ("node.port") whose photons go through it, and its rails."""

    name: str
    port: str
    rails: int = 2


def read_memories(table: Any, ports: Iterable[str]) -> tuple[MemorySpec, ...]:
    """Read `network.memories`; UsageError says what is wrong in it."""
    known = sorted(ports)
    if not isinstance(table, Mapping):
        raise UsageError(f"network.memories is {table!r}, but must be a table of names.")
    return tuple(_read(f"network.memories.{name}", name, entry, known) for name, entry in table.items())


def check_memories(memories: tuple[MemorySpec, ...], schemes: Mapping[str, str]) -> None:
    """Refuse two memories behind one port, and a qubit of two polarisations that would go into one rail.

    schemes: how the station heralds that a port ("node.port") reaches.
    """
    for k, memory in enumerate(memories):
        where = f"network.memories.{memory.name}"
        if memory.port in (other.port for other in memories[:k]):
            raise UsageError(f"{where}.port is {memory.port!r}, which has a memory already: name another port.")
        scheme = schemes.get(memory.port, "")
        if scheme in _TWO_RAILS and memory.rails < 2:
            raise UsageError(f"{where}.rails is {memory.rails}, but must be 2: {memory.port} sends qubits of two "
                             f"polarisations (scheme {scheme!r}), of which one rail stores one.")


def _read(where: str, name: str, table: Any, known: list[str]) -> MemorySpec:
    if not isinstance(table, Mapping) or set(table) - {"port", "rails"} or "port" not in table:
        raise UsageError(f"{where} is {table!r}, but must be a table of `port` and `rails`.")
    port, rails = table["port"], table.get("rails", 2)
    if port not in known:
        raise UsageError(f"{where}.port names {port!r}, which the lab does not have; it must be one of "
                         f"{', '.join(known)}.")
    if type(rails) is not int or rails not in (1, 2):
        raise UsageError(f"{where}.rails is {rails!r}, but must be 1 or 2.")
    return MemorySpec(name, port, rails)
