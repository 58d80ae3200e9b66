"""An optical fibre: loss, delay, and what it does to polarisation.

Sources: typical attenuation 3.5 dB/km at 780 nm (Nufern 780-HP data sheet: < 4), 0.2 dB/km at 1550 nm, group index
1.468 (Corning SMF-28 data sheet); R. C. Jones, J. Opt. Soc. Am. 31, 488 (1941) for the matrices. Jones vectors are
(H, V).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.constants import SPEED_OF_LIGHT_M_S
from sim.physics.validate import require

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Fibre:
    """Describe a fibre by length, attenuation, insertion (all connectors) and group index."""

    length_m: float
    loss_db_per_m: float = 3.5e-3
    insertion: float = 1.0
    index: float = 1.468

    def __post_init__(self) -> None:
        require(self, "length_m", 0)
        require(self, "loss_db_per_m", 0)
        require(self, "insertion", 0, 1)
        require(self, "index", 1, 5)


def transmission(fibre: Fibre) -> float:
    """Return the transmitted fraction of the power."""
    return fibre.insertion * 10 ** (-fibre.loss_db_per_m * fibre.length_m / 10)


def delay_s(fibre: Fibre) -> float:
    """Return the travel time in s: 4.9 ns per metre."""
    return fibre.index * fibre.length_m / SPEED_OF_LIGHT_M_S


def jones(alpha_rad: float, beta_rad: float, gamma_rad: float) -> ComplexArray:
    """Return the lossless fibre's Jones matrix Rz(alpha) Ry(beta) Rz(gamma), in SU(2); complex, shape (2, 2).

    beta mixes H and V (power sin^2(beta/2) of H ends in V); alpha and gamma are retardations of H against V.
    """
    c, s = math.cos(beta_rad / 2), math.sin(beta_rad / 2)
    plus, minus = np.exp(0.5j * (alpha_rad + gamma_rad)), np.exp(0.5j * (alpha_rad - gamma_rad))
    return np.array([[c * np.conj(plus), -s * np.conj(minus)],
                     [s * minus, c * plus]])


def retarder(retardance_rad: float, axis_rad: float) -> ComplexArray:
    """Return the Jones matrix of a wave plate or fibre paddle with its fast axis at axis_rad from H; shape (2, 2)."""
    c, s = math.cos(axis_rad), math.sin(axis_rad)
    turn = np.array([[c, -s], [s, c]])
    plate = np.diag(np.exp(np.array([-0.5j, 0.5j]) * retardance_rad))
    return np.asarray(turn @ plate @ turn.T, dtype=np.complex128)
