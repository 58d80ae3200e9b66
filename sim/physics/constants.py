"""Physical constants in SI units.  Source: CODATA 2018 (exact since the SI of 2019, except the atomic mass unit)."""

import math

HBAR_J_S = 6.62607015e-34 / (2 * math.pi)
BOLTZMANN_J_K = 1.380649e-23
SPEED_OF_LIGHT_M_S = 299792458.0
ATOMIC_MASS_KG = 1.66053906660e-27
