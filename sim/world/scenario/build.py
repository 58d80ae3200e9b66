"""Frozen dataclasses out of TOML tables: whatever is unknown, missing or of another kind is refused with its path."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from typing import Any

from atomlink.errors import ScenarioError, brief

_KINDS: dict[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def build(cls: type, table: dict[str, Any], path: str) -> Any:
    """Build a frozen dataclass from a table, nested ones too; refuse what it does not know and name what is missing."""
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        key, value = _angular(key, value, hints)
        where = f"{path}.{key}" if path else key
        if key not in hints:
            raise unknown(where, key, value, hints)
        values[key] = _value(hints[key], value, where)
    for item in dataclasses.fields(cls):
        if (
            item.name not in values
            and item.default is dataclasses.MISSING
            and item.default_factory is dataclasses.MISSING
        ):
            raise ScenarioError(
                f"{path + '.' if path else ''}{item.name} is missing; it must be given in the scenario."
            )
    try:
        return cls(**values)
    except ScenarioError as error:
        given = [f"{key} = {value!r}" for key, value in table.items()
                 if key.endswith("_over_2pi_hz") and f".{_angular(key, value, hints)[0]} is " in str(error)]
        note = f" It was given as {given[0]}." if given else ""
        raise ScenarioError((f"{path}: " if path else "") + str(error) + note) from None


def unknown(where: str, key: str, value: Any, hints: dict[str, Any]) -> ScenarioError:
    """Tell that a field does not exist, and which ones do: a wrong unit is a wrong name."""
    known = [*hints, *(f"{name.removesuffix('_rad_s')}_over_2pi_hz" for name in hints if name.endswith("_rad_s"))]
    near = difflib.get_close_matches(key, known, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"it must be one of {', '.join(known)}."
    return ScenarioError(f"{where} does not exist in a scenario (its value is {brief(value)}); {remedy}")


def _angular(key: str, value: Any, hints: dict[str, Any]) -> tuple[str, Any]:
    angular = key.removesuffix("_over_2pi_hz") + "_rad_s"
    if not key.endswith("_over_2pi_hz") or angular not in hints:
        return key, value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return angular, 2 * math.pi * value if number else value  # what is no number is refused with the other fields


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a value as its field holds it; refuse one that is of another kind."""
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return build(typing.cast(type, hint), value, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in _KINDS:
        if type(value) is not hint:
            raise ScenarioError(f"{where} is {brief(value)}, but must be {_KINDS[hint]}.")
        return value
    if isinstance(value, list) and not dataclasses.is_dataclass(hint) and not isinstance(hint, types.UnionType):
        return tuple(float(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value)
    if typing.get_origin(hint) is tuple and not isinstance(value, tuple):
        raise ScenarioError(f"{where} is {brief(value)}, but must be a list.")
    if dataclasses.is_dataclass(hint) and not isinstance(value, typing.cast(type, hint)):
        raise ScenarioError(f"{where} is {brief(value)}, but must be a table of fields.")
    if isinstance(hint, types.UnionType) and not isinstance(value, typing.get_args(hint)):
        raise ScenarioError(f"{where} is {brief(value)}, but must be a table of fields.")
    return value
