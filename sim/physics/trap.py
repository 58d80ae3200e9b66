"""One atom in an optical tweezer: depth, frequencies, loss by temperature.

Sources: R. Grimm, M. Weidemueller, Y. Ovchinnikov, Adv. At. Mol. Opt. Phys. 42, 95 (2000), eqs. 10-11
summed over the D lines; C. Tuchendler et al., PRA 78, 033425 (2008), for loss from a thermal energy distribution.
"""

import math
from dataclasses import dataclass

from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S, SPEED_OF_LIGHT_M_S
from sim.physics.species import Species
from sim.physics.validate import require


@dataclass(frozen=True)
class Trap:
    """Describe a Gaussian tweezer by its depth (as a temperature, U0/k_B), waist and wavelength."""

    depth_k: float
    waist_m: float
    wavelength_m: float

    def __post_init__(self) -> None:
        require(self, "depth_k", 0, 1, above=True)
        require(self, "waist_m", 0, 1e-3, above=True)
        require(self, "wavelength_m", 0, 1e-4, above=True)

    @property
    def rayleigh_m(self) -> float:
        """Return the Rayleigh length in m."""
        return math.pi * self.waist_m**2 / self.wavelength_m


def frequencies_hz(trap: Trap, mass_kg: float) -> tuple[float, float]:
    """Return the (radial, axial) trap frequencies in Hz, in the harmonic approximation."""
    depth_j = BOLTZMANN_J_K * trap.depth_k
    radial = math.sqrt(4 * depth_j / (mass_kg * trap.waist_m**2))
    axial = math.sqrt(2 * depth_j / (mass_kg * trap.rayleigh_m**2))
    return radial / (2 * math.pi), axial / (2 * math.pi)


def light_shift(atom: Species, wavelength_m: float, power_w: float, waist_m: float) -> tuple[float, float]:
    """Return (trap depth U0/k_B in K, photon scattering rate in 1/s) at the focus, for linear polarisation."""
    laser = 2 * math.pi * SPEED_OF_LIGHT_M_S / wavelength_m
    intensity = 2 * power_w / (math.pi * waist_m**2)
    shift_j, scattering = 0.0, 0.0
    lines = ((2 / 3, atom.d2_angular_frequency_rad_s, 2 * atom.d2_gamma_rad_s),
             (1 / 3, atom.d1_angular_frequency_rad_s, 2 * atom.d1_gamma_rad_s))
    for weight, line, linewidth in lines:
        response = linewidth / (line - laser) + linewidth / (line + laser)
        unit = weight * 3 * math.pi * SPEED_OF_LIGHT_M_S**2 / (2 * line**3) * intensity
        shift_j += unit * response
        scattering += unit / HBAR_J_S * (laser / line) ** 3 * response**2
    return shift_j / BOLTZMANN_J_K, scattering


def p_lost(temperature_k: float, depth_k: float) -> float:
    """Return the probability that a thermal atom has more energy than the trap is deep.

    The energy distribution in a 3D harmonic trap is E^2 exp(-E/kT)/2(kT)^3; its tail is exp(-x)(1 + x + x^2/2), with
    x = U0/kT.
    """
    if temperature_k <= 0:
        return 0.0
    x = depth_k / temperature_k
    return math.exp(-x) * (1 + x + x * x / 2)


def survival_after_heating(before_k: float, after_k: float, depth_k: float) -> float:
    """Return the probability that an atom in the trap at before_k is still there when heated to after_k.

    Having survived before_k is given, and energies only grow: (1 - p(after))/(1 - p(before)), 1 if it was not heated.
    """
    if after_k <= before_k:
        return 1.0
    return (1 - p_lost(after_k, depth_k)) / (1 - p_lost(before_k, depth_k))
