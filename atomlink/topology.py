"""What of a lab is connected to what: nodes with their ports, stations with their detectors, switches between them.

It is hardware, so it stands in `device_db.py`, in a local row `network` whose `arguments` are

    "nodes":    {"alice": {"ports": ["port"]}, "charlie": {"ports": ["west", "east"]}, ...}
    "stations": {"midpoint": {"scheme": "polarisation", "inputs": {"a": ["alice.port"], "b": ["charlie.west"]},
                              "detectors": {"c_h": "snspd_c_h", ...}, "entangler": "entangler"}, ...}
    "switches": {"fibre_switch": {"from": {"alice.port": 1, ...}, "to": {"midpoint.a": 17, ...}}}
    "memories": {"vault": {"port": "alice.port", "rails": 2}}      (atomlink/memory_spec.py)

`detectors` may be a list of rows where the roles are those of `heralds.FOUR` or `heralds.TWO`; a node's `schemes` says
which heralding schemes a port can serve, by its name, where not all of them; `ports` may be left out (one port,
"port"), `entangler` too (heralding in software). Names are free. A device_db without that row is the lab of
its `*_dds_cooling` rows, all of them at one station with the inputs of the row of class `Entangler`. Pure data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atomlink.at_port import node_of
from atomlink.errors import UsageError
from atomlink.heralds import FOUR, SCHEMES, TWO, heralds
from atomlink.link_name import LinkName
from atomlink.memory_spec import MemorySpec, check_memories, read_memories
from atomlink.topology_checks import ROW, check_keys, check_known, find, table_of

PORT = "port"  # the name of the port of a node that has one
INPUTS = ("a", "b")  # of a beam splitter where nobody has named them
STATION = "midpoint"  # the name of the station where nobody has named it
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_RESERVED = ("node", "nodes", "station", "stations", "channel", "drift", "wiring", "link", "core",
             "memory", "memories")  # fmt: skip


@dataclass(frozen=True)
class PortSpec:
    """A photon port of a node, its first or another; what it is physically (a cavity, a lens) is not the topology's."""

    node: str
    name: str
    first: bool = True
    schemes: tuple[str, ...] = SCHEMES  # those that it can serve

    @property
    def key(self) -> str:
        """Return "node.port"."""
        return f"{self.node}.{self.name}"

    @property
    def atom(self) -> str:
        """Return what the atom in front of it is called (`at_port`): its node, or "node.port" beyond the first port."""
        return self.node if self.first else self.key


@dataclass(frozen=True)
class NodeSpec:
    """One node and its ports, at least one."""

    name: str
    ports: tuple[PortSpec, ...]


@dataclass(frozen=True)
class DetectorSpec:
    """One detector of a station: its row of device_db (a TTL input), and its role, as in `atomlink.heralds`."""

    row: str
    role: str


