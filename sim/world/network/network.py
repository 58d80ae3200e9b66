"""The network: which port reaches which input of which station now, and what that means for a pulse of light."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from atomlink.errors import ScenarioError
from atomlink.topology import ChannelSpec, Topology
from sim.world.atoms.labels import F1, READY
from sim.world.network.memory_cell import MemoryCell
from sim.world.network.node import Node
from sim.world.network.photon_port import PhotonPort
from sim.world.network.station import Station

STORED = ("polarisation",)  # schemes: the photon is a qubit of its own, and meets no other


class Network:
    """Ports and stations of one lab. `routes`: the way that each connected port has now, by its key."""

    def __init__(self, topology: Topology, nodes: Mapping[str, Node], stations: Mapping[str, Station],
                 memories: Mapping[str, MemoryCell]) -> None:  # fmt: skip
        self.topology, self.nodes, self.stations = topology, nodes, stations
        self.ports = {port.key: port for node in nodes.values() for port in node.ports.values()}
        self.routes: dict[str, ChannelSpec] = {}
        taken: set[str] = set()
        for channel in topology.channels:  # of several ports that share an input the first is connected
            if channel.port not in self.routes and channel.end not in taken:
                self.routes[channel.port] = channel
                taken.add(channel.end)
        self._station_of: dict[str, Station] = {}
        self.memories = {memory.port.key: memory for memory in memories.values()}
        for memory in self.memories.values():
            memory.station = lambda port: self._station_of.get(port.key)
            memory.port.memory = memory
            _check_scheme(topology, memory)
        self._connect()

    def reroute(self, routes: Mapping[str, ChannelSpec]) -> None:
        """Let other ways hold from now on; photons in flight are settled on the old ones."""
        self.settle()
        self.routes = dict(routes)
        self._connect()

    def emit(self, port: PhotonPort, start_mu: int, stop_mu: int) -> None:
        """Excitation light was on at a port's atom; without a way to a station its photon is lost."""
        station, memory = self._station_of.get(port.key), self.memories.get(port.key)
        if memory is not None and not memory.passes(start_mu):
            memory.enter(start_mu, stop_mu)
        elif station is not None:
            station.emit(port, start_mu, stop_mu)
        elif port.label == READY and stop_mu > start_mu:
            leaves = port.node.rng.random() < port.cycle((0.0, 0.0), stop_mu - start_mu, 0.0, 0.0).transferred
            port.excited(F1 if leaves else READY)

    def settle(self) -> None:
        """Decide all emissions that are still open."""
        for station in self.stations.values():
            station.settle()

    def look(self, t_mu: int) -> None:
        """Somebody looks at a detector at t_mu: decide what could have been seen by then."""
        for station in self.stations.values():
            if station.in_flight:
                station.look(t_mu)
        for memory in self.memories.values():
            if memory.in_flight:
                memory.look(t_mu)

    @property
    def in_flight(self) -> bool:
        """Whether emissions are still open, or calibration light is on its way."""
        if any(station.in_flight for station in self.stations.values()):
            return True
        return any(memory.in_flight for memory in self.memories.values())

    def _connect(self) -> None:
        by_end = {channel.end: self.ports[key] for key, channel in self.routes.items()}
        for name, station in self.stations.items():
            first, second = (by_end.get(f"{name}.{end}") for end in station.spec.inputs)
            station.connect((first, second))
        self._station_of = {key: self.stations[channel.station] for key, channel in self.routes.items()}
        for node in self.nodes.values():
            keys = (port.key for port in node.ports.values())
            its = list(dict.fromkeys(self._station_of[key] for key in keys if key in self._station_of))
            node.register.before_touch = its[0].settle if len(its) == 1 else partial(_settle, its)


def _settle(stations: list[Station]) -> None:
    for station in stations:
        station.settle()


def _check_scheme(topology: Topology, memory: MemoryCell) -> None:
    """Refuse a memory before a station whose photons the twin does not store."""
    for way in topology.channels_of(memory.port.key):
        scheme = topology.station(way.station).scheme
        if scheme not in STORED:
            raise ScenarioError(
                f"Memory {memory.name} lies before station {way.station}, which heralds by {scheme!r}, but the "
                f"simulated lab stores photons of {', '.join(STORED)} only: take it out."
            )
