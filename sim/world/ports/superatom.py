"""A Rydberg superatom in a cavity; the models are `sim.physics.superatom` and, for its photon, `sim.physics.cavity`.

The pulse reads an excitation out that all atoms share: the field in the cavity is that of one atom whose coupling is
sqrt(N) g. What preparation and storage lose is lost before the pulse. It makes no qubit of two polarisations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from atomlink.errors import ScenarioError
from atomlink.heralds import SCHEMES
from sim.physics import cavity, superatom
from sim.physics.emission import Emission, FloatArray
from sim.physics.motion import Spread
from sim.physics.validate import require
from sim.world.ports.port import Plain


@dataclass(frozen=True)
class SuperatomPort(Plain, cavity.CavityPort):
    """A blockaded cloud as a photon port. `g_rad_s` of one atom; `atoms` their mean number, `prepared` the chance that
    the excitation is there, `stored_s` from its preparation to the pulse, `dephasing_s` its 1/e time.
    """

    atoms: float = 400.0
    prepared: float = 1.0
    stored_s: float = 0.0
    dephasing_s: float = 10e-6
    schemes = tuple(scheme for scheme in SCHEMES if scheme != "polarisation")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "atoms", 1)
        require(self, "prepared", 0, 1)
        require(self, "stored_s", 0)
        require(self, "dephasing_s", 0, above=True)
        if self.standing_wave_m or self.mode_waist_m or self.branching_beside:
            raise ScenarioError("standing_wave_m, mode_waist_m and branching_beside are of one atom in a cavity, but a "
                                "superatom's atoms are everywhere in the mode: leave them out, and give g_rad_s as "
                                "their average.")

    @property
    def resonator(self) -> cavity.CavityPort:
        """Return the cavity with the coupling of all atoms."""
        return cavity.CavityPort(self.g_rad_s * math.sqrt(self.atoms), self.kappa_ext_rad_s, self.kappa_in_rad_s,
                                 self.gamma_rad_s, self.detuning_rad_s, self.fibre_coupling, self.branching_back,
                                 self.lock_rms_rad_s)  # fmt: skip

    @property
    def ready(self) -> float:
        """Return the chance that the excitation is there, in phase, when the pulse comes."""
        return self.prepared * superatom.dephased(self.stored_s, self.dephasing_s)

    def emit(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
             moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return the photon that a pulse reads out into the output mirror."""
        photon = cavity.emit(self.resonator, t_s, rabi_rad_s, detuning_rad_s)
        return replace(photon, efficiency=self.ready * photon.efficiency, scattered=self.ready * photon.scattered)

    def tuned(self, offset_rad_s: float) -> SuperatomPort:
        """Return the cavity moved against the light."""
        return replace(self, detuning_rad_s=self.detuning_rad_s + offset_rad_s)
