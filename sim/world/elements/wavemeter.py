"""A wavemeter behind a fibre switch: channel k sees the laser of the lab's node k, the others nothing.

It reads the true frequency with a calibration error of its own and noise, and needs light within its exposure range.
Numbers are the design's, of a mid-range instrument: absolute accuracy 10 MHz, repeatability 0.5 MHz, light from 4 to 90
uW in the fibre, to which a laser's pick-off sends 1/1000 of its power.
"""

from __future__ import annotations

from sim.world.elements.element import Element, Lab

ACCURACY_HZ, NOISE_HZ = 10e6, 0.5e6
PICK_OFF = 1e-3
LOWEST_W, HIGHEST_W = 4e-6, 90e-6
NO_SIGNAL, LOW_SIGNAL, BIG_SIGNAL, NO_CHANNEL = -1, -3, -4, -10
CHANNELS = 8


class Wavemeter(Element):
    """One wavemeter of the lab."""

    def __init__(self, world: Lab, name: str, node: str) -> None:
        super().__init__(world, name, node)
        nodes = world.scenario.topology.node_names[:CHANNELS]
        self._lasers = {channel: world.element(f"{node}_laser") for channel, node in enumerate(nodes, start=1)}
        self._error_hz = ACCURACY_HZ * self.rng.uniform(-1, 1)

    def frequency_hz(self, channel: int) -> float:
        """Measure one channel: frequency in Hz, or the code (< 0) that says why there is none."""
        if not 1 <= channel <= CHANNELS:
            return NO_CHANNEL
        power = self.light_w(channel)
        if power == 0:
            return NO_SIGNAL
        if power < LOWEST_W:
            return LOW_SIGNAL
        if power > HIGHEST_W:
            return BIG_SIGNAL
        return float(self._lasers[channel].frequency_hz + self._error_hz + NOISE_HZ * self.rng.standard_normal())

    def light_w(self, channel: int) -> float:
        """Return the power in W that a channel gets."""
        laser = self._lasers.get(channel)
        return PICK_OFF * laser.power_w if laser is not None else 0.0
