"""The electronics of the stations' nanowire detectors: bias current, trigger level, counts, latched wires.

At the nominal bias and trigger level the detectors are what the scenario says. Below, the efficiency falls as a
logistic curve of the bias and the dark counts exponentially; a pulse is as high as the bias makes it and counts if it
passes the trigger level, noise included. A wire that has latched, or is biased above its switching current, is normal:
it shows a voltage and no clicks until the bias has been below its retrapping current.

Sources: F. Marsili et al., Nature Photon. 7, 210 (2013), for the curve with its plateau; R. H. Hadfield, Nature Photon.
3, 696 (2009), for dark counts that grow exponentially with the bias; A. J. Annunziata et al., J. Appl. Phys. 108,
084507 (2010), for latching. The numbers are the design's, of the size of a device with a switching current of 25 uA.
"""

from __future__ import annotations

import math

from sim.world.elements.element import Element, Lab
from sim.world.scenario.quantities import Effect

NOMINAL_UA, NOMINAL_MV, NOMINAL_MS = 20.0, 20.0, 100.0
HALF_UA, WIDTH_UA = 12.0, 1.0  # bias of half the efficiency, and width of the step
DARK_UA = 1.5  # dark counts grow e-fold over this
SWITCHING_UA, RETRAPPING_UA = 25.0, 4.0
PULSE_MV_PER_UA, NOISE_MV = 2.0, 2.0  # after the amplifier
LINE_OHM, NORMAL_OHM = 10.0, 5e3
# Below five times the noise the comparator would count noise, which is not modelled: the instrument refuses.
TRIGGER_MV = (5 * NOISE_MV, 200.0)
BIAS_UA = (-90.9, 90.9)  # what the source can deliver
PERIOD_MS = (10.0, 1000.0)  # of one count; clicks are kept for 1 s


def efficiency(bias_ua: float) -> float:
    """Return the efficiency at a bias relative to that at the nominal bias."""
    return _step(abs(bias_ua)) / _step(NOMINAL_UA)


def dark_counts(bias_ua: float) -> float:
    """Return the dark count rate at a bias relative to that at the nominal bias; none without bias."""
    return math.exp((abs(bias_ua) - NOMINAL_UA) / DARK_UA) if bias_ua else 0.0


def counted(bias_ua: float, trigger_mv: float) -> float:
    """Return the part of the pulses that pass the trigger level."""
    return 0.5 * math.erfc((trigger_mv - PULSE_MV_PER_UA * abs(bias_ua)) / (NOISE_MV * math.sqrt(2)))


def _step(bias_ua: float) -> float:
    return 1 / (1 + math.exp(-(bias_ua - HALF_UA) / WIDTH_UA)) if bias_ua else 0.0


class SnspdElectronics(Element):
    """Set points per detector, of all stations in their order, all at lab time reached."""

    def __init__(self, world: Lab, name: str, node: str = "") -> None:
        super().__init__(world, name, node)
        detectors = [(f"{station.name}.detectors.{detector.role}", detector.row)
                     for station in world.scenario.topology.stations for detector in station.detectors]  # fmt: skip
        self.bias_ua = [NOMINAL_UA] * len(detectors)
        self.trigger_mv = [NOMINAL_MV] * len(detectors)
        self.enabled, self.period_ms = True, NOMINAL_MS
        self._rows = [row for _, row in detectors]
        self._counters = [world.counters[row] for row in self._rows]
        for k, (path, _) in enumerate(detectors):
            self.attach(f"{path}.efficiency", self._efficiency_effect(k))
            self.attach(f"{path}.dark_rate_hz", self._dark_effect(k))

    # -- set points ----------------------------------------------------------------------------------------------------

    def set_bias(self, currents_ua: list[float]) -> None:
        """Set the bias currents; without bias a latched wire becomes superconducting, above switching it latches."""
        self.bias_ua = list(currents_ua)
        self._biased()

    def set_trigger(self, levels_mv: list[float]) -> None:
        """Set the trigger levels."""
        self.trigger_mv = list(levels_mv)
        self.touch()

    def enable(self, on: bool) -> None:
        """Switch all bias currents on or off."""
        self.enabled = on
        self._biased()

    def _biased(self) -> None:
        now = self.world.now_mu
        for k, counter in enumerate(self._counters):
            bias = abs(self.bias(k))
            if bias > SWITCHING_UA and not counter.latched:
                counter.latch(now)
            elif bias < RETRAPPING_UA and counter.latched:
                counter.reset(now)
        self.touch()

    # -- readings ------------------------------------------------------------------------------------------------------

    def bias(self, k: int) -> float:
        """Return the current that flows, uA."""
        return self.bias_ua[k] if self.enabled else 0.0

    def latched(self, k: int) -> bool:
        """Return whether a wire is normal."""
        return bool(self._counters[k].latched)

    def voltage_mv(self, k: int) -> float:
        """Return the voltage over wire and line, mV."""
        return 1e-3 * self.bias(k) * (NORMAL_OHM if self.latched(k) else LINE_OHM)

    def counts(self) -> list[int]:
        """Return the clicks of each detector in the last period."""
        now = self.world.now_mu
        start = max(0, now - round(self.period_ms * 1e6))
        return [len(self.world.clicks(row)(start, now)) for row in self._rows]

    def relative_efficiency(self, k: int) -> float:
        """Return the efficiency of a detector relative to what the scenario says."""
        return efficiency(self.bias(k)) * self._passing(k)

    def relative_dark_counts(self, k: int) -> float:
        """Return the dark count rate of a detector relative to what the scenario says."""
        return dark_counts(self.bias(k)) * self._passing(k)

    def _efficiency_effect(self, k: int) -> Effect:
        # The plateau is a little higher than the nominal point, but no detector sees more than what comes.
        return lambda value, _t: min(1.0, value * self.relative_efficiency(k))

    def _dark_effect(self, k: int) -> Effect:
        return lambda value, _t: value * self.relative_dark_counts(k)

    def _passing(self, k: int) -> float:
        return counted(self.bias(k), self.trigger_mv[k]) / counted(NOMINAL_UA, NOMINAL_MV)
