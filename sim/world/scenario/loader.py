"""Scenario files: the hidden truth of a simulated lab, read from TOML into frozen parameters.

`[nodes]` holds what the nodes share, `[node.NAME]` what differs, `[channel."NODE.PORT"]` what is a port's own (`port`,
`excitation`, `fibre`, `polarisation`, and its site `row`, `column` in the array); `[stations]` what the stations share,
`[station.NAME]` what differs; which there are is the lab's to say (`atomlink.topology`). `[NAME]` of a node or station
is read, too. `extends = "default"` starts from another shipped scenario, a table with a `kind` of its own replaces the
one it extends. A field `x_rad_s` may be given as `x_over_2pi_hz`. `[lab]` says of which lab it is, where that
is another than device_db.py's (`atomlink.lab_tables`). Whatever is unknown, missing or out of range is refused with its
path. Drivers, experiments and analysis never read this.
"""

from __future__ import annotations

import difflib
import re
import typing
from pathlib import Path
from typing import Any

from atomlink.at_port import PORT_ROLES
from atomlink.errors import ScenarioError, UsageError, brief
from atomlink.from_tables import read_toml
from atomlink.heralds import FOUR
from atomlink.lab_tables import read as read_tables
from atomlink.memory_spec import MemorySpec
from atomlink.topology import NodeSpec, StationSpec, Topology, pair
from sim.physics.detector import Detector
from sim.scenarios import NODES as NODES
from sim.world.ports import KINDS, Port
from sim.world.scenario.array_truth import ArrayTruth, RydbergTruth
from sim.world.scenario.build import build, unknown
from sim.world.scenario.drifts import PROCESSES, DriftTable
from sim.world.scenario.ensemble_truth import EnsembleTruth
from sim.world.scenario.paths import ROLES, read
from sim.world.scenario.storage_truth import StorageTruth
from sim.world.scenario.toml_tables import check_nesting, merged, take_table
from sim.world.scenario.truth import NodeTruth, PortTruth, Scenario, StationTruth

_NUMBERED = re.compile(r"(?P<what>node|station)\.(?P<number>\d+)\.(?P<rest>.+)\Z")
DETECTORS = ("c_h", "c_v", "d_h", "d_v")
FOLDER = Path(__file__).parents[2] / "scenarios"
# The lab of whoever opens a world without a device_db.
PAIR = pair(NODES, tuple(f"snspd_{role}" for role in DETECTORS), "entangler")


def scenario_names() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_scenario(name_or_path: str, topology: Topology | None = None) -> Scenario:
    """Read a shipped scenario by name, or a file by path, for the lab that a topology describes; without one for the
    two nodes of `PAIR`. ScenarioError names what is wrong in it.
    """
    path, table = _read(name_or_path)
    own = _own_lab(path, table)
    if own is not None and topology is not None and topology != own:
        names, others = (", ".join(lab.node_names) for lab in (own, topology))
        raise ScenarioError(
            f"Scenario {name_or_path} is of a lab of its own, of {names}, but device_db.py describes another, of "
            f"{others}: call sim.own_lab.tables behind its tables, as the shipped one does."
        )
    return _scenario(path.stem, table, own or topology or PAIR)


def _own_lab(path: Path, table: dict[str, Any]) -> Topology | None:
    """Take the lab that a scenario is of (`atomlink.lab_tables`), where it says so."""
    if "lab" not in table:
        return None
    try:
        return Topology.from_arguments(read_tables(take_table(table, "lab", "lab")).network())
    except UsageError as error:
        raise ScenarioError(f"{path}: [lab]: {error}") from None


def _read(name_or_path: str) -> tuple[Path, dict[str, Any]]:
    path = FOLDER / f"{name_or_path}.toml" if name_or_path in scenario_names() else Path(name_or_path)
    if not path.is_file():
        near = difflib.get_close_matches(name_or_path, scenario_names(), 1)
        raise ScenarioError(
            f"Scenario {name_or_path!r} does not exist; it must be one of {', '.join(scenario_names())} "
            "or the path of a TOML file" + (f"; did you mean {near[0]!r}?" if near else ".")
        )
    table = read_toml(path, ScenarioError, f"Scenario {path}")
    check_nesting(table)
    base = table.pop("extends", None)
    if base is not None and base not in scenario_names():
        raise ScenarioError(f"{path}: extends is {brief(base)}, but must be one of {', '.join(scenario_names())}.")
    return path, merged(_read(base)[1], table) if base else table


def _scenario(name: str, table: dict[str, Any], topology: Topology) -> Scenario:
    tables = _Tables(table, topology)
    nodes = tuple(_node(tables, spec) for spec in topology.nodes)
    stations = tuple(_station(tables, spec) for spec in topology.stations)
    memories = tuple(_memory(tables, spec) for spec in topology.memories)
    tables.refuse_the_rest()
    table["memories"] = memories
    table["topology"], table["nodes"], table["stations"] = topology, nodes, stations
    table["drift"] = _drifts(table.get("drift", []), topology)
    table["entangler_outputs"] = entangler_outputs(take_table(table, "wiring", "wiring"), topology)
    return _with_known_drifts(typing.cast(Scenario, build(Scenario, {"name": name, **table}, "")))


