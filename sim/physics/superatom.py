"""A Rydberg superatom: N atoms that share one Rydberg excitation, in a cavity that all of them couple to.

Driven together they are one two-level system with Omega_N = sqrt(N) Omega; the pair shifts V_ij keep a second
excitation out, all together as one shift B with 1/B^2 = <1/V_ij^2>. The excitation is written as a phase across the
cloud, which motion and inhomogeneous shifts undo as e^(-t^2/tau^2); read out it becomes one photon. For light that
comes to the cavity the excitation breaks the transparency (EIT) of all atoms: reflected and transmitted light tell
whether it is there.

Sources: J. Vaneecloo, S. Garcia, A. Ourjoumtsev, PRX 12, 021034 (2022), arXiv 2111.09088 (superatom in a cavity,
detection, phase); V. Magro, J. Vaneecloo, S. Garcia, A. Ourjoumtsev, Nature Photon. 17, 688 (2023), arXiv 2209.02047
(photons on demand); M. Lukin et al., PRL 87, 037901 (2001) (blockade of ensembles).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
_SHIFTS, _WIDEST = 601, 6.0  # in sigma; the grid is exact up to revivals after 2 pi over its step, 314/sigma


def collective_rabi_rad_s(rabi_rad_s: float, atoms: float) -> float:
    """Return sqrt(N) Omega."""
    return math.sqrt(atoms) * rabi_rad_s


def pulse_error(mean_atoms: float) -> float:
    """Return 1 - P(one excitation) after a pi pulse for the mean number, the number being Poissonian.

    pi^2/16 N for many atoms.
    """
    width = 12 * math.sqrt(mean_atoms) + 12
    numbers = np.arange(max(0, math.floor(mean_atoms - width)), math.ceil(mean_atoms + width) + 1)
    logs = numbers * math.log(mean_atoms) - mean_atoms - np.array([math.lgamma(n + 1) for n in numbers])
    turned = np.sin(0.5 * math.pi * np.sqrt(numbers / mean_atoms)) ** 2
    weights = np.exp(logs)
    return float(1 - weights @ turned / weights.sum())


def rabi(t_s: npt.ArrayLike, rabi_rad_s: float, mean_atoms: float) -> FloatArray:
    """Return the probability of the excitation at t_s of a resonant drive, averaged over Poissonian numbers."""
    t = np.asarray(t_s, dtype=np.float64)
    width = 8 * math.sqrt(mean_atoms) + 8
    numbers = np.arange(max(0, math.floor(mean_atoms - width)), math.ceil(mean_atoms + width) + 1)
    weights = np.exp(numbers * math.log(mean_atoms) - mean_atoms - np.array([math.lgamma(n + 1) for n in numbers]))
    turned = np.sin(0.5 * rabi_rad_s * np.multiply.outer(t, np.sqrt(numbers))) ** 2
    return np.asarray(turned @ (weights / weights.sum()))


def blockade_rad_s(c6_hz_m6: float, sigma_m: float) -> float:
    """Return B of a round Gaussian cloud: <r^12> = 64 sigma^12 3 5 7 9 11 13 over its pairs of atoms."""
    return 2 * math.pi * c6_hz_m6 / (sigma_m**6 * math.sqrt(64 * math.prod(range(3, 14, 2))))


def double_excitation(atoms: float, collective_rad_s: float, blockade: float) -> float:
    """Return P_2 at full excitation, (N - 1)/N Omega_N^2/2 B^2; half of it is the mean over a cycle. For B > 3 Omega_N.
    """
    return (atoms - 1) / atoms * (collective_rad_s / blockade) ** 2 / 2


def g2(one: float, two: float) -> float:
    """Return g2(0) = 2 P_2/(P_1 + 2 P_2)^2 of light with these chances of one and two photons."""
    return 2 * two / (one + 2 * two) ** 2


def dephasing_s(temperature_k: float, mass_kg: float, wavelengths_m: tuple[float, float],
                inhomogeneous_rad_s: float = 0.0) -> float:  # fmt: skip
    """Return tau of e^(-t^2/tau^2): tau^-2 = (dk v)^2 + sigma^2, dk of counter-propagating light of two wavelengths."""
    wavenumber = 2 * math.pi * abs(1 / wavelengths_m[0] - 1 / wavelengths_m[1])
    rate = math.hypot(wavenumber * math.sqrt(BOLTZMANN_J_K * temperature_k / mass_kg), inhomogeneous_rad_s)
    return 1 / rate if rate > 0 else math.inf


def driven_contrast(drive: float, sigma_t: float) -> float:
    """Return the contrast of Rabi oscillations of Omega_N = `drive` sigma after `sigma_t`/sigma: strong, the drive
    protects the excitation from inhomogeneous shifts of rms sigma, and there is no exponential T_2.

    Many atoms: the ground state couples to shifts on an even grid, each with the root of its share of the Gaussian;
    what oscillates is the ground state's population. Diagonalised.
    """
    shifts, step = np.linspace(-_WIDEST, _WIDEST, _SHIFTS, retstep=True)
    h = np.diag(np.concatenate(([0.0], shifts)))
    h[0, 1:] = h[1:, 0] = 0.5 * drive * np.sqrt(np.exp(-(shifts**2) / 2) / math.sqrt(2 * math.pi) * step)
    energies, states = np.linalg.eigh(h)
    period = 2 * math.pi / drive
    t = sigma_t + period * np.linspace(-0.5, 0.5, 201)
    ground = np.abs(np.exp(-1j * np.outer(t, energies)) @ states[0] ** 2) ** 2
    return float(ground.max() - ground.min())


@dataclass(frozen=True)
class Cavity:
    """Describe the cavity around the cloud: collective cooperativity C_N = N g^2/2 kappa gamma, share of the loss that
    is through the used mirror, field rates kappa and gamma, decay gamma_R of the Rydberg coherence, in rad/s.
    """

    cooperativity: float
    outcoupling: float
    kappa_rad_s: float
    gamma_rad_s: float
    rydberg_rad_s: float = 0.0

    def __post_init__(self) -> None:
        require(self, "cooperativity", 0)
        require(self, "outcoupling", 0, 1)
        for name in ("kappa_rad_s", "gamma_rad_s"):
            require(self, name, 0, above=True)
        require(self, "rydberg_rad_s", 0)


def dephased(stored_s: float, dephasing: float) -> float:
    """Return the share e^(-t^2/tau^2) of an excitation that is still in phase after stored_s."""
    return math.exp(-((stored_s / dephasing) ** 2))


def efficiency(cavity: Cavity, prepared: float, stored_s: float, dephasing: float) -> float:
    """Return the probability of a photon out of the used mirror: P e^(-t^2/tau^2) (kappa_ext/kappa) 2C/(1 + 2C)."""
    twice = 2 * cavity.cooperativity
    return prepared * dephased(stored_s, dephasing) * cavity.outcoupling * twice / (1 + twice)


def reflection(cavity: Cavity, excited: bool, control_rad_s: float, cavity_detuning_rad_s: npt.ArrayLike = 0.0,
               atom_detuning_rad_s: npt.ArrayLike = 0.0) -> ComplexArray:  # fmt: skip
    """Return r = 1 - 2 (kappa_ext/kappa)/(1 - i D/kappa + A), of the detunings' shape.

    A = 2 C/[1 - i d/gamma + (Omega_c^2/4 gamma^2)/(gamma_R/gamma - i d/gamma)] under the control light, and 2 C/(1 - i
    d/gamma) where the excitation has broken the transparency.
    """
    big = np.asarray(cavity_detuning_rad_s, dtype=np.float64) / cavity.kappa_rad_s
    small = np.asarray(atom_detuning_rad_s, dtype=np.float64) / cavity.gamma_rad_s
    absorbing = 1 - 1j * small
    if not excited and control_rad_s > 0:
        window = np.asarray(cavity.rydberg_rad_s / cavity.gamma_rad_s - 1j * small)
        # 2C/(1 + w/window) with the window brought up, so that a perfect one, 0, absorbs nothing.
        response = 2 * cavity.cooperativity * window / (
            absorbing * window + (control_rad_s / (2 * cavity.gamma_rad_s)) ** 2
        )
    else:
        response = 2 * cavity.cooperativity / absorbing
    return np.asarray(1 - 2 * cavity.outcoupling / (1 - 1j * big + response), dtype=np.complex128)


def transmission_ratio(cavity: Cavity) -> float:
    """Return transmitted light with the excitation over that without, on resonance: (1 + 2C)^-2."""
    return 1 / (1 + 2 * cavity.cooperativity) ** 2


class Readout(NamedTuple):
    """Errors of a threshold: excitation missed, excitation seen where there is none."""

    missed: float
    false: float

    @property
    def mean(self) -> float:
        """Return their mean."""
        return (self.missed + self.false) / 2


def detection(bright: float, dark: float, threshold: int, lost: float = 0.0) -> Readout:
    """Return the errors of calling `threshold` clicks or more "no excitation".

    bright, dark: mean clicks without and with it, Poissonian. lost: window over the excitation's life; a decay inside
    the window lets light through from then on.
    """
    at = (np.arange(400) + 0.5) / 400
    means = dark * at + bright * (1 - at)  # decay after the part `at` of the window
    decayed = lost * np.exp(-lost * at) / 400
    missed = math.exp(-lost) * _at_least(dark, threshold)
    missed += float(sum(w * _at_least(float(m), threshold) for w, m in zip(decayed, means, strict=True)))
    return Readout(missed, 1 - _at_least(bright, threshold))


def _at_least(mean: float, threshold: int) -> float:
    below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(threshold)) if mean > 0 else 1.0
    return 1 - below
