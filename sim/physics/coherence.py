"""Coherence of a stored qubit.

Sources: S. Kuhr et al., PRA 72, 023406 (2005), for dephasing by thermal motion in a dipole trap; L. Cywinski et al.,
PRB 77, 174509 (2008), for Ramsey and echo under Ornstein-Uhlenbeck noise.
"""

from __future__ import annotations  # np.random.Generator in a signature would import numpy.random (15 ms)

import math

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S

FloatArray = npt.NDArray[np.float64]


def t2_star_s(hyperfine_trap_ratio: float, temperature_k: float) -> float:
    """Return T2* = 0.97 * 2 hbar/(eta_hf k_B T), the 1/e time of `thermal_contrast`, in s."""
    if not (hyperfine_trap_ratio > 0 and temperature_k > 0):
        raise ScenarioError(f"Arguments `hyperfine_trap_ratio` and `temperature_k` must be > 0, but are "
                            f"{hyperfine_trap_ratio!r} and {temperature_k!r}.")
    return 0.97 * 2 * HBAR_J_S / (hyperfine_trap_ratio * BOLTZMANN_J_K * temperature_k)


def thermal_contrast(t_s: float, t2_star_s: float) -> float:
    """Return the Ramsey contrast [1 + 0.95 (t/T2*)^2]^(-3/2) of a thermal atom in a harmonic trap."""
    return (1 + 0.95 * (t_s / t2_star_s) ** 2) ** -1.5


def mean_thermal_detuning_rad_s(hyperfine_trap_ratio: float, temperature_k: float) -> float:
    """Return the mean detuning of a thermal atom against one at the trap's bottom, <E>/2 = 3/2 k_B T of it."""
    return 3 * hyperfine_trap_ratio * BOLTZMANN_J_K * temperature_k / (2 * HBAR_J_S)


def thermal_detunings_rad_s(rng: np.random.Generator, hyperfine_trap_ratio: float, temperature_k: float,
                            size: int) -> FloatArray:  # fmt: skip
    """Draw detunings, float, shape (size,), whose Ramsey contrast is `thermal_contrast`, against the trap's bottom.

    The energies of an atom in a harmonic trap are Gamma distributed, E/k_B T of shape 3; half of them is potential.
    """
    unit = hyperfine_trap_ratio * BOLTZMANN_J_K * temperature_k / (2 * HBAR_J_S)
    return np.asarray(unit * rng.standard_gamma(3.0, size))


def quasi_static_sigma_rad_s(t2_star_s: float) -> float:
    """Return the rms detuning whose Gaussian Ramsey decay exp(-sigma^2 t^2/2) reaches 1/e at T2*."""
    return math.sqrt(2) / t2_star_s


def quasi_static_contrast(t_s: float, sigma_rad_s: float) -> float:
    """Return the Ramsey contrast exp(-sigma^2 t^2/2)."""
    return math.exp(-0.5 * (sigma_rad_s * t_s) ** 2)


def ou_ramsey_contrast(t_s: float, sigma_rad_s: float, correlation_s: float) -> float:
    """Return the Ramsey contrast under Ornstein-Uhlenbeck detuning noise of rms sigma and correlation time tau."""
    x = t_s / correlation_s
    return math.exp(-((sigma_rad_s * correlation_s) ** 2) * (x + math.expm1(-x)))


def ou_echo_contrast(t_s: float, sigma_rad_s: float, correlation_s: float) -> float:
    """Return the contrast of an echo with its pi pulse at t/2, same noise; the quasi-static limit is 1."""
    x = t_s / correlation_s
    exponent = x + 4 * math.expm1(-x / 2) - math.expm1(-x)
    return math.exp(-((sigma_rad_s * correlation_s) ** 2) * exponent)


def stored_pair_fidelity(t_s: float, t1_s: float, t2_s: float) -> float:
    """Return F(t) = [1 + exp(-2t/T1) + 2 exp(-2t/T2)]/4 of a Bell pair stored in two like memories."""
    return 0.25 * (1 + math.exp(-2 * t_s / t1_s) + 2 * math.exp(-2 * t_s / t2_s))


def geometric_decay(factor: float, probability: float) -> float:
    """Return E[factor^K] for K ~ Geom(probability), K = 1, 2, ...: the mean decay over the wait for a success."""
    return probability * factor / (1 - (1 - probability) * factor)
