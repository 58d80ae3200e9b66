"""Atoms that scatter a photon during the pulse and are excited once more: the photon they send then, and their state.

A decay of |e> that ends in |u> again (a fraction `back` of the decays) starts the atom anew at that moment s, under
what is left of the pulse: wavepacket psi_s(t). One that ends in |b>, beside |u> (F = 2, m = +-1; a fraction `beside`),
starts it there, where the pulse and the cavity couple otherwise: chi_s(t), and the atom ends outside the qubit. Such
returns happen at the rates
    R(s) = 2 gamma back [|e_0(s)|^2 + int R(s') |e_s'(s)|^2 ds'],
    W(s) = 2 gamma {beside [the same] + again int W(s') |f_s'(s)|^2 ds'},
f the excited amplitude of an atom that began in |b>, `again` the fraction that falls back there. As the scattered
photon tells when, the photon in the mode is the mixture psi_0 psi_0* + int R(s) psi_s psi_s* ds, and beside it
int W(s) chi_s chi_s* ds: the solution of the master equation, unravelled by the returns. Returns are taken at every
`stride`-th point, those between shared among two so that their mean time stays. Any other decay ends the attempt.

Source of the method: T. Walker et al., PRA 102, 032616 (2020), arXiv 1911.08442. Numbers for Rb-87, D2, F' = 1:
Clebsch-Gordan coefficients as in D. A. Steck, "Rubidium 87 D Line Data": F', m' = 0 decays to F = 2, m = 0 with 1/15,
to m = +-1 with 1/10; F', m' = +-1 back to F = 2, m = +-1 with 1/20. Pi light couples the latter sqrt(3/4) times as
well; a cavity of two polarisations takes |e> to F = 1 by both, but F', m' = +-1 to F = 1, m = 0 by one: g/sqrt(2).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sim.physics.amplitudes import chain
from sim.physics.emission import (
    ComplexArray,
    Emission,
    FloatArray,
    from_amplitude,
    principal,
)
from sim.physics.validate import require_grid

BESIDE_RABI = math.sqrt(0.75)
BESIDE_COUPLING = math.sqrt(0.5)
BESIDE_AGAIN = 0.5  # of the fraction that goes beside: 1/20 to 1/10

_KEPT = 128  # starts that are followed at most
_DROPPED = 1e-4  # the share of photons after a return that is dropped with their weakest modes
EXCITED, _C = 1, 2  # of u, e, c: whose amplitude makes the photon, in free space and in a cavity


class Returns(NamedTuple):
    """Amplitudes with returns: `undelayed` (n, 3); `populations` of u, e, c (n, 3), all returns to |u> included;
    `delayed` (m, n), the amplitudes of the photon's source after a return, weighted with the root of its probability;
    `beside` (m, n), likewise of atoms in |b>, None where none get there; `excited_beside` (n,), their population in f.
    """

    undelayed: ComplexArray
    populations: FloatArray
    delayed: ComplexArray
    beside: ComplexArray | None
    excited_beside: FloatArray


def follow(t_s: FloatArray, steps: ComplexArray, drive: FloatArray, gamma_rad_s: float, back: float,
           beside: tuple[ComplexArray, float] | None = None, source: int = _C) -> Returns:  # fmt: skip
    """Integrate u, e, c on the grid t_s, anew from every moment at which the atom may have returned.

    steps: propagators between neighbouring points, complex, shape (n - 1, 3, 3), of an atom from |u>; `beside`: those
    of one from |b>, and the fraction of decays that end there. drive, float, shape (n,): the pulse's amplitude; an atom
    that returns after its end stays. source: whose amplitude makes the photon, 2 (c, a cavity) or 1 (e, free space).
    """
    n = len(t_s)
    undelayed = chain(steps, (1, 0, 0))
    populations = np.square(np.abs(undelayed))
    driven = np.flatnonzero(drive > 1e-12 * drive.max())
    last = min(n, int(driven[-1]) + 2) if len(driven) else 1
    mine = _Starts(steps, last, source)
    other = None if beside is None else _Starts(beside[0], last, source)
    part = 0.0 if beside is None else beside[1]
    decay = 2 * gamma_rad_s * float(t_s[1] - t_s[0])
    excited_beside, returned = np.zeros(n), np.zeros(n)
    # The trapezoidal rule: an atom that returns now is not in |e> now, and none returns at the first point.
    for k in range(1, last):
        populations[k] += mine.advance(k)
        excited = populations.item(k, EXCITED)
        returned[k] = decay * back * excited
        mine.begin(k, returned[k])
        if other is not None:
            excited_beside[k] = other.advance(k)[EXCITED]
            other.begin(k, decay * part * (excited + BESIDE_AGAIN * excited_beside[k]))
    populations[last:] += mine.finish()
    returned[last:] = decay * back * populations[last:, EXCITED]
    populations[last:, 0] += np.cumsum(returned[last:])
    if other is not None:
        excited_beside[last:] = other.finish()[:, EXCITED]
    return Returns(undelayed, populations, mine.weighted(), None if other is None else other.weighted(), excited_beside)


class _Starts:
    """Atoms that start anew at every `stride`-th point of a pulse that ends before `last`, all by the same steps."""

    def __init__(self, steps: ComplexArray, last: int, source: int) -> None:
        self._steps, self._last, self._source = steps, last, source
        self._stride = -(-last // _KEPT)
        count = -(-last // self._stride)
        self._state = np.zeros((3, count), dtype=np.complex128)
        self._weights = np.zeros(count)
        self._kept = np.zeros((count, len(steps) + 1), dtype=np.complex128)

    def advance(self, k: int) -> FloatArray:
        """Bring all that have started to point k; return their populations (3,), weighted."""
        started, rest = divmod(k - 1, self._stride)
        if rest == 0:
            self._state[0, started] = 1
        live = self._state[:, : started + 1]
        live[:] = self._steps[k - 1] @ live
        self._kept[: started + 1, k] = live[self._source]
        return np.asarray((live.real**2 + live.imag**2) @ self._weights[: started + 1])

    def begin(self, k: int, probability: float) -> None:
        """So many atoms start at point k: they count for the starts before and after it."""
        low, rest = divmod(k, self._stride)
        later = probability * rest / self._stride
        self._weights[low] += probability - later
        self._weights[min(low + 1, len(self._weights) - 1)] += later

    def finish(self) -> FloatArray:
        """Let the dark go on from the last point of the pulse; return the populations there (n - last, 3)."""
        self._state[0, max(0, self._last - 2) // self._stride + 1 :] = 1  # those that would start now stay in |u>
        after = self._steps[self._last - 1 :]
        if not len(after):
            return np.zeros((0, 3))
        powers = np.empty_like(after)
        powers[0] = after[0]
        for k in range(1, len(after)):
            powers[k] = after[k] @ powers[k - 1]
        states = powers @ self._state
        self._kept[:, self._last :] = states[:, self._source].T
        return np.asarray((states.real**2 + states.imag**2) @ self._weights)

    def weighted(self) -> ComplexArray:
        """Return the amplitudes of the photon's source (m, n), times the root of their probability."""
        return np.sqrt(self._weights)[:, None] * self._kept


