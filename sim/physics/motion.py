"""How far an atom in its tweezer strays, and what that does to its coupling to a cavity.

A thermal harmonic oscillator has a Gaussian position of rms sigma^2 = hbar/(2 m omega) coth(hbar omega/2 k_B T). Across
a standing wave of wavenumber k the atom feels g cos(kx), across its Gaussian mode of waist w g exp(-r^2/w^2), so that
    <g^2>/g_0^2 = (1 + exp(-2 k^2 sigma^2))/2 * prod_i (1 + 4 sigma_i^2/w^2)^(-1/2).
Whatever else depends on the coupling is an average over the distribution of s = (g/g_0)^2, which a few points replace:
the Gauss rule of that distribution, exact for polynomials of s. The atom is taken to stand still during one attempt
(0.5 us against 10 us of a trap period) and anywhere at the next.

Sources: L. D. Landau, E. M. Lifshitz, "Statistical Physics", par. 30, for the thermal oscillator; G. H. Golub, J. H.
Welsch, Math. Comp. 23, 221 (1969), for the rule.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S
from sim.physics.trap import Trap, frequencies_hz

FloatArray = npt.NDArray[np.float64]

_POINTS = 5  # of the rule: efficiency within 5e-5, visibility within 3e-4 of very many points
_WIDE, _FINE = 6.0, 241  # the Gaussians are summed over so many rms, at so many points across the wave
_ACROSS = 6  # points across the mode: there exp(-2 y^2/w^2) is smooth


class Spread(NamedTuple):
    """The rms displacements of an atom in its tweezer in m: across the beam, and along it."""

    radial_m: float
    axial_m: float


def oscillator_rms_m(frequency_hz: float, mass_kg: float, temperature_k: float) -> float:
    """Return the rms position of a thermal harmonic oscillator in m; at T = 0 that of its ground state."""
    if not (frequency_hz > 0 and mass_kg > 0 and temperature_k >= 0):
        raise ScenarioError(f"Arguments `frequency_hz` and `mass_kg` must be > 0 and `temperature_k` >= 0, but are "
                            f"{frequency_hz!r}, {mass_kg!r} and {temperature_k!r}.")
    omega = 2 * math.pi * frequency_hz
    ground = HBAR_J_S / (2 * mass_kg * omega)
    if temperature_k == 0:
        return math.sqrt(ground)
    return math.sqrt(ground / math.tanh(HBAR_J_S * omega / (2 * BOLTZMANN_J_K * temperature_k)))


def spread(trap: Trap, mass_kg: float, temperature_k: float) -> Spread:
    """Return how far an atom of this temperature strays in a tweezer, in the harmonic approximation."""
    radial, axial = (oscillator_rms_m(hz, mass_kg, temperature_k) for hz in frequencies_hz(trap, mass_kg))
    return Spread(radial, axial)


def standing_wave_mean(wavelength_m: float, sigma_m: float) -> float:
    """Return <cos^2 kx> of an atom around an antinode."""
    return 0.5 * (1 + math.exp(-2 * (2 * math.pi * sigma_m / wavelength_m) ** 2))


def waist_mean(waist_m: float, *sigmas_m: float) -> float:
    """Return <exp(-2 r^2/w^2)> of an atom around the axis of a Gaussian mode, one rms per axis."""
    return math.prod((1 + 4 * (sigma / waist_m) ** 2) ** -0.5 for sigma in sigmas_m)


def coupling_rule(moved: Spread, wavelength_m: float, waist_m: float, points: int = _POINTS
                  ) -> tuple[FloatArray, FloatArray]:
    """Return g/g_0 and its weights, float, shape (k,) each, k <= points: the Gauss rule in (g/g_0)^2.

    The cavity's axis lies across the tweezer's beam: the standing wave (wavelength_m; 0: none is felt) along one of its
    radial axes, the mode's waist (waist_m; 0: it is wide) across the other and along the beam.
    """
    squared, weights = np.ones(1), np.ones(1)
    if wavelength_m > 0:
        x = np.linspace(-_WIDE, _WIDE, _FINE)
        k_sigma = 2 * math.pi * moved.radial_m / wavelength_m
        squared, weights = np.cos(k_sigma * x) ** 2, np.exp(-0.5 * x**2)
    if waist_m > 0:
        x, gauss = np.polynomial.hermite_e.hermegauss(_ACROSS)
        for sigma in moved:
            factor = np.exp(-2 * (sigma * x / waist_m) ** 2)
            squared, weights = np.outer(squared, factor).ravel(), np.outer(weights, gauss).ravel()
    nodes, share = gauss_rule(squared, weights, points)
    return np.sqrt(np.clip(nodes, 0.0, 1.0)), share


def gauss_rule(values: FloatArray, weights: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights (adding to 1) of the Gauss rule of a discrete measure, by Lanczos' recursion.

    values, weights, float, shape (n,); fewer nodes than `points` where the measure has no more.
    """
    basis = [np.sqrt(weights / weights.sum())]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(points):
        rest = values * basis[-1]
        diagonal.append(float(basis[-1] @ rest))
        for known in (*basis, *basis):  # twice: what rounding has left of the earlier directions goes, too
            rest = rest - (known @ rest) * known
        length = float(np.linalg.norm(rest))
        if length < 1e-9:
            break
        beside.append(length)
        basis.append(rest / length)
    size = len(diagonal)
    jacobi = np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return nodes, vectors[0] ** 2
