"""Three piezo squeezers on a node's fibre, at 0, 45 and 0 degrees: a polarisation controller.

Each adds a retardation in proportion to its voltage, so x, y, z add to the angles alpha, beta, gamma of the fibre's
Jones matrix Rz(alpha) Ry(beta) Rz(gamma); at 0 V the fibre is the scenario's. Source: fibre squeezers reach a full wave
within the range of their driver (N. G. Walker, G. R. Walker, J. Lightwave Technol. 8, 438 (1990)).
"""

from __future__ import annotations

import math
from functools import partial

from sim.world.elements.element import Element, Lab

RAD_PER_V = 2 * math.pi / 100  # design: a full wave at 100 of the controller's 150 V
ANGLES = {"x": "alpha_rad", "y": "beta_rad", "z": "gamma_rad"}


class Piezo(Element):
    """Squeezers of one node; `volts` by axis."""

    def __init__(self, world: Lab, name: str, node: str) -> None:
        super().__init__(world, name, node)
        self.volts = dict.fromkeys(ANGLES, 0.0)
        for axis, angle in ANGLES.items():
            self.attach(f"{node}.polarisation.{angle}", partial(self._squeezed, axis))

    def set_voltage(self, axis: str, volts: float) -> None:
        """Squeeze by another voltage."""
        self.volts[axis] = volts
        self.touch()

    def _squeezed(self, axis: str, angle_rad: float, _t_s: float) -> float:
        # A whole turn changes the sign of the matrix, which no photon shows.
        return math.remainder(angle_rad + RAD_PER_V * self.volts[axis], 2 * math.pi) if self.volts[axis] else angle_rad
