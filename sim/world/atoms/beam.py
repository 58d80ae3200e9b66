"""One laser beam of a node: what switches it, what its modulator makes of the rf, and how strong it is at the atom."""

from __future__ import annotations

import math

from atomlink.signals import Tone
from sim.physics.aom import Aom, rf_fraction

DARK = Tone(0.0, 0.0, 0.0, 0.0, False)


class Beam:
    """State of one beam. `power` is the diffracted fraction of full power while the light is on at the atom, 0
    otherwise.
    """

    def __init__(self, aom: Aom) -> None:
        self.aom = aom
        self.tone = DARK
        self.tone_mu = 0.0
        self.switch = False
        self.shutter_open = False
        self.strength = 0.0
        self.power = 0.0

    def set_tone(self, t_mu: float, tone: Tone) -> None:
        """Take a new DDS output; `t_mu` is when its sound reaches the beam."""
        self.tone, self.tone_mu = tone, t_mu
        self._diffract()

    def set_aom(self, aom: Aom) -> None:
        """Go on with a modulator that has become another; what its rf is stays."""
        if aom != self.aom:
            self.aom = aom
            self._diffract()

    def set_switch(self, on: bool) -> None:
        """Take the TTL's level."""
        self.switch = on
        self._update()

    def set_shutter(self, is_open: bool) -> None:
        """Take the shutter's state."""
        self.shutter_open = is_open
        self._update()

    def phase_rad(self, t_mu: float) -> float:
        """Return the phase that the modulator's sound imprints on the light at the atom at t_mu."""
        return (
            2 * math.pi * math.fmod(self.tone.phase_turns + self.tone.frequency_hz * (t_mu - self.tone_mu) * 1e-9, 1.0)
        )

    @property
    def on(self) -> bool:
        """Whether the switch lets rf through: the TTL or the CPLD's bit."""
        return self.switch or self.tone.switch

    @property
    def available(self) -> float:
        """The power that a further switch in parallel (the entangler's) would put on the atom."""
        return self.strength if self.shutter_open else 0.0

    def _diffract(self) -> None:
        tone = self.tone
        self.strength = (
            self.aom.diffraction(rf_fraction(tone.amplitude, tone.attenuation_db)) if tone.amplitude > 0 else 0.0
        )
        self._update()

    def _update(self) -> None:
        self.power = self.available if self.on else 0.0
