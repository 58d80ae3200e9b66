"""Atoms coupled to a guided mode: a nanofibre or a photonic-crystal waveguide.

beta = Gamma_1D/(Gamma_1D + Gamma') is the share of an atom's decay that goes into the guided mode, both directions
together. With the detuning delta = 2 Delta/(Gamma_1D + Gamma') the single-photon amplitudes of one atom are
    bidirectional   t = 1 - beta/(1 - i delta)       r = -beta/(1 - i delta)
    chiral          t = 1 - 2 beta/(1 - i delta)     r = 0
so on resonance t = 1 - beta or 1 - 2 beta. Defaults of the design table: nanofibre beta 0.005 to 0.05, photonic crystal
0.5 to 0.9. Sources: D. E. Chang, A. S. Sorensen, E. A. Demler, M. D. Lukin, Nature Phys. 3, 807 (2007), for beta and t;
P. Lodahl et al., Nature 541, 473 (2017), for the chiral case.
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

    chiral: all guided light goes, and couples, in one direction only.
    """

    guided_rad_s: float
    other_rad_s: float
    chiral: bool = False

    def __post_init__(self) -> None:
        require(self, "guided_rad_s", 0)
        require(self, "other_rad_s", 0)
        if self.guided_rad_s + self.other_rad_s == 0:
            raise ScenarioError("Waveguide.guided_rad_s and other_rad_s are both 0, but must add to > 0: correct one.")
        if not isinstance(self.chiral, bool):
            raise ScenarioError(f"Waveguide.chiral is {self.chiral!r}, but must be true or false: correct it.")

    @property
    def linewidth_rad_s(self) -> float:
        """Return the energy decay rate Gamma_1D + Gamma' in rad/s."""
        return self.guided_rad_s + self.other_rad_s

    @property
    def beta(self) -> float:
        """Return the probability that a decay goes into the guided mode, both directions together."""
        return self.guided_rad_s / self.linewidth_rad_s


def scatter(port: Waveguide, detuning_rad_s: npt.ArrayLike) -> tuple[ComplexArray, ComplexArray]:
    """Return (transmission, reflection) amplitudes of a weak probe past one atom, each of the detuning's shape."""
    detuning = np.asarray(detuning_rad_s, dtype=np.float64)
    response: ComplexArray = np.asarray(port.beta / (1 - 2j * detuning / port.linewidth_rad_s), dtype=np.complex128)
    if port.chiral:
        return np.asarray(1 - 2 * response), np.zeros_like(response)
    return np.asarray(1 - response), np.asarray(-response)


def optical_depth(port: Waveguide, atoms: int) -> float:
    """Return OD = -2 N ln|t| on resonance, reflections among the atoms left out; infinite where one atom blocks all."""
    t = abs(complex(scatter(port, 0.0)[0]))
    return math.inf if t == 0 and atoms else -2 * atoms * math.log(t) if atoms else 0.0


def extraction(port: Waveguide) -> float:
    """Return the probability that an excited atom's photon leaves through one given end (the chiral one)."""
    return port.beta if port.chiral else port.beta / 2
