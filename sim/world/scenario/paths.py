"""The dotted path of a number of the scenario, such as `midpoint.detectors.c_h.efficiency`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

from atomlink.errors import ScenarioError

NODES = ("alice", "bob")
DETECTORS = ("c_h", "c_v", "d_h", "d_v")
ROLES = ("cooling", "repump", "pumping", "excitation", "raman_a", "raman_b", "pushout", "rydberg_420",
         "rydberg_1013")  # fmt: skip
_ROOTS = (*NODES, "midpoint")


def paths(scenario: Any) -> Iterator[str]:
    """Give the path of every number of a scenario, one after another."""
    for name in _ROOTS:
        yield from _below(getattr(scenario, name), name)


def _below(part: Any, path: str) -> Iterator[str]:
    if dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            yield from _below(getattr(part, field.name), f"{path}.{field.name}")
    elif isinstance(part, tuple):
        for key, item in enumerate(part):
            yield from _below(item, f"{path}.{DETECTORS[key] if dataclasses.is_dataclass(item) else key}")
    elif isinstance(part, float):
        yield path


def read(scenario: Any, path: str) -> float:
    """Return the number at a path; ScenarioError if there is none."""
    part: Any = scenario
    for key in path.split("."):
        part = _step(part, key, path, scenario)
    if not isinstance(part, float) or path.split(".")[0] not in _ROOTS:
        raise _unknown(path, scenario)
    return part


def _step(part: Any, key: str, path: str, scenario: Any) -> Any:
    if isinstance(part, tuple):
        index = _index(part, key)
        if index is not None:
            return part[index]
    elif dataclasses.is_dataclass(part) and key in part.__dataclass_fields__:
        return getattr(part, key)
    raise _unknown(path, scenario)


def _index(part: tuple[Any, ...], key: str) -> int | None:
    if key in DETECTORS and len(part) == len(DETECTORS) and dataclasses.is_dataclass(part[0]):
        return DETECTORS.index(key)
    return int(key) if key.isdigit() and int(key) < len(part) else None


def _unknown(path: str, scenario: Any) -> ScenarioError:
    near = difflib.get_close_matches(path, list(paths(scenario)), 1)
    return ScenarioError(
        f"Quantity {path!r} does not exist; it must be the dotted path of a number of the scenario, such as "
        f"{near[0] if near else 'alice.excitation.rabi_rad_s'}."
    )


def write(scenario: Any, path: str, value: float) -> Any:
    """Return a scenario with another number at a path; ScenarioError if the number is not allowed there."""
    try:
        return _replaced(scenario, path.split("."), value)
    except ScenarioError as error:
        raise ScenarioError(
            f"{path} has become {value!r} (drifts and instruments together), which is not allowed: {error}"
        ) from None


def _replaced(part: Any, keys: list[str], value: float) -> Any:
    if not keys:
        return value
    if isinstance(part, tuple):
        index = _index(part, keys[0])
        assert index is not None
        return (*part[:index], _replaced(part[index], keys[1:], value), *part[index + 1 :])
    inner = _replaced(getattr(part, keys[0]), keys[1:], value)
    return dataclasses.replace(part, **{keys[0]: inner})
