"""The pick-off behind a node's excitation AOM: what reaches the head of a power meter now.

The scenario says how strongly the light drives the atom, not how many watts it has: FULL_W falls on the head when the
beam has the scenario's Rabi frequency at full diffraction. The power goes as the square of the Rabi frequency, so what
dims the laser dims this too.
"""

from __future__ import annotations

from sim.world.elements.element import Element

FULL_W = 10e-6  # design: 1 % of 1 mW behind the AOM
STRAY_W = 2e-9  # design: room light on the head
WAVELENGTH_M = 780.241e-9  # Rb-87 D2, Steck


class Pickup(Element):
    """The light on one power meter's head."""

    wavelength_m = WAVELENGTH_M

    def light_w(self) -> float:
        """Return the power of the excitation light that is picked off, now, in W."""
        path = f"{self.node}.excitation.rabi_rad_s"
        base = self.world.quantities.base(path)
        strength = self.value(path) / base if base else 0.0
        return float(FULL_W * self.world.port_of(self.node).beams["excitation"].power * strength**2)

    def stray_w(self) -> float:
        """Return the power of the room light on the head in W."""
        return STRAY_W
