"""What is true of a simulated lab: the frozen parameters of a scenario, checked as they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from atomlink.at_port import node_of
from atomlink.errors import ScenarioError
from atomlink.topology import Topology
from sim.physics.aom import Aom
from sim.physics.detector import Detector
from sim.physics.fibre import Fibre
from sim.physics.fields import Coils
from sim.physics.imaging import Imaging
from sim.physics.loading import Loading
from sim.physics.pumping import Pumping
from sim.physics.rydberg import state as rydberg_state
from sim.physics.species import species
from sim.physics.trap import Trap
from sim.physics.validate import require
from sim.world.ports import Port
from sim.world.scenario.array_truth import ArrayTruth, RydbergTruth
from sim.world.scenario.drifts import DriftTable
from sim.world.scenario.ensemble_truth import EnsembleTruth
from sim.world.scenario.memory_truth import Memory
from sim.world.scenario.storage_truth import StorageTruth


@dataclass(frozen=True)
class Atom:
    """Vacuum, cooling and heating of the trapped atom.

    `pump_heating_k_s` while pumping light is on, `emission_heating_k` for each excitation, `trap_k_per_v` trap depth
    per volt of set point.
    """

    vacuum_lifetime_s: float
    temperature_k: float
    cooling_time_s: float
    pump_heating_k_s: float
    emission_heating_k: float
    trap_k_per_v: float

    def __post_init__(self) -> None:
        for name in ("vacuum_lifetime_s", "cooling_time_s", "trap_k_per_v"):
            require(self, name, 0, above=True)
        require(self, "temperature_k", 0, 1)
        for name in ("pump_heating_k_s", "emission_heating_k"):
            require(self, name, 0)


@dataclass(frozen=True)
class Excitation:
    """The excitation beam at full power: Rabi frequency, detuning from |u>-|e>, rms jitter of the emission, cavity
    tuning by the piezo.
    """

    rabi_rad_s: float
    detuning_rad_s: float
    jitter_s: float = 0.0
    cavity_rad_s_per_v: float = 0.0

    def __post_init__(self) -> None:
        require(self, "rabi_rad_s", 0)
        require(self, "detuning_rad_s", -math.inf)
        require(self, "jitter_s", 0, 1e-6)
        require(self, "cavity_rad_s_per_v", -math.inf)


@dataclass(frozen=True)
class Rotation:
    """A resonant drive: Rabi frequency at full power, its relative rms from shot to shot, and its detuning."""

    rabi_rad_s: float
    amplitude_rms: float
    detuning_rad_s: float = 0.0

    def __post_init__(self) -> None:
        require(self, "rabi_rad_s", 0)
        require(self, "amplitude_rms", 0, 1)
        require(self, "detuning_rad_s", -math.inf)


@dataclass(frozen=True)
class Pushout:
    """Push-out light: loss rate of F = 2, and of F = 1 (off-resonant)."""

    loss_hz: float
    leak_hz: float

    def __post_init__(self) -> None:
        require(self, "loss_hz", 0)
        require(self, "leak_hz", 0)


@dataclass(frozen=True)
class Polarisation:
    """The fibre's unitary on polarisation as Euler angles (see `sim.physics.fibre.jones`), and the compensator in front
    of it: what its rotator and its retarder of H against V do per volt.
    """

    alpha_rad: float = 0.0
    beta_rad: float = 0.0
    gamma_rad: float = 0.0
    turn_rad_per_v: float = 0.2
    phase_rad_per_v: float = 0.2

    def __post_init__(self) -> None:
        for name in ("alpha_rad", "beta_rad", "gamma_rad"):
            require(self, name, -2 * math.pi, 2 * math.pi)
        for name in ("turn_rad_per_v", "phase_rad_per_v"):
            require(self, name, -math.inf)


@dataclass(frozen=True)
class PortTruth:
    """One photon port: what it is, the light that excites the atom there, the fibre behind it with what that does to
    polarisation, and its site in the node's array.
    """

    name: str
    port: Port
    excitation: Excitation
    fibre: Fibre
    polarisation: Polarisation
    row: int = 0
    column: int = 0


@dataclass(frozen=True)
class NodeTruth:
    """Everything that is true of one node. `port`, `excitation`, `fibre`, `polarisation` are those of its first port,
    `more_ports` the others; `crosstalk`: the part of one port's light that falls on the atoms of the others.
    """

    trap: Trap
    atom: Atom
    loading: Loading
    imaging: Imaging
    pumping: Pumping
    excitation: Excitation
    port: Port
    coils: Coils
    raman: Rotation
    microwave: Rotation
    pushout: Pushout
    memory: Memory
    aom: Aom
    fibre: Fibre
    shutter_s: float
    polarisation: Polarisation = field(default_factory=Polarisation)
    array: ArrayTruth | None = None
    rydberg: RydbergTruth | None = None
    storage: StorageTruth | None = None
    crosstalk: float = 0.0
    more_ports: tuple[PortTruth, ...] = ()

    def __post_init__(self) -> None:
        require(self, "shutter_s", 0, 1)
        require(self, "crosstalk", 0, 1)
        rows, columns = self.shape
        for port in self.more_ports:
            if not (0 <= port.row < rows and 0 <= port.column < columns):
                raise ScenarioError(f"port {port.name!r} is at ({port.row!r}, {port.column!r}), but must be a site of "
                                    f"the array of {rows} x {columns}: give `row` and `column` in its channel.")
        if self.pumping.left_beside and not all(port.port.sends_beside for port in self.ports):
            raise ScenarioError(f"pumping.left_beside is {self.pumping.left_beside!r}, but a port that is no cavity "
                                "with one atom has no model of such photons: leave it out, or change the port's kind.")
        if len(set(self.sites)) < len(self.sites):
            raise ScenarioError("two ports are at one site, but each must have its own: give `row` and `column` in "
                                "their channels.")
        if self.rydberg is not None and self.array is None:
            raise ScenarioError("rydberg is given, but there is no array: this light acts on neighbours in an array.")
        if self.rydberg is not None and self.array is not None and not (
            self.array.port_row + self.rydberg.zone_rows <= rows
            and self.array.port_column + self.rydberg.zone_columns <= columns
        ):  # fmt: skip
            raise ScenarioError(f"rydberg.zone_rows and zone_columns are {self.rydberg.zone_rows} and "
                                f"{self.rydberg.zone_columns}, but from the port's site on the array of {rows} x "
                                f"{columns} does not have so many: make the zone smaller or move the port.")

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns) of the tweezers: those of the array, or one at each port."""
        return (1, 1 + len(self.more_ports)) if self.array is None else (self.array.rows, self.array.columns)

    @property
    def ports(self) -> tuple[PortTruth, ...]:
        """Return all ports, in the topology's order."""
        place = (0, 0) if self.array is None else (self.array.port_row, self.array.port_column)
        return (PortTruth("", self.port, self.excitation, self.fibre, self.polarisation, *place), *self.more_ports)

    @property
    def sites(self) -> tuple[int, ...]:
        """Return each port's site, an index in order of row, then column."""
        return tuple(port.row * self.shape[1] + port.column for port in self.ports)


