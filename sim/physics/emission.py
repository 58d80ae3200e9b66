"""A photon wavepacket with its atom: the type both photon ports return, and the integration behind it.

Amplitudes of |u> (prepared), |e> (excited) and |g,1> (photon in the mode), rotating frame, no quantum jump so far:
    u' = -i Omega/2 e
    e' = -i Omega*/2 u + (i Delta - gamma) e - i g c
    c' = -i g e - (i delta_c + kappa) c
Sources: A. Kuhn, M. Hennrich, G. Rempe, PRL 89, 067901 (2002); L. Giannelli et al., New J. Phys. 20, 105009 (2018).
Every spontaneous decay counts as a lost photon: decay back to |u> followed by re-excitation is not modelled, which
slightly overstates the visibility and understates the efficiency where that branch is open.
"""

from __future__ import annotations  # np.random.Generator in a signature would import numpy.random (15 ms)

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require_grid

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Taylor terms of the scaled step propagator: 0.5^9/9! = 5e-9 relative, before squaring.
_TAYLOR_TERMS = 8


@dataclass(frozen=True)
class Emission:
    """Hold one photon mode in time.

    t_s, float, shape (n,): uniform grid. amplitude, complex, shape (n,): sum(|amplitude|^2) dt = 1. cdf, float, shape
    (n,): arrival-time distribution, from 0 to 1. efficiency: probability of a photon in the collected mode, before
    the fibre. transferred: probability that the atom left |u>. scattered: probability of a decay into other modes.
    """

    t_s: FloatArray
    amplitude: ComplexArray
    efficiency: float
    transferred: float
    scattered: float
    cdf: FloatArray


def overlap(a: Emission, b: Emission) -> complex:
    """Return <psi_a|psi_b> of two emissions on one grid; its squared modulus is the two-photon visibility."""
    return complex(np.vdot(a.amplitude, b.amplitude) * (a.t_s[1] - a.t_s[0]))


def sample_times(emission: Emission, rng: np.random.Generator, size: int) -> FloatArray:
    """Draw `size` emission times in s from the emission's distribution; float, shape (size,)."""
    return np.interp(rng.random(size), emission.cdf, emission.t_s)


def from_amplitude(t_s: FloatArray, leak: ComplexArray, transferred: float, scattered: float) -> Emission:
    """Build an Emission from the unnormalised output field `leak` in 1/sqrt(s), complex, shape (n,)."""
    step = require_grid(t_s)
    rate = np.abs(leak) ** 2
    efficiency = float(rate.sum() * step)
    steps = np.concatenate(([0.0], np.cumsum(rate[1:] + rate[:-1])))
    if steps[-1] > 0:
        return Emission(t_s, leak / np.sqrt(efficiency), efficiency, transferred, scattered, steps / steps[-1])
    # Nothing emitted: a uniform distribution keeps the fields well formed, and efficiency 0 keeps them unused.
    flat = np.full(len(t_s), 1 / np.sqrt(len(t_s) * step), dtype=np.complex128)
    return Emission(t_s, flat, 0.0, transferred, scattered, np.linspace(0.0, 1.0, len(t_s)))


def propagate(t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float, g_rad_s: float, kappa_rad_s: float,
              gamma_rad_s: float, cavity_detuning_rad_s: float,
              start: tuple[complex, complex, complex] = (1, 0, 0)) -> ComplexArray:
    """Integrate the three amplitudes on the grid t_s; complex, shape (n, 3): u, e, c.

    rabi_rad_s is a number or an array of shape (n,), complex for a phase. Each step uses the mean of its two ends and
    is then exact, so the error is of second order in the step over which the pulse changes.
    """
    step = require_grid(t_s)
    rabi = np.broadcast_to(np.asarray(rabi_rad_s, dtype=np.complex128), t_s.shape)
    middle = 0.5 * (rabi[1:] + rabi[:-1])
    generator = np.zeros((len(middle), 3, 3), dtype=np.complex128)
    generator[:, 0, 1] = -0.5j * middle
    generator[:, 1, 0] = -0.5j * middle.conj()
    generator[:, 1, 1] = 1j * delta_rad_s - gamma_rad_s
    generator[:, 1, 2] = generator[:, 2, 1] = -1j * g_rad_s
    generator[:, 2, 2] = -1j * cavity_detuning_rad_s - kappa_rad_s
    return _chain(_exponential(generator * step), start)


def _exponential(a: ComplexArray) -> ComplexArray:
    """Return exp of each 3x3 matrix, shape (n, 3, 3), by scaling, Taylor series and squaring."""
    norm = float(np.abs(a).sum(axis=2).max())
    squarings = max(0, int(np.ceil(np.log2(norm / 0.5)))) if norm > 0 else 0
    a = a / 2**squarings
    identity = np.eye(3, dtype=np.complex128)
    result = identity + a / _TAYLOR_TERMS
    for k in range(_TAYLOR_TERMS - 1, 0, -1):
        result = identity + (a @ result) / k
    for _ in range(squarings):
        result = result @ result
    return result


def _chain(steps: ComplexArray, start: tuple[complex, complex, complex]) -> ComplexArray:
    """Apply the step matrices one after another to `start`; plain complex numbers beat numpy for 3x3."""
    u, e, c = (complex(x) for x in start)
    amplitudes = [(u, e, c)]
    for (uu, ue, uc), (eu, ee, ec), (cu, ce, cc) in steps.tolist():
        u, e, c = uu * u + ue * e + uc * c, eu * u + ee * e + ec * c, cu * u + ce * e + cc * c
        amplitudes.append((u, e, c))
    return np.array(amplitudes, dtype=np.complex128)
