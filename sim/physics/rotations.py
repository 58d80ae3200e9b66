"""Unitaries on the three levels |0> (F=1, m=-1), |1> (F=1, m=+1), |2> (F=2, mapped) of one atom's qubit.

Rotating-wave approximation, frame of the drive: H = hbar/2 [Omega (cos phi X + sin phi Y) + detuning Z] on the pair
driven, with Z = |lower index><lower index| - |higher><higher|; detuning = (E_lower index - E_higher)/hbar - drive. A
positive detuning is a drive below the transition if the lower index is the upper level. Source: M. Nielsen, I. Chuang
(2010), eq. 4.8. Rb-87, F=1: g_F < 0, so |0> (m = -1) lies above |1> (m = +1) by 1.40 MHz/G.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]


def raman(rabi_rad_s: float, detuning_rad_s: float, phase_rad: float, t_s: float) -> ComplexArray:
    """Return the unitary of a Raman pulse on {|0>, |1>}; complex, shape (3, 3)."""
    return _embed(_pulse(rabi_rad_s, detuning_rad_s, phase_rad, t_s), 0, 1)


def microwave(rabi_rad_s: float, detuning_rad_s: float, phase_rad: float, t_s: float) -> ComplexArray:
    """Return the unitary of a microwave pulse on {|1>, |2>}; complex, shape (3, 3)."""
    return _embed(_pulse(rabi_rad_s, detuning_rad_s, phase_rad, t_s), 1, 2)


def clock(rabi_rad_s: float, detuning_rad_s: float, phase_rad: float, t_s: float) -> ComplexArray:
    """Return the unitary of a pulse on {|0>, |2>}, the pair of an atom in clock states; complex, shape (3, 3)."""
    return _embed(_pulse(rabi_rad_s, detuning_rad_s, phase_rad, t_s), 0, 2)


def precession(angle_rad: float) -> ComplexArray:
    """Return exp(-i angle Z/2) on {|0>, |1>}: angle = 2 pi f_Larmor t of free evolution; |2> keeps its phase."""
    return np.diag(np.exp(np.array([-0.5j, 0.5j, 0]) * angle_rad))


def to_axis(polar_rad: float, azimuth_rad: float) -> ComplexArray:
    """Return the ideal rotation that takes the +1 state of the axis (polar, azimuth) to |0> and the -1 state to |1>.

    The Raman pulse of area `polar` and phase azimuth - pi/2; complex, shape (3, 3).
    """
    return raman(polar_rad, 0.0, azimuth_rad - math.pi / 2, 1.0)


def quasi_static_detuning(rng: np.random.Generator, sigma_rad_s: float) -> float:
    """Draw one shot's detuning in rad/s: constant during the shot, Gaussian from shot to shot."""
    return float(rng.normal(0.0, sigma_rad_s)) if sigma_rad_s > 0 else 0.0


def dephase(rho: ComplexArray, level_rad_s: FloatArray, t_s: float) -> ComplexArray:
    """Average a density matrix over quasi-static noise of the levels.

    level_rad_s, float, shape (n,): shift of each level per unit of one common Gaussian noise, so the coherence
    between i and j decays as exp(-(level_i - level_j)^2 t^2/2). rho, complex, shape (n, n).
    """
    difference = np.subtract.outer(level_rad_s, level_rad_s)
    return rho * np.exp(-0.5 * (difference * t_s) ** 2)


def _pulse(rabi_rad_s: float, detuning_rad_s: float, phase_rad: float, t_s: float) -> ComplexArray:
    total = math.hypot(rabi_rad_s, detuning_rad_s)
    if total == 0:
        return np.eye(2, dtype=np.complex128)
    half = 0.5 * total * t_s
    x, z = rabi_rad_s / total, detuning_rad_s / total
    turn = complex(math.cos(phase_rad), math.sin(phase_rad))
    c, s = math.cos(half), math.sin(half)
    return np.array([[c - 1j * z * s, -1j * x * s * turn.conjugate()],
                     [-1j * x * s * turn, c + 1j * z * s]])


def _embed(two: ComplexArray, i: int, j: int) -> ComplexArray:
    full = np.eye(3, dtype=np.complex128)
    full[np.ix_((i, j), (i, j))] = two
    return full