@dataclass(frozen=True)
class StationSpec:
    """Where light of two inputs meets. `heralder` is the row of its gateware, None where kernels herald."""

    name: str
    scheme: str
    inputs: tuple[str, str]
    detectors: tuple[DetectorSpec, ...]
    heralder: str | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the detectors' roles, in the order of a pattern's bits."""
        return tuple(detector.role for detector in self.detectors)


@dataclass(frozen=True)
class ChannelSpec:
    """A way from a port ("node.port") to an input of a station; through a switch, or always there (None)."""

    port: str
    station: str
    input: str
    switch: str | None = None

    @property
    def end(self) -> str:
        """Return "station.input"."""
        return f"{self.station}.{self.input}"


@dataclass(frozen=True)
class LinkSpec(LinkName):
    """Two ports that can meet at a station: that of the first input, then that of the second."""

    ports: tuple[PortSpec, PortSpec]

    @property
    def atoms(self) -> tuple[str, str]:
        """Return what the atoms at both ends are called."""
        return self.ports[0].atom, self.ports[1].atom


@dataclass(frozen=True)
class SwitchSpec:
    """A fibre switch by its row: the terminal of each port ("node.port") and of each input ("station.input")."""

    name: str
    sources: tuple[tuple[str, int], ...]
    sinks: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Topology:
    """The network of one lab. Checked when it is made: UsageError says what is wrong and what to do."""

    nodes: tuple[NodeSpec, ...]
    stations: tuple[StationSpec, ...] = ()
    channels: tuple[ChannelSpec, ...] = ()
    switches: tuple[SwitchSpec, ...] = ()
    memories: tuple[MemorySpec, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes:
            raise UsageError(f"{ROW}.nodes is empty, but a lab has at least one node: name it, with its ports.")
        names = [*self.node_names, *self.station_names, *(memory.name for memory in self.memories)]
        for name in names:
            if not _NAME.match(name) or name in _RESERVED or names.count(name) > 1:
                raise UsageError(
                    f"{ROW}: name {name!r} must begin with a letter, go on with letters, digits and _, be none of "
                    f"{', '.join(_RESERVED)}, and be given once: rename it."
                )
        for atom in self.atoms:
            rows_of = atom.replace(".", "_")
            if "." in atom and rows_of in names:
                raise UsageError(f"{ROW}: node {rows_of!r} would have the rows of port {atom}: rename one.")
        rows = [detector.row for station in self.stations for detector in station.detectors]
        for station in self.stations:
            _check_detectors(station, rows)
            for end in (f"{station.name}.{end}" for end in station.inputs):
                _check_shared(f"Input {end}", [channel for channel in self.channels if channel.end == end])
        for port in self.ports:
            _check_shared(f"Port {port}", self.channels_of(port))
        schemes = {station.name: station.scheme for station in self.stations}
        check_memories(self.memories, {way.port: schemes[way.station] for way in self.channels})
        self._check_served(schemes)

    def _check_served(self, schemes: Mapping[str, str]) -> None:
        """Every port that leads to a station must serve its scheme; `schemes`: by station."""
        for port in (port for node in self.nodes for port in node.ports):
            for channel in self.channels_of(port.key):
                scheme = schemes[channel.station]
                if scheme not in port.schemes:
                    raise UsageError(
                        f"Port {port.key} serves {', '.join(port.schemes)}, but station {channel.station} heralds by "
                        f"{scheme!r}: lead it to another station, or change {ROW}.stations.{channel.station}.scheme."
                    )

    # -- questions -----------------------------------------------------------------------------------------------------

    @property
    def ports(self) -> tuple[str, ...]:
        """Return "node.port" of every port."""
        return tuple(port.key for node in self.nodes for port in node.ports)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Return the nodes' names in their order."""
        return tuple(node.name for node in self.nodes)

    @property
    def station_names(self) -> tuple[str, ...]:
        """Return the stations' names in their order."""
        return tuple(station.name for station in self.stations)

    @property
    def atoms(self) -> tuple[str, ...]:
        """Return what the atoms at all ports are called, in the order of nodes and ports."""
        return tuple(port.atom for node in self.nodes for port in node.ports)

    def number_of(self, atom: str) -> int:
        """Return the number of the port that an atom is at, from 0, among those of its node."""
        return [port.atom for port in self.node(node_of(atom)).ports].index(atom)

    def node(self, name: str) -> NodeSpec:
        """Return a node by name; UsageError if the lab has none of that name."""
        return find(self.nodes, name, "Node")

    def station(self, name: str) -> StationSpec:
        """Return a station by name; UsageError if the lab has none of that name."""
        return find(self.stations, name, "Station")

    def channels_of(self, port: str) -> list[ChannelSpec]:
        """Return the ways that lead from a port ("node.port")."""
        return [channel for channel in self.channels if channel.port == port]

    def reaches(self, station: str, end: str) -> tuple[str, ...]:
        """Return the ports that can reach an input of a station."""
        return tuple(c.port for c in self.channels if (c.station, c.input) == (station, end))

    def nodes_at(self, station: str) -> tuple[str, ...]:
        """Return the nodes with a port that can reach a station, in order of its inputs."""
        keys = (port for end in self.station(station).inputs for port in self.reaches(station, end))
        return tuple(dict.fromkeys(key.partition(".")[0] for key in keys))

    @property
    def links(self) -> tuple[LinkSpec, ...]:
        """Return every pair of ports of different nodes that can meet at a station."""
        ports = {port.key: port for node in self.nodes for port in node.ports}
        found: list[LinkSpec] = []
        for station in self.stations:
            first, second = (self.reaches(station.name, end) for end in station.inputs)
            for a, b in ((ports[a], ports[b]) for a in first for b in second):
                if a.node != b.node and not any({a, b} == set(link.ports) for link in found):
                    found.append(LinkSpec((self.short(a), self.short(b)), station.name, (a, b)))
        return tuple(found)

    def short(self, port: PortSpec) -> str:
        """Return the name of a port's node, with the port's where the node has several."""
        return port.node if len(self.node(port.node).ports) == 1 else port.key

    def link(self, name: str = "") -> LinkSpec:
        """Return a link by name, the first one without; UsageError if the lab has none of that name.

        Either end may name its port, and may leave it out where that is its node's first.
        """
        links = self.links
        if not name and links:
            return links[0]
        said = {LinkName((a, b), link.station).name: link for link in links for first, second in [link.ports]
                for a in (first.key, first.atom) for b in (second.key, second.atom)}  # fmt: skip
        return said[name] if name in said else find(links, name, "Link")

    # -- where it comes from -------------------------------------------------------------------------------------------

    @classmethod
    def from_device_db(cls, device_db: Mapping[str, Any]) -> Topology:
        """Read the row `network`; without one, what the other rows say (see above)."""
        row = device_db.get(ROW)
        if row is not None:
            return cls.from_arguments(row.get("arguments", {}))
        nodes = [name.removesuffix("_dds_cooling") for name in device_db if name.endswith("_dds_cooling")]
        gateware = next((name for name, other in device_db.items()
                         if isinstance(other, Mapping) and other.get("class") == "Entangler"), None)  # fmt: skip
        if len(nodes) < 2:
            return cls(tuple(NodeSpec(name, (PortSpec(name, PORT),)) for name in nodes))
        if len(nodes) > 2 or gateware is None:
            raise UsageError(
                f"device_db has {len(nodes)} nodes ({', '.join(nodes)}) and {'no' if gateware is None else 'one'} "
                f"Entangler, but does not say what is connected to what: add the row `{ROW}` (atomlink/topology.py)."
            )
        return pair(nodes, device_db[gateware]["arguments"]["inputs"], gateware)

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Topology:
        """Read the arguments of the row `network`."""
        known = ("nodes", "stations", "switches", "memories")
        check_keys(arguments, known, ROW)
        nodes = tuple(_node(name, table_of(table, f"nodes.{name}"))
                      for name, table in table_of(arguments.get("nodes", {}), "nodes").items())  # fmt: skip
        switches = tuple(_switch(name, table_of(table, f"switches.{name}"))
                         for name, table in table_of(arguments.get("switches", {}), "switches").items())  # fmt: skip
        stations, channels = [], []
        ports = {port.key for node in nodes for port in node.ports}
        for name, table in table_of(arguments.get("stations", {}), "stations").items():
            station, ways = _station(name, table_of(table, f"stations.{name}"), ports, switches)
            stations.append(station)
            channels += ways
        ends = {f"{station.name}.{end}" for station in stations for end in station.inputs}
        for switch in switches:
            for key, _ in switch.sources:
                check_known(f"{ROW}.switches.{switch.name}.from", key, ports)
            for key, _ in switch.sinks:
                check_known(f"{ROW}.switches.{switch.name}.to", key, ends)
        memories = read_memories(arguments.get("memories", {}), ports)
        return cls(nodes, tuple(stations), tuple(channels), switches, memories)


