"""A cavity around the atom; the model is `sim.physics.cavity`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from atomlink.heralds import SCHEMES
from sim.physics import cavity
from sim.physics.emission import Emission, FloatArray
from sim.physics.motion import Spread


@dataclass(frozen=True)
class CavityPort(cavity.CavityPort):
    """A cavity as a photon port."""

    schemes = SCHEMES
    sends_beside = True

    @property
    def resonator(self) -> cavity.CavityPort:
        """Return the cavity."""
        return self

    def emit(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
             moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return the photon that a pulse draws into the output mirror, averaged over where the atom is."""
        return cavity.emit(self, t_s, rabi_rad_s, detuning_rad_s, moved)

    def emit_beside(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
                    moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return the photon of an atom in F = 2, m = +-1, likewise."""
        return cavity.emit_beside(self, t_s, rabi_rad_s, detuning_rad_s, moved)

    def tuned(self, offset_rad_s: float) -> CavityPort:
        """Return the cavity moved against the light."""
        return replace(self, detuning_rad_s=self.detuning_rad_s + offset_rad_s)
