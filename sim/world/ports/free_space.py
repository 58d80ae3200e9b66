"""A lens in front of the atom; the model is `sim.physics.freespace`."""

from __future__ import annotations

from dataclasses import dataclass

from atomlink.heralds import SCHEMES
from sim.physics import freespace
from sim.physics.emission import Emission, FloatArray
from sim.physics.motion import Spread
from sim.world.ports.port import Plain


@dataclass(frozen=True)
class FreeSpacePort(Plain, freespace.FreeSpacePort):
    """A lens as a photon port."""

    resonator = None
    schemes = SCHEMES

    def emit(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
             moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return the photon that a pulse sends into the lens."""
        return freespace.emit(self, t_s, rabi_rad_s, detuning_rad_s)

    def tuned(self, offset_rad_s: float) -> FreeSpacePort:
        """Return the port: nothing resonates."""
        return self