@dataclass(frozen=True)
class StationTruth:
    """Beam splitter and detectors of one station, in the order of its pattern's bits. `overlap` |<m_A|m_B>|^2 of the
    spatial modes, `detuning_rad_s` rms frequency difference of the photons, `probe_hz` photons per second that a
    calibration laser sends to each detector while it is switched on; `roles` the detectors' names.

    Where the scheme knows the optical phase of the second way against the first: `phase_rad` it, `phase_walk_rad2_s`
    how fast its variance grows, `probe_visibility` the fringe that the calibration laser, which then comes by both
    ways, shows at the splitter.
    """

    transmission: float
    overlap: float
    detuning_rad_s: float
    detectors: tuple[Detector, ...]
    roles: tuple[str, ...]
    probe_hz: float = 0.0
    phase_rad: float = 0.0
    phase_walk_rad2_s: float = 0.0
    probe_visibility: float = 0.0

    def __post_init__(self) -> None:
        require(self, "phase_rad", -math.inf)
        require(self, "phase_walk_rad2_s", 0)
        require(self, "probe_visibility", 0, 1)
        require(self, "transmission", 0, 1)
        require(self, "overlap", 0, 1)
        require(self, "detuning_rad_s", 0)
        require(self, "probe_hz", 0)


@dataclass(frozen=True)
class Scenario:
    """The truth of a lab, for the nodes and stations of one topology, in its order. `entangler_outputs[k][j]`: the
    beams ("node.role", "node.port.role") that output j of station k's gateware switches; `drift` what changes by
    itself, every `drift_step_s` of lab time.
    """

    name: str
    description: str
    species: str
    topology: Topology
    nodes: tuple[NodeTruth, ...]
    stations: tuple[StationTruth, ...]
    entangler_outputs: tuple[tuple[tuple[str, ...], ...], ...]
    drift: tuple[DriftTable, ...] = ()
    drift_step_s: float = 1.0
    memories: tuple[EnsembleTruth, ...] = ()

    def __post_init__(self) -> None:
        species(self.species)
        for node in self.nodes:
            if node.rydberg is not None:
                rydberg_state(self.species, node.rydberg.n)
        require(self, "drift_step_s", 1e-3, 86400)

    def node(self, name: str) -> NodeTruth:
        """Return one node's truth; UsageError if the lab has none of that name."""
        return self.nodes[self.topology.nodes.index(self.topology.node(name))]

    def port(self, atom: str) -> PortTruth:
        """Return the truth of the port that an atom (`atomlink.at_port`) is at."""
        return self.node(node_of(atom)).ports[self.topology.number_of(atom)]

    def station(self, name: str) -> StationTruth:
        """Return one station's truth; UsageError if the lab has none of that name."""
        return self.stations[self.topology.stations.index(self.topology.station(name))]

    def changed(self, **truths: NodeTruth | StationTruth | EnsembleTruth) -> Scenario:
        """Return a scenario with other truths of some nodes, stations and memories, by name."""
        lab = self.topology
        names = *lab.node_names, *lab.station_names, *(memory.name for memory in lab.memories)
        parts: list[Any] = [*self.nodes, *self.stations, *self.memories]
        found = [truths.get(name, part) for name, part in zip(names, parts, strict=True)]
        n, m = len(self.nodes), len(self.nodes) + len(self.stations)
        return replace(self, nodes=tuple(found[:n]), stations=tuple(found[n:m]), memories=tuple(found[m:]))