def photon(t_s: FloatArray, returns: Returns, rate_rad_s: float, scattered: float) -> Emission:
    """Build an Emission out of amplitudes with returns; the delayed modes are reduced to the few that matter.

    rate_rad_s: at which the source's population becomes the photon that is collected.
    """
    step = require_grid(t_s)
    scale = math.sqrt(rate_rad_s)
    source = _C if np.abs(returns.undelayed[:, _C]).any() else EXCITED
    pure = from_amplitude(t_s, scale * returns.undelayed[:, source], 1 - float(returns.populations[-1, 0]), scattered)
    rate = scale**2 * returns.populations[:, source]
    efficiency = float(rate.sum() * step)
    if efficiency == 0:
        return pure
    steps = np.concatenate(([0.0], np.cumsum(rate[1:] + rate[:-1])))
    modes = principal(returns.delayed, _DROPPED)
    power = float((np.abs(modes) ** 2).sum() * step)
    share = 1 - pure.efficiency / efficiency
    modes *= np.sqrt(share / power) if power > 0 else 0.0
    wrong = None if returns.beside is None else mixed(t_s, scale * returns.beside)
    return replace(pure, efficiency=efficiency, cdf=steps / steps[-1], delayed=modes, wrong=wrong)


def mixed(t_s: FloatArray, fields: ComplexArray) -> Emission | None:
    """Return the photon whose density matrix is the sum over these output fields (m, n) in 1/sqrt(s); None if none."""
    step = require_grid(t_s)
    modes = principal(fields, _DROPPED)
    strengths = (np.abs(modes) ** 2).sum(axis=1) * step
    order = np.argsort(-strengths)
    modes, total = modes[order], float(strengths.sum())
    if not total > 0:
        return None
    rate = (np.abs(modes) ** 2).sum(axis=0)
    steps = np.concatenate(([0.0], np.cumsum(rate[1:] + rate[:-1])))
    delayed = modes[1:] / math.sqrt(total) if len(modes) > 1 else None
    return Emission(t_s, modes[0] / math.sqrt(float(strengths.max())), total, 0.0, 0.0, steps / steps[-1], delayed)
