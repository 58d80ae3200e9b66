"""Photon ports: what draws a photon from the atom in front of one, by kind.

A kind is a file with one frozen dataclass that follows the protocol `Port`, and a line in `KINDS`; a scenario names it
(`[nodes.port] kind = "cavity"`). Nothing else asks what kind a port is.
"""

from sim.world.ports.cavity import CavityPort
from sim.world.ports.free_space import FreeSpacePort
from sim.world.ports.port import Port
from sim.world.ports.superatom import SuperatomPort
from sim.world.ports.waveguide import WaveguidePort

KINDS: dict[str, type] = {"cavity": CavityPort, "free_space": FreeSpacePort, "superatom": SuperatomPort,
                          "waveguide": WaveguidePort}  # fmt: skip

__all__ = ["KINDS", "CavityPort", "FreeSpacePort", "Port", "SuperatomPort", "WaveguidePort"]
