"""An atom at a waveguide, whose photon leaves by one end; the model is `sim.physics.waveguide`.

A spontaneous decay at rate Gamma goes to the used end with the probability `extraction`: what `sim.physics.freespace`
works out for a lens that collects so much. The pulse is short against 1/Gamma or drives once, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

from atomlink.heralds import SCHEMES
from sim.physics import freespace
from sim.physics.emission import Emission, FloatArray
from sim.physics.motion import Spread
from sim.physics.validate import require
from sim.physics.waveguide import Waveguide, extraction
from sim.world.ports.port import Plain


@dataclass(frozen=True)
class WaveguidePort(Plain, Waveguide):
    """A waveguide as a photon port. `fibre_coupling`: from the guided mode at the used end into the fibre;
    `one_polarisation`: only one guided polarisation couples, so that no photon carries a qubit in its polarisation.
    """

    fibre_coupling: float = 1.0
    one_polarisation: bool = False
    resonator = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "fibre_coupling", 0, 1)

    @property
    def schemes(self) -> tuple[str, ...]:
        """Return the heralding schemes that it can serve."""
        return tuple(scheme for scheme in SCHEMES if scheme != "polarisation" or not self.one_polarisation)

    def emit(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
             moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return the photon that a pulse sends to the used end."""
        lens = freespace.FreeSpacePort(extraction(self), 1.0, self.linewidth_rad_s / 2)
        return freespace.emit(lens, t_s, rabi_rad_s, detuning_rad_s)

    def tuned(self, offset_rad_s: float) -> WaveguidePort:
        """Return the port: nothing resonates."""
        return self
