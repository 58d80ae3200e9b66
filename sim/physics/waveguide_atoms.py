"""Several atoms at a waveguide that share one excitation: how it decays, where to, and how they scatter a weak probe.

    H_jj = -i Gamma_tot/2,  H_ij = -i Gamma_R e^{ik(z_i - z_j)} (z_i > z_j),  -i Gamma_L e^{ik(z_j - z_i)} (z_i < z_j),
with Gamma_R = beta chi Gamma_tot, Gamma_L = beta (1 - chi) Gamma_tot. The field to the right is sqrt(Gamma_R) sum_j
e^{-ikz_j} c_j(t). Atoms at multiples of half a wavelength emit together: Gamma_1D becomes N Gamma_1D, half to each end.
Atoms anywhere, excited with the phase e^{ikz}, emit to the right.

Sources: T. Caneva et al., New J. Phys. 17, 113001 (2015), for H of one excitation; H. Pichler, T. Ramos, A. J. Daley,
P. Zoller, PRA 91, 042116 (2015), for the chiral one; N. V. Corzo et al., PRL 117, 133603 (2016), for Bragg reflection.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.physics.waveguide import Waveguide

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]


class Ends(NamedTuple):
    """Probability that the excitation leaves by the right and by the left end."""

    right: float
    left: float


def hamiltonian(atom: Waveguide, phases_rad: npt.ArrayLike) -> ComplexArray:
    """Return H/hbar in rad/s, complex, shape (n, n), of atoms at k z = phases_rad, shape (n,), any order."""
    z = np.asarray(phases_rad, dtype=np.float64)
    distance = z[:, None] - z
    right, left = _rates(atom)
    turn = np.exp(1j * np.abs(distance))
    h = np.where(distance > 0, -1j * right * turn, -1j * left * turn)
    # Two atoms at one place: half of what either order would have.
    h = np.where(distance == 0, -0.5j * (right + left), h)
    np.fill_diagonal(h, -0.5j * atom.linewidth_rad_s)
    return np.asarray(h, dtype=np.complex128)


def emission(atom: Waveguide, phases_rad: npt.ArrayLike, state: npt.ArrayLike) -> Ends:
    """Return where an excitation of amplitudes `state`, shape (n,), leaves: int Gamma |sum e^{-+ikz} c|^2 dt.

    By the Lyapunov equation A+ X + X A = -v v+ with A = -i H, so no time is integrated.
    """
    from scipy.linalg import solve_continuous_lyapunov

    z, c = np.asarray(phases_rad, dtype=np.float64), np.asarray(state, dtype=np.complex128)
    a = -1j * hamiltonian(atom, z)
    found = []
    for rate, sign in zip(_rates(atom), (1, -1), strict=True):
        v = math.sqrt(rate) * np.exp(1j * sign * z)
        x = solve_continuous_lyapunov(a.conj().T, -np.outer(v, v.conj())) if rate > 0 else np.zeros_like(a)
        found.append(float((c.conj() @ x @ c).real))
    return Ends(*found)


def field_right(atom: Waveguide, phases_rad: npt.ArrayLike, state: npt.ArrayLike, t_s: FloatArray) -> ComplexArray:
    """Return the field out of the right end in sqrt(photons/s), complex, shape (m,), on the times t_s from 0 on."""
    z, c = np.asarray(phases_rad, dtype=np.float64), np.asarray(state, dtype=np.complex128)
    values, vectors = np.linalg.eig(-1j * hamiltonian(atom, z))
    weights = np.linalg.solve(vectors, c)
    out = math.sqrt(_rates(atom)[0]) * np.exp(-1j * z) @ vectors
    return np.asarray((out * weights) @ np.exp(np.outer(values, t_s)), dtype=np.complex128)


def timed(phases_rad: npt.ArrayLike) -> ComplexArray:
    """Return the state of one excitation that a pulse along the waveguide leaves: e^{ikz}/sqrt(n)."""
    z = np.asarray(phases_rad, dtype=np.float64)
    return np.asarray(np.exp(1j * z) / math.sqrt(len(z)))


def scatter(atom: Waveguide, phases_rad: npt.ArrayLike,
            detuning_rad_s: npt.ArrayLike) -> tuple[ComplexArray, ComplexArray]:  # fmt: skip
    """Return (transmission, reflection) amplitudes of a weak probe from the left, each of the detuning's shape."""
    z = np.asarray(phases_rad, dtype=np.float64)
    h = hamiltonian(atom, z)
    right, left = _rates(atom)
    there = math.sqrt(right) * np.exp(1j * z)
    detuning = np.atleast_1d(np.asarray(detuning_rad_s, dtype=np.float64))
    eye = np.eye(len(z))
    moved = np.array([np.linalg.solve(delta * eye - h, there) for delta in detuning])
    t = 1 - 1j * math.sqrt(right) * moved @ np.exp(-1j * z)
    r = -1j * math.sqrt(left) * moved @ np.exp(1j * z)
    shape = np.shape(detuning_rad_s)
    return np.asarray(t.reshape(shape)), np.asarray(r.reshape(shape))


def bragg_extraction(atom: Waveguide, atoms: int) -> float:
    """Return N beta/(N beta + 1 - beta), what N atoms at multiples of lambda/2 emit into the waveguide, both ends."""
    return atoms * atom.beta / (atoms * atom.beta + 1 - atom.beta)


def _rates(atom: Waveguide) -> tuple[float, float]:
    chi = atom.directionality
    return atom.guided_rad_s * chi, atom.guided_rad_s * (1 - chi)
