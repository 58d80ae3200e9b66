"""Atoms coupled to a guided mode: a nanofibre or a photonic-crystal waveguide.

beta = Gamma_1D/(Gamma_1D + Gamma') is the share of an atom's decay that goes into the guided mode, both directions
together; a part chi of that goes, and couples, to the right (1/2: both alike, 1: chiral). With the detuning
delta = 2 Delta/Gamma_tot the single-photon amplitudes of one atom, for light from the left, are
    t = 1 - 2 beta chi/(1 - i delta)       r = -2 beta sqrt(chi (1 - chi))/(1 - i delta),
so on resonance t = 1 - beta (both ways) or 1 - 2 beta (chiral). In front of a mirror, the light's way to it of phase
phi, Gamma_1D becomes 2 Gamma_1D cos^2 phi, and there is one end. Several atoms: `sim.physics.waveguide_atoms`. Defaults
of the design table: nanofibre beta 0.005 to 0.05, photonic crystal 0.5 to 0.9. Sources: D. E. Chang, A. S. Sorensen,
E. A. Demler, M. D. Lukin, Nature Phys. 3, 807 (2007), for beta and t; P. Lodahl et al., Nature 541, 473 (2017), for the
chiral case; J. D. Hood et al., PNAS 113, 10507 (2016), for the mirror.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.validate import require

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Waveguide:
    """Describe an atom at a waveguide by its energy decay rates into the guided mode and elsewhere, in rad/s.

    directionality: chi, the part of the guided light that goes to the used end. mirror_phase_rad: where the other end
    is a mirror (`one_sided`), the phase of the way to it.
    """

    guided_rad_s: float
    other_rad_s: float
    directionality: float = 0.5
    one_sided: bool = False
    mirror_phase_rad: float = 0.0

    def __post_init__(self) -> None:
        require(self, "guided_rad_s", 0)
        require(self, "other_rad_s", 0)
        if self.guided_rad_s + self.other_rad_s == 0:
            raise ScenarioError("Waveguide.guided_rad_s and other_rad_s are both 0, but must add to > 0: correct one.")
        require(self, "directionality", 0, 1)
        require(self, "mirror_phase_rad", -math.inf)
        if not isinstance(self.one_sided, bool):
            raise ScenarioError(f"Waveguide.one_sided is {self.one_sided!r}, but must be true or false: correct it.")
        if self.one_sided and self.directionality != 0.5:
            raise ScenarioError(f"Waveguide.directionality is {self.directionality!r}, but must be 0.5 where a mirror "
                                "sends all light to one end: take it out, or one_sided.")  # fmt: skip

    @property
    def effective_rad_s(self) -> float:
        """Return the energy decay rate into the guided mode in rad/s, the mirror's image included."""
        return self.guided_rad_s * (2 * math.cos(self.mirror_phase_rad) ** 2 if self.one_sided else 1.0)

    @property
    def linewidth_rad_s(self) -> float:
        """Return the energy decay rate Gamma_1D + Gamma' in rad/s."""
        return self.effective_rad_s + self.other_rad_s

    @property
    def beta(self) -> float:
        """Return the probability that a decay goes into the guided mode, both directions together."""
        return self.effective_rad_s / self.linewidth_rad_s


def from_beta(beta: float, linewidth_rad_s: float, directionality: float = 0.5) -> Waveguide:
    """Return the waveguide of an atom that decays at linewidth_rad_s, a part beta of it guided."""
    if not 0 <= beta <= 1:
        raise ScenarioError(f"Argument `beta` is {beta!r}, but must be in [0, 1]: it is a share of the decay.")
    return Waveguide(beta * linewidth_rad_s, (1 - beta) * linewidth_rad_s, directionality)


def scatter(port: Waveguide, detuning_rad_s: npt.ArrayLike) -> tuple[ComplexArray, ComplexArray]:
    """Return (transmission, reflection) amplitudes of a weak probe past one atom, each of the detuning's shape.

    From the left where there are two ends; where there is one, nothing is transmitted.
    """
    detuning = np.asarray(detuning_rad_s, dtype=np.float64)
    response: ComplexArray = np.asarray(2 * port.beta / (1 - 2j * detuning / port.linewidth_rad_s), dtype=np.complex128)
    if port.one_sided:
        return np.zeros_like(response), np.asarray(1 - response)
    chi = port.directionality
    return np.asarray(1 - chi * response), np.asarray(-math.sqrt(chi * (1 - chi)) * response)


def optical_depth(port: Waveguide, atoms: int) -> float:
    """Return OD = -2 N ln|t| on resonance, reflections among the atoms left out; infinite where one atom blocks all."""
    t = abs(complex(scatter(port, 0.0)[0]))
    return math.inf if t == 0 and atoms else -2 * atoms * math.log(t) if atoms else 0.0


def extraction(port: Waveguide) -> float:
    """Return the probability that an excited atom's photon leaves through the used end."""
    return port.beta if port.one_sided else port.beta * port.directionality
