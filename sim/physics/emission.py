"""A photon wavepacket with its atom: the type both photon ports return, and the integration behind it.

Amplitudes of |u> (prepared), |e> (excited) and |g,1> (photon in the mode), rotating frame, no quantum jump so far:
    u' = -i Omega/2 e
    e' = -i Omega*/2 u + (i Delta - gamma) e - i g c
    c' = -i g e - (i delta_c + kappa) c
A decay of |e> that ends in |u> again excites the atom once more: `sim.physics.returns`. Any other ends the attempt.
Sources: A. Kuhn, M. Hennrich, G. Rempe, PRL 89, 067901 (2002); L. Giannelli et al., New J. Phys. 20, 105009 (2018).
"""

from __future__ import annotations  # np.random.Generator in a signature would import numpy.random (15 ms)

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.physics.amplitudes import Rates, between, chain, propagators, stride
from sim.physics.validate import require_grid

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# The share of a mixture that is dropped with its weakest modes.
_DROPPED = 1e-5


@dataclass(frozen=True)
class Emission:
    """Hold one photon in time: a pure mode, or a mixture if the atom may have returned to |u> on the way.

    t_s, float, shape (n,): uniform grid. amplitude, complex, shape (n,): the mode of a photon without a return,
    sum(|amplitude|^2) dt = 1. cdf, float, shape (n,): arrival-time distribution, from 0 to 1. efficiency: probability
    of a photon in the collected mode, before the fibre. transferred: probability that the atom left |u> for good.
    scattered: probability of a decay into other modes that does not end in |u>. delayed, complex, shape (m, n): the
    modes after a return; sum(|row|^2) dt is the share of the row in the efficiency. None: no returns, a pure photon.
    wrong: a photon besides, of its own efficiency, after which the atom is no qubit; None: there is none.
    """

    t_s: FloatArray
    amplitude: ComplexArray
    efficiency: float
    transferred: float
    scattered: float
    cdf: FloatArray
    delayed: ComplexArray | None = None
    wrong: Emission | None = None

    @property
    def components(self) -> ComplexArray:
        """Return the modes phi_j of the density matrix sum_j phi_j phi_j*, the undelayed one first; shape (1 + m, n).

        sum(|phi_j|^2) dt is the probability of the mode in a photon that was collected; they add to 1.
        """
        if self.delayed is None:
            return self.amplitude[None, :]
        share = float((np.abs(self.delayed) ** 2).sum() * (self.t_s[1] - self.t_s[0]))
        return np.vstack([np.sqrt(max(0.0, 1 - share)) * self.amplitude, self.delayed])


def visibility(a: Emission, b: Emission) -> float:
    """Return the two-photon visibility V = Tr(rho_a rho_b) of two emissions on one grid; |overlap|^2 for pure ones."""
    inner = a.components.conj() @ b.components.T * (a.t_s[1] - a.t_s[0])
    return float((np.abs(inner) ** 2).sum())


def overlap(a: Emission, b: Emission) -> complex:
    """Return <psi_a|psi_b> of the undelayed modes on one grid; its squared modulus is V of pure photons."""
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

    rabi_rad_s is a number or an array of shape (n,), complex for a phase, taken as straight between the points: the
    error is of second order in the step over which the pulse changes. Which steps it takes: `sim.physics.amplitudes`.
    """
    step = require_grid(t_s)
    rabi = np.broadcast_to(np.asarray(rabi_rad_s, dtype=np.complex128), t_s.shape)
    rates = Rates(g_rad_s, kappa_rad_s, gamma_rad_s, delta_rad_s, cavity_detuning_rad_s)
    span = stride(step, len(t_s), rabi, rates)
    return np.asarray(between(chain(propagators(step, rabi, rates, span), start).T, span, len(t_s)).T)


def mixture(emissions: list[Emission], weights: FloatArray, dropped: float = _DROPPED) -> Emission:
    """Return the photon of a source that is another one from attempt to attempt: emissions[k] with weights[k].

    All on one grid; the weights, float, shape (k,), add to 1. The strongest mode of the mixture becomes its `amplitude`
    and the others `delayed`, as if they had come after a return: whoever samples photons treats both alike. The
    weakest modes, of which a share `dropped` of the whole is in, are left out.
    """
    parts = [(emission.wrong, weight) for emission, weight in zip(emissions, weights, strict=True)
             if emission.wrong is not None]
    wrong = mixture([part for part, _ in parts], np.array([weight for _, weight in parts]), dropped) if parts else None
    efficiencies = weights * np.array([emission.efficiency for emission in emissions])
    efficiency = float(efficiencies.sum())
    transferred, scattered = (float(weights @ np.array([getattr(emission, name) for emission in emissions]))
                              for name in ("transferred", "scattered"))
    if efficiency == 0:
        return replace(emissions[0], transferred=transferred, scattered=scattered, wrong=wrong)
    shares = efficiencies / efficiency
    t_s = emissions[0].t_s
    modes = principal(np.vstack([np.sqrt(share) * emission.components
                                 for share, emission in zip(shares, emissions, strict=True)]), dropped)
    strengths = (np.abs(modes) ** 2).sum(axis=1) * (t_s[1] - t_s[0])
    modes, strengths = modes[np.argsort(-strengths)], np.sort(strengths)[::-1]
    cdf = shares @ np.array([emission.cdf for emission in emissions])
    rest = modes[1:] / np.sqrt(strengths.sum())
    return Emission(t_s, modes[0] / np.sqrt(strengths[0]), efficiency, transferred, scattered, cdf,
                    rest if len(rest) else None, wrong)


def merged(emission: Emission) -> Emission:
    """Return the photon with its wrong part among the modes after a return: where only matters whose photon it was."""
    wrong = emission.wrong
    if wrong is None:
        return emission
    total = emission.efficiency + wrong.efficiency
    share = emission.efficiency / total
    rows = [np.sqrt(1 - share) * wrong.components]
    if emission.delayed is not None:
        rows.append(np.sqrt(share) * emission.delayed)
    return replace(emission, efficiency=total, cdf=share * emission.cdf + (1 - share) * wrong.cdf,
                   delayed=principal(np.vstack(rows)), wrong=None)


def principal(modes: ComplexArray, dropped: float = _DROPPED) -> ComplexArray:
    """Return the orthogonal modes of the same density matrix, without the weakest, a share `dropped` of the whole."""
    weights, turns = np.linalg.eigh(modes.conj() @ modes.T)
    total = np.cumsum(weights)
    strong = total > dropped * total[-1] if total[-1] > 0 else weights > 0
    return np.asarray(turns[:, strong].T @ modes, dtype=np.complex128)


def step_by_step(t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float, g_rad_s: float, kappa_rad_s: float,
                 gamma_rad_s: float, cavity_detuning_rad_s: float) -> ComplexArray:
    """Return the propagators between neighbouring points of the grid; complex, shape (n - 1, 3, 3)."""
    rabi = np.broadcast_to(np.asarray(rabi_rad_s, dtype=np.complex128), t_s.shape)
    return propagators(require_grid(t_s), rabi, Rates(g_rad_s, kappa_rad_s, gamma_rad_s, delta_rad_s,
                                                      cavity_detuning_rad_s))
