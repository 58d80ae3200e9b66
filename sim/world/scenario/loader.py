"""A scenario: the hidden truth of a simulated lab, read from TOML into frozen parameters.

`[nodes]` holds what the nodes share, `[alice]` and `[bob]` what differs; `[midpoint]` and `[wiring]` the rest; `extends
= "default"` starts from another shipped scenario, a table with a `kind` of its own replaces the one it extends. A field
`x_rad_s` may be given as `x_over_2pi_hz`. Whatever is unknown, missing or out of range is refused with its path.
Drivers, experiments and analysis never read this.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from atomlink.errors import ScenarioError, brief
from sim.physics.detector import Detector
from sim.world.ports import KINDS
from sim.world.scenario.array_truth import ArrayTruth, RydbergTruth
from sim.world.scenario.drifts import PROCESSES, DriftTable
from sim.world.scenario.paths import DETECTORS, NODES, ROLES, read
from sim.world.scenario.toml_tables import check_nesting, merged, take_table
from sim.world.scenario.truth import MidpointTruth, NodeTruth, Scenario

FOLDER = Path(__file__).parents[2] / "scenarios"
_KINDS: dict[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def scenario_names() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_scenario(name_or_path: str) -> Scenario:
    """Read a shipped scenario by name, or a file by path; ScenarioError names what is wrong in it."""
    path, table = _read(name_or_path)
    return _scenario(path.stem, table)


def _read(name_or_path: str) -> tuple[Path, dict[str, Any]]:
    path = FOLDER / f"{name_or_path}.toml" if name_or_path in scenario_names() else Path(name_or_path)
    if not path.is_file():
        near = difflib.get_close_matches(name_or_path, scenario_names(), 1)
        raise ScenarioError(
            f"Scenario {name_or_path!r} does not exist; it must be one of {', '.join(scenario_names())} "
            "or the path of a TOML file" + (f"; did you mean {near[0]!r}?" if near else ".")
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # TOML's and UTF-8's own errors are ValueErrors, as are long integers
        raise ScenarioError(f"Scenario {path} is no valid TOML: {error}.") from None
    except OSError as error:
        raise ScenarioError(f"Scenario {path} cannot be read: {error.strerror}.") from None
    check_nesting(table)
    base = table.pop("extends", None)
    if base is not None and base not in scenario_names():
        raise ScenarioError(f"{path}: extends is {brief(base)}, but must be one of {', '.join(scenario_names())}.")
    return path, merged(_read(base)[1], table) if base else table


def _scenario(name: str, table: dict[str, Any]) -> Scenario:
    shared = take_table(table, "nodes", "nodes")
    for node in NODES:
        table[node] = _node(merged(shared, take_table(table, node, node)), node)
    midpoint = take_table(table, "midpoint", "midpoint")
    detector, each = (take_table(midpoint, key, f"midpoint.{key}") for key in ("detector", "detectors"))
    unknown = set(each) - set(DETECTORS)
    if unknown:
        raise ScenarioError(
            f"midpoint.detectors.{unknown.pop()} does not exist; it must be one of {', '.join(DETECTORS)}."
        )
    where = [(key, f"midpoint.detectors.{key}") for key in DETECTORS]
    midpoint["detectors"] = tuple(
        _build(Detector, merged(detector, take_table(each, key, path)), path) for key, path in where
    )
    table["midpoint"] = _build(MidpointTruth, midpoint, "midpoint")
    table["drift"] = _drifts(table.get("drift", []))
    table["entangler_outputs"] = _entangler_outputs(take_table(table, "wiring", "wiring"))
    return _with_known_drifts(typing.cast(Scenario, _build(Scenario, {"name": name, **table}, "")))


def _with_known_drifts(scenario: Scenario) -> Scenario:
    """Return a scenario whose drifts act on quantities that there are."""
    for k, drift in enumerate(scenario.drift):
        try:
            read(scenario, drift.path)
        except ScenarioError as error:
            raise ScenarioError(f"drift.{k}.path: {error}") from None
    return scenario


def _entangler_outputs(wiring: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Return which beams each output of the entangler switches."""
    if wiring.keys() - {"entangler_outputs"}:
        name = next(iter(wiring.keys() - {"entangler_outputs"}))
        raise _unknown(f"wiring.{name}", name, wiring[name], {"entangler_outputs": tuple})
    known = [f"{node}.{role}" for node in NODES for role in ROLES]
    outputs = wiring.get("entangler_outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(beams, list) for beams in outputs):
        raise ScenarioError(f"wiring.entangler_outputs is {brief(outputs)}, but must be a list of lists of beams.")
    for k, beams in enumerate(outputs):
        for beam in beams:
            if beam not in known:
                raise ScenarioError(
                    f"wiring.entangler_outputs.{k} holds {beam!r}, but a beam must be one of {', '.join(known)}."
                )
    return tuple(tuple(beams) for beams in outputs)


def _node(table: dict[str, Any], path: str) -> NodeTruth:
    port = take_table(table, "port", f"{path}.port")
    kind = port.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ScenarioError(f"{path}.port.kind is {brief(kind)}, but must be one of {', '.join(KINDS)}.")
    table["port"] = _build(KINDS[kind], port, f"{path}.port")
    for key, kind_of in (("array", ArrayTruth), ("rydberg", RydbergTruth)):
        if key in table:
            table[key] = _build(kind_of, take_table(table, key, f"{path}.{key}"), f"{path}.{key}")
    return typing.cast(NodeTruth, _build(NodeTruth, table, path))


def _drifts(tables: Any) -> tuple[DriftTable, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ScenarioError(f"drift is {brief(tables)}, but must be a list of tables: write [[drift]] before each.")
    return tuple(_drift(table, f"drift.{k}") for k, table in enumerate(tables))


def _drift(table: dict[str, Any], where: str) -> DriftTable:
    """Build one drift: the numbers of its process stand beside its path, process, mode and source."""
    rest = dict(table)
    process = rest.pop("process", None)
    if not isinstance(process, str) or process not in PROCESSES:
        raise ScenarioError(f"{where}.process is {brief(process)}, but must be one of {', '.join(PROCESSES)}.")
    own: dict[str, Any] = {key: rest.pop(key) for key in ("path", "mode", "source") if key in rest}
    own["process"] = _build(PROCESSES[process], rest, where)
    return typing.cast(DriftTable, _build(DriftTable, own, where))


def _build(cls: type, table: dict[str, Any], path: str) -> Any:
    """Build a frozen dataclass from a table, nested ones too; refuse what it does not know and name what is missing."""
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        key, value = _angular(key, value, hints)
        where = f"{path}.{key}" if path else key
        if key not in hints:
            raise _unknown(where, key, value, hints)
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


def _unknown(where: str, key: str, value: Any, hints: dict[str, Any]) -> ScenarioError:
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
        return _build(typing.cast(type, hint), value, where)
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
