"""The microwave source of one node: what its frequency, power and output do to the drive on |1>-|2>.

detuning = (resonance - frequency), Rabi frequency in proportion to the field, 10^((P - P0)/20). The scenario's detuning
and Rabi frequency hold at the nominal set point, which is what the source is at when the lab is first looked at. While
it settles its output is blanked. Sources: resonance F=1, m=+1 to F=2, m=+2 of Rb-87 in 1 G, 6.834682610904 GHz (Steck)
plus 3/2 of 1.400 MHz; settling of a synthesizer of this class, data sheet of the R&S SMB100A (< 3 ms).
"""

from __future__ import annotations

import math

from sim.world.elements.element import Element, Lab

NOMINAL_HZ = 6.834682610904e9 + 1.5 * 1.400e6
NOMINAL_DBM = 0.0  # design: the amplifier behind gives the scenario's Rabi frequency
SETTLING_S = 3e-3
_HALF_MU_S = 0.5e-9  # lab time is in whole nanoseconds


class Microwave(Element):
    """A synthesizer that drives one node; set points `frequency_hz`, `power_dbm`, `on`."""

    def __init__(self, world: Lab, name: str, node: str) -> None:
        super().__init__(world, name, node)
        self.frequency_hz, self.power_dbm, self.on = NOMINAL_HZ, NOMINAL_DBM, True
        self._settled_s = -math.inf
        self.attach(f"{node}.microwave.detuning_rad_s", self._detuning)
        self.attach(f"{node}.microwave.rabi_rad_s", self._rabi)

    def set_frequency(self, frequency_hz: float) -> None:
        """Go to another frequency."""
        self.frequency_hz = frequency_hz
        self._settle()

    def set_power(self, power_dbm: float) -> None:
        """Go to another output power."""
        self.power_dbm = power_dbm
        self._settle()

    def set_output(self, on: bool) -> None:
        """Switch the output."""
        self.on = on
        self.touch()

    @property
    def settling(self) -> bool:
        """Whether a change is still under way."""
        return self._blank(self.now_s)

    def _settle(self) -> None:
        self._settled_s = self.now_s + SETTLING_S
        self.touch()
        self.world.quantities.touch_at(self._settled_s)

    def _blank(self, t_s: float) -> bool:
        return t_s < self._settled_s - _HALF_MU_S

    def _detuning(self, value: float, _t_s: float) -> float:
        return value - 2 * math.pi * (self.frequency_hz - NOMINAL_HZ)

    def _rabi(self, value: float, t_s: float) -> float:
        if not self.on or self._blank(t_s):
            return 0.0
        return value * 10 ** ((self.power_dbm - NOMINAL_DBM) / 20)
