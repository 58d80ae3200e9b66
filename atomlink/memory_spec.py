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
from atomlink.topology_checks import ROW, check_keys, check_known, table_of

_TWO_RAILS = ("polarisation",)  # schemes whose photons are qubits of two polarisations


@dataclass(frozen=True)
class MemorySpec:
    """One memory: its name, the port ("node.port") whose photons go through it, and its rails."""

    name: str
    port: str
    rails: int = 2


def of_memory(memory: str, key: str) -> str:
    """Return the name of a parameter of a memory."""
    return f"param.{memory}.{key}"


def read_memories(table: Any, ports: Iterable[str]) -> tuple[MemorySpec, ...]:
    """Read `network.memories`; UsageError says what is wrong in it."""
    known = tuple(ports)
    entries = table_of(table, "memories").items()
    return tuple(_read(name, table_of(entry, f"memories.{name}"), known) for name, entry in entries)


def check_memories(memories: tuple[MemorySpec, ...], schemes: Mapping[str, str]) -> None:
    """Refuse two memories behind one port, and a qubit of two polarisations that would go into one rail.

    schemes: how the station heralds that a port ("node.port") reaches.
    """
    for k, memory in enumerate(memories):
        where = f"{ROW}.memories.{memory.name}"
        if memory.port in (other.port for other in memories[:k]):
            raise UsageError(f"{where}.port is {memory.port!r}, which has a memory already: name another port.")
        scheme = schemes.get(memory.port, "")
        if scheme in _TWO_RAILS and memory.rails < 2:
            raise UsageError(f"{where}.rails is {memory.rails}, but must be 2: {memory.port} sends qubits of two "
                             f"polarisations (scheme {scheme!r}), of which one rail stores one.")


def _read(name: str, table: Mapping[str, Any], known: Iterable[str]) -> MemorySpec:
    where = f"{ROW}.memories.{name}"
    check_keys(table, ("port", "rails"), where)
    port, rails = table.get("port", ""), table.get("rails", 2)
    check_known(f"{where}.port", port, known)
    if type(rails) is not int or rails not in (1, 2):
        raise UsageError(f"{where}.rails is {rails!r}, but must be 1 or 2.")
    return MemorySpec(name, port, rails)
