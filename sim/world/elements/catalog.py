"""The table of the pieces of the lab that are not on the bus."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from atomlink.errors import ScenarioError
from atomlink.topology import Topology
from sim.world.elements.cavity_lock import CavityLock
from sim.world.elements.element import Element, Lab
from sim.world.elements.fibre_switch import FibreSwitch
from sim.world.elements.laser import Laser
from sim.world.elements.microwave import Microwave
from sim.world.elements.pickup import Pickup
from sim.world.elements.piezo import Piezo
from sim.world.elements.snspd_electronics import SnspdElectronics
from sim.world.elements.tagger import Tagger
from sim.world.elements.wavemeter import Wavemeter

Kind = Callable[[Lab, str, str], Element]
# Kinds that each node has one of ("alice_laser"), and kinds that the lab has one of.
OF_A_NODE: dict[str, Kind] = {
    "laser": Laser, "microwave": Microwave, "pickup": Pickup, "cavity_lock": CavityLock, "piezo": Piezo,
}  # fmt: skip
# Of these each port has its own: "charlie_east_cavity_lock" beyond the first.
OF_A_PORT = ("pickup", "cavity_lock", "piezo")
OF_THE_LAB: dict[str, Kind] = {
    "fibre_switch": FibreSwitch, "snspd_electronics": SnspdElectronics, "tagger": Tagger, "wavemeter": Wavemeter,
}  # fmt: skip


def names(topology: Topology) -> list[str]:
    """Return the names of all elements that a lab has."""
    return [*_of_atoms(topology), *OF_THE_LAB]


def make(world: Lab, name: str) -> Element:
    """Make an element of a lab; ScenarioError if the lab has no such thing."""
    if name in OF_THE_LAB:
        return OF_THE_LAB[name](world, name, "")
    topology = world.scenario.topology
    found = _of_atoms(topology).get(name)
    if found is not None:
        kind, atom = found
        return kind(world, name, atom)
    near = difflib.get_close_matches(name, names(topology), 1)
    raise ScenarioError(
        f"Element {name!r} does not exist; it must be one of {', '.join(names(topology))}"
        + (f"; did you mean {near[0]!r}?" if near else ".")
    )


def _of_atoms(topology: Topology) -> dict[str, tuple[Kind, str]]:
    """Return kind and atom (`atomlink.at_port`) of every element that is of a node or port, by its name."""
    return {f"{atom.replace('.', '_')}_{kind}": (OF_A_NODE[kind], atom) for kind in OF_A_NODE for atom in topology.atoms
            if kind in OF_A_PORT or "." not in atom}  # fmt: skip