class _Tables:
    """What a file says of nodes, stations and channels: shared tables, and those of one name over them."""

    def __init__(self, table: dict[str, Any], topology: Topology) -> None:
        self._rest, self._topology = table, topology
        self._shared = {what: take_table(table, what, what) for what in ("nodes", "stations", "memories")}
        self._own = {what: take_table(table, what, what) for what in ("node", "station", "channel", "memory")}

    def of(self, what: str, name: str) -> dict[str, Any]:
        """Take what is said of a "node", "station" or "memory": [node.NAME], and, as older files have it, [NAME]."""
        own = take_table(self._own[what], name, f"{what}.{name}")
        shared = self._shared["memories" if what == "memory" else f"{what}s"]
        return merged(merged(shared, take_table(self._rest, name, name)), own)

    def channel(self, port: str) -> dict[str, Any]:
        """Take what is said of the way behind a port ("node.port")."""
        return take_table(self._own["channel"], port, f'channel."{port}"')

    def refuse_the_rest(self) -> None:
        """Refuse tables of names that the lab does not have."""
        topology = self._topology
        names = {"node": topology.node_names, "station": tuple(spec.name for spec in topology.stations),
                 "channel": topology.ports, "memory": tuple(spec.name for spec in topology.memories)}  # fmt: skip
        for what, left in self._own.items():
            for name in left:
                raise ScenarioError(f"[{what}.{name}] is of no {what} of this lab; it must be one of "
                                    f"{', '.join(names[what]) or '(there is none)'}: rename the table, or take it out.")
        known = ("name", "description", "species", "wiring", "drift", "drift_step_s")
        for name, value in self._rest.items():
            if isinstance(value, dict) and name not in known:
                near = difflib.get_close_matches(name, [*names["node"], *names["station"], *known], 1)
                raise ScenarioError(
                    f"[{name}] is no node or station of this lab and no table of a scenario; "
                    + (f"did you mean {near[0]!r}?" if near else f"nodes are {', '.join(names['node'])}, stations "
                       f"{', '.join(names['station']) or '(none)'}; [nodes] and [stations] hold what they share.")
                )  # fmt: skip


def _station(tables: _Tables, spec: StationSpec) -> StationTruth:
    table, name = tables.of("station", spec.name), spec.name
    detector, each = (take_table(table, key, f"{name}.{key}") for key in ("detector", "detectors"))
    unknown_role = set(each) - set(spec.roles)
    if unknown_role:
        raise ScenarioError(
            f"{name}.detectors.{unknown_role.pop()} does not exist; it must be one of {', '.join(spec.roles)}."
        )
    where = [(role, f"{name}.detectors.{role}") for role in spec.roles]
    table["detectors"] = tuple(build(Detector, merged(detector, take_table(each, role, path)), path)
                               for role, path in where)  # fmt: skip
    return typing.cast(StationTruth, build(StationTruth, {**table, "roles": spec.roles}, name))


def _memory(tables: _Tables, spec: MemorySpec) -> EnsembleTruth:
    table = tables.of("memory", spec.name)
    table.setdefault("rails", [1.0] * spec.rails)
    built = typing.cast(EnsembleTruth, build(EnsembleTruth, table, spec.name))
    if len(built.rails) != spec.rails:
        raise ScenarioError(f"{spec.name}.rails has {len(built.rails)} entries, but the memory has {spec.rails} rails: "
                            "give each its transmission.")
    return built


def _with_known_drifts(scenario: Scenario) -> Scenario:
    """Return a scenario whose drifts act on quantities that there are."""
    for k, drift in enumerate(scenario.drift):
        try:
            read(scenario, drift.path)
        except ScenarioError as error:
            raise ScenarioError(f"drift.{k}.path: {error}") from None
    return scenario