def topology_of(device_db: Mapping[str, Any]) -> Topology | None:
    """Return what the rows of a lab say is connected to what; None where they are of no node (a bench, a test)."""
    if ROW in device_db or any(name.endswith("_dds_cooling") for name in device_db):
        return Topology.from_device_db(device_db)
    return None


def pair(nodes: Sequence[str], detectors: Sequence[str], heralder: str | None = None) -> Topology:
    """Return two nodes of one port each, and one station between them with four detectors."""
    specs = tuple(NodeSpec(name, (PortSpec(name, PORT),)) for name in nodes)
    four = tuple(DetectorSpec(row, role) for row, role in zip(detectors, FOUR, strict=True))
    station = StationSpec(STATION, SCHEMES[0], INPUTS, four, heralder)
    ways = zip(specs, INPUTS, strict=True)
    return Topology(specs, (station,), tuple(ChannelSpec(node.ports[0].key, STATION, end) for node, end in ways))


def _node(name: str, table: Mapping[str, Any]) -> NodeSpec:
    check_keys(table, ("ports", "schemes"), f"{ROW}.nodes.{name}")
    ports = table.get("ports", [PORT])
    if not isinstance(ports, list | tuple) or not ports or len(set(ports)) < len(ports) or not all(
        isinstance(port, str) and _NAME.match(port) for port in ports
    ):
        raise UsageError(f"{ROW}.nodes.{name}.ports is {ports!r}, but must be a list of different names, at least one.")
    served = table_of(table.get("schemes", {}), f"nodes.{name}.schemes")
    for port, schemes in served.items():
        check_known(f"{ROW}.nodes.{name}.schemes", port, ports)
        if not isinstance(schemes, list | tuple) or not schemes:
            raise UsageError(f"{ROW}.nodes.{name}.schemes.{port} is {schemes!r}, but must be a list of schemes.")
        for scheme in schemes:
            check_known(f"{ROW}.nodes.{name}.schemes.{port}", scheme, SCHEMES)
    return NodeSpec(name, tuple(PortSpec(name, port, port == ports[0], tuple(served.get(port, SCHEMES)))
                                for port in ports))  # fmt: skip


