"""Fixed constants of the atomic species.

Source: D. A. Steck, "Rubidium 87 D Line Data" (rev. 2.2.2). Decay rates are field (HWHM)
rates gamma in rad/s, so that the population of the excited state decays at Gamma = 2 gamma.
"""

import math
from dataclasses import dataclass

from atomlink.errors import ScenarioError
from sim.physics.constants import ATOMIC_MASS_KG, BOLTZMANN_J_K, HBAR_J_S, SPEED_OF_LIGHT_M_S
from sim.physics.validate import require


@dataclass(frozen=True)
class Species:
    """Describe one atomic species by its measured constants."""

    name: str
    mass_kg: float
    d2_wavelength_m: float
    d2_gamma_rad_s: float
    d1_wavelength_m: float
    d1_gamma_rad_s: float
    hyperfine_hz: float
    zeeman_pair_hz_gauss: float
    hyperfine_trap_ratio: float

    def __post_init__(self) -> None:
        for field in ("mass_kg", "d2_wavelength_m", "d2_gamma_rad_s", "d1_wavelength_m", "d1_gamma_rad_s",
                      "hyperfine_hz", "zeeman_pair_hz_gauss"):
            require(self, field, 0, above=True)
        require(self, "hyperfine_trap_ratio", 0, 1)

    @property
    def d2_linewidth_rad_s(self) -> float:
        """Return the natural linewidth Gamma = 2 gamma of the D2 line (energy decay rate), in rad/s."""
        return 2 * self.d2_gamma_rad_s

    @property
    def recoil_temperature_k(self) -> float:
        """Return (hbar k)^2 / (m k_B), twice the recoil energy over k_B, for D2 light, in K."""
        k = 2 * math.pi / self.d2_wavelength_m
        return (HBAR_J_S * k) ** 2 / (self.mass_kg * BOLTZMANN_J_K)

    @property
    def d2_angular_frequency_rad_s(self) -> float:
        """Return the angular frequency of the D2 line, in rad/s."""
        return 2 * math.pi * SPEED_OF_LIGHT_M_S / self.d2_wavelength_m

    @property
    def d1_angular_frequency_rad_s(self) -> float:
        """Return the angular frequency of the D1 line, in rad/s."""
        return 2 * math.pi * SPEED_OF_LIGHT_M_S / self.d1_wavelength_m


RB87 = Species(
    name="Rb-87",
    mass_kg=86.909180520 * ATOMIC_MASS_KG,
    d2_wavelength_m=780.241e-9,
    d2_gamma_rad_s=2 * math.pi * 6.0666e6 / 2,
    d1_wavelength_m=794.979e-9,
    d1_gamma_rad_s=2 * math.pi * 5.7500e6 / 2,
    hyperfine_hz=6.834682610904e9,
    # Splitting of F=1, m=-1 and m=+1: 2 |g_F| mu_B/h with g_F = -1/2; g_J and g_I would make it 1.405 MHz/G.
    zeeman_pair_hz_gauss=1.40e6,
    # Differential over total light shift of the clock pair at 852 nm, as in S. Kuhr et al., PRA 72, 023406 (2005):
    # hyperfine splitting over the effective detuning of the trap from the D lines.
    hyperfine_trap_ratio=2.35e-4,
)

_ALL = {species.name: species for species in (RB87,)}


def species(name: str) -> Species:
    """Return the species called `name`; raise ScenarioError for one that is not in the table."""
    if name not in _ALL:
        raise ScenarioError(f"species is {name!r}, but must be one of {', '.join(_ALL)}: correct the scenario.")
    return _ALL[name]