def entangler_outputs(wiring: dict[str, Any], topology: Topology) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Return which beams each output of each station's gateware switches.

    As the driver has it: output 0 the pumping light of all nodes at the station, then one for each input's excitation
    light, the rest spare. `entangler_outputs` of a file says otherwise for a lab of one station.
    """
    if wiring.keys() - {"entangler_outputs"}:
        name = next(iter(wiring.keys() - {"entangler_outputs"}))
        raise unknown(f"wiring.{name}", name, wiring[name], {"entangler_outputs": tuple})
    if "entangler_outputs" not in wiring:
        return tuple(_usual_outputs(topology, station) for station in topology.stations)
    known = [f"{node}.{role}" for node in topology.node_names for role in ROLES]
    known += [f"{port}.{role}" for port in topology.ports for role in PORT_ROLES]
    outputs = wiring["entangler_outputs"]
    if len(topology.stations) != 1:
        raise ScenarioError(f"wiring.entangler_outputs is for one station, but the lab has {len(topology.stations)}: "
                            "take it out.")
    if not isinstance(outputs, list) or not all(isinstance(beams, list) for beams in outputs):
        raise ScenarioError(f"wiring.entangler_outputs is {brief(outputs)}, but must be a list of lists of beams.")
    for k, beams in enumerate(outputs):
        for beam in beams:
            if beam not in known:
                raise ScenarioError(
                    f"wiring.entangler_outputs.{k} holds {beam!r}, but a beam must be one of {', '.join(known)}."
                )
    return (tuple(tuple(beams) for beams in outputs),)


def _usual_outputs(topology: Topology, station: StationSpec) -> tuple[tuple[str, ...], ...]:
    ports = [topology.reaches(station.name, end) for end in station.inputs]
    pumping = tuple(f"{port}.{role}" for keys in ports for port in keys for role in ("pumping", "repump"))
    return pumping, *(tuple(f"{port}.excitation" for port in keys) for keys in ports), ()


def _node(tables: _Tables, spec: NodeSpec) -> NodeTruth:
    table, path = tables.of("node", spec.name), spec.name
    for key in ("array", "rydberg", "storage"):
        if key in table:
            table[key] = take_table(table, key, f"{path}.{key}")
    first, *others = (tables.channel(port.key) for port in spec.ports)
    of_a_port = ("port", "excitation", "fibre", "polarisation")
    shared: dict[str, Any] = {key: table[key] for key in of_a_port if key in table}
    table["more_ports"] = tuple(
        _port(merged(shared, own), port.name, k, f"{path}.{port.name}", "array" in table)
        for k, (own, port) in enumerate(zip(others, spec.ports[1:], strict=True), start=1)
    )
    place = {f"port_{axis}": first.pop(axis) for axis in ("row", "column") if axis in first}
    table = merged(table, first)
    if place:
        table["array"] = merged(table.get("array", {}), place)
    table["port"] = _port_of_a_kind(table, path)
    for key, kind_of in (("array", ArrayTruth), ("rydberg", RydbergTruth), ("storage", StorageTruth)):
        if key in table:
            table[key] = build(kind_of, table[key], f"{path}.{key}")
    return typing.cast(NodeTruth, build(NodeTruth, table, path))


def _port(table: dict[str, Any], name: str, number: int, path: str, in_array: bool) -> PortTruth:
    """Build a port beyond a node's first; without an array each has a tweezer of its own."""
    table["port"] = _port_of_a_kind(table, path)
    place = {} if in_array else {"column": number}
    return typing.cast(PortTruth, build(PortTruth, {"polarisation": {}, **place, **table, "name": name}, path))


def _port_of_a_kind(table: dict[str, Any], path: str) -> Port:
    port = take_table(table, "port", f"{path}.port")
    kind = port.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ScenarioError(f"{path}.port.kind is {brief(kind)}, but must be one of {', '.join(KINDS)}.")
    return typing.cast(Port, build(KINDS[kind], port, f"{path}.port"))


def _drifts(tables: Any, topology: Topology) -> tuple[DriftTable, ...]:
    """Build the drifts; one of a numbered place that this lab does not have is left out."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ScenarioError(f"drift is {brief(tables)}, but must be a list of tables: write [[drift]] before each.")
    named = [(k, table, of_numbers(table.get("path"), topology)) for k, table in enumerate(tables)]
    return tuple(_drift({**table, **({"path": path} if "path" in table else {})}, f"drift.{k}")
                 for k, table, path in named if path is not None or "path" not in table)  # fmt: skip


def of_numbers(path: Any, topology: Topology) -> Any:
    """Return the path of a quantity with names for numbers: "node.1.…" is the lab's first node, "station.1.…" its
    first station; None where the lab has none of that number, or the station no such detector.
    """
    found = _NUMBERED.match(path) if isinstance(path, str) else None
    if found is None:
        return path
    there: tuple[Any, ...] = topology.nodes if found["what"] == "node" else topology.stations
    number, rest = int(found["number"]), found["rest"]
    if not 1 <= number <= len(there):
        return None
    role = rest.removeprefix("detectors.").partition(".")[0] if rest.startswith("detectors.") else None
    if role is not None and found["what"] == "station" and role in FOUR and role not in there[number - 1].roles:
        return None
    return f"{there[number - 1].name}.{rest}"


def _drift(table: dict[str, Any], where: str) -> DriftTable:
    """Build one drift: the numbers of its process stand beside its path, process, mode and source."""
    rest = dict(table)
    process = rest.pop("process", None)
    if not isinstance(process, str) or process not in PROCESSES:
        raise ScenarioError(f"{where}.process is {brief(process)}, but must be one of {', '.join(PROCESSES)}.")
    own: dict[str, Any] = {key: rest.pop(key) for key in ("path", "mode", "source") if key in rest}
    own["process"] = build(PROCESSES[process], rest, where)
    return typing.cast(DriftTable, build(DriftTable, own, where))


