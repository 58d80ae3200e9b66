"""The dotted path of a number of the scenario, such as `midpoint.detectors.c_h.efficiency`.

It begins with the name of a node or a station. Detectors go by their roles; the ports of a node beyond its first by
their names (`charlie.east.fibre.insertion`), the first by the node's own fields (`charlie.fibre.insertion`).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

from atomlink.errors import ScenarioError

ROLES = ("cooling", "repump", "pumping", "excitation", "raman_a", "raman_b", "pushout", "rydberg_420",
         "rydberg_1013", "transfer", "clock")  # fmt: skip


def paths(scenario: Any) -> Iterator[str]:
    """Give the path of every number of a scenario, one after another."""
    for name, part in _roots(scenario).items():
        yield from _below(part, name)


def _roots(scenario: Any) -> dict[str, Any]:
    """Return nodes, stations and memories by name."""
    topology = scenario.topology
    specs = *topology.nodes, *topology.stations, *topology.memories
    parts = *scenario.nodes, *scenario.stations, *scenario.memories
    return {spec.name: part for spec, part in zip(specs, parts, strict=True)}


def _below(part: Any, path: str) -> Iterator[str]:
    if _has_fields(part):
        for field in dataclasses.fields(part):
            inner = getattr(part, field.name)
            if field.name == "more_ports":
                for port in inner:
                    yield from _below(port, f"{path}.{port.name}")
            elif field.name == "detectors":
                for role, detector in zip(part.roles, inner, strict=True):
                    yield from _below(detector, f"{path}.detectors.{role}")
            else:
                yield from _below(inner, f"{path}.{field.name}")
    elif isinstance(part, tuple):
        for key, item in enumerate(part):
            yield from _below(item, f"{path}.{key}")
    elif isinstance(part, float):
        yield path


def _has_fields(part: Any) -> bool:
    return dataclasses.is_dataclass(part)


def read(scenario: Any, path: str) -> float:
    """Return the number at a path; ScenarioError if there is none."""
    name, *keys = path.split(".")
    part: Any = _roots(scenario).get(name)
    for field, index in _steps(part, keys):
        part = getattr(part, field) if isinstance(field, str) else part
        part = part if index is None else part[index]
    if not isinstance(part, float) or not keys:
        raise _unknown(path, scenario)
    return part


def _steps(part: Any, keys: list[str]) -> Iterator[tuple[str | None, int | None]]:
    """Give (field, index in it) for the keys of a path, one step after another; stops where there is no way on."""
    keys = list(keys)
    while keys:
        key = keys.pop(0)
        field: str | None = None
        index: int | None = None
        if isinstance(part, tuple):
            index = int(key) if key.isdigit() and int(key) < len(part) else None
        elif _has_fields(part):
            names = [port.name for port in getattr(part, "more_ports", ())]
            if key in names:
                field, index = "more_ports", names.index(key)
            elif key == "detectors" and keys and keys[0] in part.roles:
                field, index = key, part.roles.index(keys.pop(0))
            elif key in part.__dataclass_fields__:
                field = key
        if field is None and index is None:
            yield "__class__", None  # no number: the path ends nowhere
            return
        yield field, index
        part = getattr(part, field) if field is not None else part
        part = part if index is None else part[index]


def _unknown(path: str, scenario: Any) -> ScenarioError:
    known = list(paths(scenario))
    near = difflib.get_close_matches(path, known, 1)
    return ScenarioError(
        f"Quantity {path!r} does not exist; it must be the dotted path of a number of the scenario, such as "
        f"{near[0] if near else next((name for name in known if name.endswith('.excitation.rabi_rad_s')), known[0])}."
    )


def write(scenario: Any, path: str, value: float) -> Any:
    """Return a scenario with another number at a path that there is; ScenarioError if it is not allowed there."""
    name, *keys = path.split(".")
    part = _roots(scenario)[name]
    try:
        return scenario.changed(**{name: _replaced(part, list(_steps(part, keys)), value)})
    except ScenarioError as error:
        raise ScenarioError(
            f"{path} has become {value!r} (drifts and instruments together), which is not allowed: {error}"
        ) from None


def _replaced(part: Any, steps: list[tuple[str | None, int | None]], value: float) -> Any:
    if not steps:
        return value
    field, index = steps[0]
    inner = part if field is None else getattr(part, field)
    if index is None:
        inner = _replaced(inner, steps[1:], value)
    else:
        inner = (*inner[:index], _replaced(inner[index], steps[1:], value), *inner[index + 1 :])
    return inner if field is None else dataclasses.replace(part, **{field: inner})
