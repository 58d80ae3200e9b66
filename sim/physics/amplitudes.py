"""The three amplitudes of an atom under a pulse, in steps as long as they may be, and what they are in between.

    u' = -i Omega/2 e,   e' = -i Omega*/2 u + (i Delta - gamma) e - i g c,   c' = -i g e - (i delta_c + kappa) c
A pulse is given by samples on a uniform grid and taken as straight between them. A step spans `stride` intervals; its
propagator is the exponential of the Magnus series up to the fourth order,
    h A_0 - h^2 [A_0, A_1],   A_k = (1/h) integral ((t - middle)/h)^k A dt,
so its length is set by the rates, not by the grid (half of one over the largest of them: errors below 1e-4). Between
the ends of steps amplitudes are smooth: polynomials of the seventh order through eight of them.
Source: S. Blanes, F. Casas, J. A. Oteo, J. Ros, Phys. Rep. 470, 151 (2009), section 5.4 (fourth order).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

_LONGEST = 0.5  # of a step, times the largest rate
_FEWEST = 24  # steps of a grid: shorter ones are taken as they are
_AROUND = 8  # points of a polynomial
_IDENTITY = np.eye(3)


class Rates(NamedTuple):
    """Coupling to the mode, decay of the mode and of |e> (field rates), laser and mode detuning; all in rad/s."""

    g: float
    kappa: float
    gamma: float
    delta: float = 0.0
    cavity_detuning: float = 0.0


def stride(step_s: float, points: int, rabi_rad_s: npt.ArrayLike, rates: Rates) -> int:
    """Return how many intervals of a grid of so many points, step_s apart, one step may span."""
    drive = 0.5 * float(np.abs(rabi_rad_s).max())
    largest = max(drive + rates.gamma + abs(rates.delta) + rates.g, rates.g + rates.kappa + abs(rates.cavity_detuning))
    most = (points - 1) // _FEWEST
    return max(1, min(int(_LONGEST / (largest * step_s)), most) if largest > 0 else most)


def propagators(step_s: float, rabi_rad_s: ComplexArray, rates: Rates, span: int = 1) -> ComplexArray:
    """Return the propagators of steps that span so many intervals; complex, shape (n, 3, 3).

    rabi_rad_s, complex, shape (points,), on a grid step_s apart; the last step goes beyond the grid, under the pulse's
    last value, where the intervals do not come out even.
    """
    number = -(-(len(rabi_rad_s) - 1) // span)
    missing = number * span + 1 - len(rabi_rad_s)
    rabi = np.concatenate((rabi_rad_s, np.full(missing, rabi_rad_s[-1]))) if missing else rabi_rad_s
    means = 0.5 * (rabi[1:] + rabi[:-1]).reshape(number, span)
    rises = (rabi[1:] - rabi[:-1]).reshape(number, span)
    places = (np.arange(span) + 0.5) / span - 0.5
    mean, moment = means.mean(axis=1), (means @ places + rises.sum(axis=1) / (12 * span)) / span
    h = span * step_s
    # The commutator of A_0 with A_1, which has the pulse alone, element by element.
    up, down = -0.5j * mean, -0.5j * mean.conj()
    up_1, down_1 = -0.5j * moment, -0.5j * moment.conj()
    excited, mode, couple = 1j * rates.delta - rates.gamma, -1j * rates.cavity_detuning - rates.kappa, -1j * rates.g
    a = np.zeros((number, 3, 3), dtype=np.complex128)
    a[:, 0, 0] = -h * (up * down_1 - up_1 * down)
    a[:, 0, 1] = up + h * up_1 * excited
    a[:, 0, 2] = h * up_1 * couple
    a[:, 1, 0] = down - h * excited * down_1
    a[:, 1, 1] = excited - h * (down * up_1 - down_1 * up)
    a[:, 1, 2] = couple
    a[:, 2, 0] = -h * couple * down_1
    a[:, 2, 1] = couple
    a[:, 2, 2] = mode
    return exponential(h * a)


def exponential(a: ComplexArray) -> ComplexArray:
    """Return exp of each 3x3 matrix, shape (n, 3, 3): scaling, Taylor series to the eighth order, squaring."""
    norm = float(np.abs(a).sum(axis=2).max()) if len(a) else 0.0
    squarings = max(0, math.ceil(math.log2(norm / 0.5))) if norm > 0 else 0
    a = a / 2**squarings
    a2 = a @ a
    a3 = a2 @ a
    # In powers of a^3: two products for six orders more.
    result = _IDENTITY / 720 + a / 5040 + a2 / 40320
    result = a3 @ result + (_IDENTITY / 6 + a / 24 + a2 / 120)
    result = a3 @ result + (_IDENTITY + a + a2 / 2)
    for _ in range(squarings):
        result = result @ result
    return np.asarray(result)


def chain(steps: ComplexArray, start: tuple[complex, complex, complex]) -> ComplexArray:
    """Apply the step matrices one after another to `start`; complex, shape (n + 1, 3).

    Plain complex numbers beat numpy for 3x3.
    """
    u, e, c = (complex(x) for x in start)
    amplitudes = [(u, e, c)]
    for (uu, ue, uc), (eu, ee, ec), (cu, ce, cc) in steps.tolist():
        u, e, c = uu * u + ue * e + uc * c, eu * u + ee * e + ec * c, cu * u + ce * e + cc * c
        amplitudes.append((u, e, c))
    return np.array(amplitudes, dtype=np.complex128)


def between(values: ComplexArray, span: int, points: int) -> ComplexArray:
    """Return values, shape (..., n + 1) at the ends of steps, on the grid that these span; shape (..., points)."""
    if span == 1:
        return values[..., :points]
    steps = values.shape[-1] - 1
    first = np.clip(np.arange(steps) - _AROUND // 2 + 1, 0, steps + 1 - _AROUND)
    around = values[..., first[:, None] + np.arange(_AROUND)]  # (..., steps, 8)
    weights = _weights(span)[_AROUND // 2 - 1 + first - np.arange(steps) + _AROUND]
    fine = np.einsum("...sk,sjk->...sj", around, weights)
    out = np.concatenate((fine.reshape(*values.shape[:-1], steps * span), values[..., -1:]), axis=-1)
    return np.asarray(out[..., :points])


@lru_cache(maxsize=32)
def _weights(span: int) -> FloatArray:
    """Return Lagrange's weights (shift, place in the step, point): by how far the points are shifted from the usual
    ones, -8 to 8.
    """
    shifts = np.arange(-_AROUND, _AROUND + 1)
    places = np.arange(span) / span
    nodes = np.arange(_AROUND) - (_AROUND // 2 - 1)
    out = np.empty((len(shifts), span, _AROUND))
    for i, shift in enumerate(shifts):
        at = nodes + shift
        for k in range(_AROUND):
            others = np.delete(at, k)
            out[i, :, k] = np.prod((places[:, None] - others) / (at[k] - others), axis=1)
    return out