def _station(name: str, table: Mapping[str, Any], ports: set[str],
             switches: tuple[SwitchSpec, ...]) -> tuple[StationSpec, list[ChannelSpec]]:  # fmt: skip
    where = f"{ROW}.stations.{name}"
    check_keys(table, ("scheme", "inputs", "detectors", "entangler"), where)
    inputs = table_of(table.get("inputs", {}), f"stations.{name}.inputs")
    if len(inputs) != 2:
        raise UsageError(f"{where}.inputs has {len(inputs)} inputs, but a splitter has two: give each a list of ports.")
    channels = []
    for end, keys in inputs.items():
        if not isinstance(keys, list | tuple):
            raise UsageError(f"{where}.inputs.{end} is {keys!r}, but must be a list of ports such as ['alice.port'].")
        for key in keys:
            check_known(f"{where}.inputs.{end}", key, ports)
            through = (switch.name for switch in switches
                       if key in dict(switch.sources) and f"{name}.{end}" in dict(switch.sinks))  # fmt: skip
            channels.append(ChannelSpec(key, name, end, next(through, None)))
    first, second = inputs
    rows = table.get("detectors", [])
    if not isinstance(rows, Mapping | list | tuple):
        raise UsageError(f"{where}.detectors is {rows!r}, but must be a table of roles and rows, or a list of rows.")
    if not isinstance(rows, Mapping):
        roles = {len(TWO): TWO, len(FOUR): FOUR}.get(len(rows))
        if roles is None:
            raise UsageError(
                f"{where}.detectors lists {len(rows)} rows, but a list has {len(TWO)} or {len(FOUR)}: give a table of "
                "roles instead, such as {'c_h': 'snspd_c_h'}."
            )
        rows = dict(zip(roles, rows, strict=True))
    detectors = tuple(DetectorSpec(row, role) for role, row in rows.items())
    spec = StationSpec(name, table.get("scheme", "polarisation"), (first, second), detectors, table.get("entangler"))
    return spec, channels


def _switch(name: str, table: Mapping[str, Any]) -> SwitchSpec:
    check_keys(table, ("from", "to"), f"{ROW}.switches.{name}")
    sides = []
    for side in ("from", "to"):
        terminals = table_of(table.get(side, {}), f"switches.{name}.{side}")
        numbers = list(terminals.values())
        if not all(isinstance(number, int) for number in numbers) or len(set(numbers)) < len(numbers):
            raise UsageError(
                f"{ROW}.switches.{name}.{side} is {dict(terminals)!r}, but must give each its own terminal number."
            )
        sides.append(tuple(terminals.items()))
    return SwitchSpec(name, sides[0], sides[1])


def _check_detectors(station: StationSpec, rows: list[str]) -> None:
    where = f"{ROW}.stations.{station.name}"
    for detector in station.detectors:
        if rows.count(detector.row) > 1:
            raise UsageError(f"{where}.detectors: {detector.row!r} is given twice, but has one place: leave one.")
    if station.scheme not in SCHEMES:
        raise UsageError(f"{where}.scheme is {station.scheme!r}, but must be one of {', '.join(SCHEMES)}.")
    if not heralds(station.scheme, station.roles):
        raise UsageError(
            f"{where}.detectors has roles {', '.join(station.roles) or '(none)'}, with which scheme {station.scheme!r} "
            "heralds nothing: add detectors (polarisation needs an h and a v), or change the scheme."
        )


def _check_shared(what: str, channels: list[ChannelSpec]) -> None:
    """Of several ways with one end in common each goes through a switch."""
    fixed = [channel for channel in channels if channel.switch is None]
    if len(channels) > 1 and fixed:
        ways = ", ".join(f"{channel.port} to {channel.end}" for channel in channels)
        raise UsageError(
            f"{what} has {len(channels)} ways ({ways}), but not all of them go through a switch: name the ends in "
            f"{ROW}.switches, or leave one way."
        )
