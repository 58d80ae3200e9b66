"""Tables of a TOML file before anything is made of them: their shape, and how one goes over another."""

from __future__ import annotations

from typing import Any

from atomlink.errors import ScenarioError, brief

DEEPEST = 20  # tables and lists within one another; a scenario has five


def check_nesting(table: dict[str, Any]) -> None:
    """Refuse what TOML's reader lets through: integers beyond 64 bits, tables within tables without end."""
    level: list[tuple[str, Any]] = list(table.items())
    for _ in range(DEEPEST):
        for path, value in level:
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ScenarioError(f"{path} is an integer of {value.bit_length()} bits, but must have 64 at most.")
        level = [(f"{path}.{key}", entry) for path, value in level for key, entry in _entries(value)]
    if level:
        path = level[0][0]
        raise ScenarioError(f"{path[:60]}… is nested more than {DEEPEST} deep, but a scenario's tables are not.")


def _entries(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []


def take_table(holder: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    """Take a table out of the one that holds it, an empty one where it is not there."""
    value = holder.pop(key, {})
    if not isinstance(value, dict):
        raise ScenarioError(f"{path} is {brief(value)}, but must be a table of fields: write [{path}].")
    return dict(value)  # its own: both nodes may have it from the table that they share


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return a table with another one over it; a table with a `kind` of its own takes the place of what was there."""
    out = dict(base)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(out.get(key), dict) and "kind" not in value
        out[key] = merged(out[key], value) if nested else value
    return out
