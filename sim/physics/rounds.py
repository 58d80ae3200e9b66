"""One round of light at a beam splitter: whatever state the atoms are in, what clicks, and what state is left.

An atom in |2> that light excites leaves it with probability T: it goes to |0> and sends one photon, |0> and |1> stay.
Per atom three things can have happened, each with its Kraus operator:

    dark     |0><0| + |1><1| + sqrt(1 - T) |2><2|        no photon
    lost     sqrt(T - S) |0><2|                          the photon never reached the detectors: it tells that it was
    seen     sqrt(S) psi(t) |0><2|                       the photon is at the detectors at t

The beam splitter makes A -> (c + d)/sqrt(2), B -> (c - d)/sqrt(2). One photon at port x at t and none lost leaves

    sqrt(S_A) psi_A(t) (seen x dark) psi +  s_x exp(i phi) sqrt(S_B) psi_B(t) (dark x seen) psi,   s_c = +1, s_d = -1,

with phi the optical phase of B's way against A's. The two terms overlap where the atoms do not tell them apart; then
the port has a fringe. Modes that tell the photons apart act as a random sign of mean |<m_A|m_B>|. Two photons leave
both atoms in |0> and interfere as in `sim.physics.clicks`. A photon after a return to the prepared state, and one that
was lost, tell whose it was. A photon that its detector misses leaves what it would have left had it been seen.

So one function plays the one-photon scheme (T = alpha), each round of time bins, and each of Barrett and Kok: what
happened before is in the state. Sources: C. Cabrillo et al., PRA 59, 1025 (1999); S. Barrett, P. Kok, PRA 71, 060310
(2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.physics.clicks import Complexes, Floats, Light, Path
from sim.physics.validate import require

_DARK, _LOST, _SEEN = range(3)
_ROW = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class Source:
    """One atom's light: its photon, the probabilities that a bright atom leaves |2>, and that its photon is seen; when
    its pulse starts, after the round's zero.
    """

    path: Path
    transferred: float
    seen: float
    start_s: float = 0.0

    def __post_init__(self) -> None:
        require(self, "transferred", 0, 1)
        require(self, "seen", 0, self.transferred)

    @property
    def weights(self) -> Floats:
        """Return (3, 2): dark, lost, seen, of an atom that is not in |2>, and of one that is."""
        return np.array([[1.0, 1 - self.transferred], [0.0, self.transferred - self.seen], [0.0, self.seen]])


@dataclass(frozen=True)
class Splitter:
    """Where the light meets: `overlap` |<m_A|m_B>|^2 of all modes but time, this round's optical phase and detuning,
    efficiencies of the detectors at c and d relative to the better, and their rms jitter.
    """

    overlap: float = 1.0
    phase_rad: float = 0.0
    detuning_rad_s: float = 0.0
    efficiencies: tuple[float, float] = (1.0, 1.0)
    jitter_s: float = 0.0


class Round(NamedTuple):
    """What one round gave: the atoms' state, whether it was touched, and the clicks (port 0: c, 1: d; s)."""

    psi: Complexes
    changed: bool
    clicks: tuple[tuple[int, float], ...]


_NO_LIGHT = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])


def play(rng: np.random.Generator, sources: tuple[Source | None, Source | None], splitter: Splitter,
         psi: Complexes) -> Round:  # fmt: skip
    """Play one round. `psi`, complex, shape (a, b, m): levels of A's atom, of B's, and everything they are entangled
    with; a source that is None sends nothing, and its axis may have any length.
    """
    first, second = (_NO_LIGHT if source is None else source.weights for source in sources)
    chances = first @ _populations(psi, sources) @ second.T
    edges = np.cumsum(chances.ravel())
    a, b = divmod(int(np.searchsorted(edges, rng.random() * edges[-1], side="right")), 3)
    if a != _SEEN and b != _SEEN:
        bright = [source is not None for source in sources]
        changed = a == _LOST or b == _LOST or any(bright)
        return Round(_normalised(_acted(_acted(psi, 0, a, sources[0]), 1, b, sources[1])), changed, ())
    scene = _Scene(rng, sources, splitter)
    if a == _SEEN and b == _SEEN:
        return scene.two(psi)
    k = 0 if a == _SEEN else 1
    return scene.one(psi, k, marked=(b if k == 0 else a) == _LOST)


def _populations(psi: Complexes, sources: tuple[Source | None, Source | None]) -> Floats:
    """Return (2, 2): the first atom is not in |2>, or is; the second likewise."""
    weights = (psi.real**2 + psi.imag**2).sum(axis=2)
    for axis, source in enumerate(sources):
        if source is None:
            bright = np.zeros(weights.shape[1 - axis])
        else:
            bright = np.asarray(weights.take(2, axis=axis))
        rest = np.asarray(weights.sum(axis=axis)) - bright
        weights = np.stack((rest, bright), axis=axis)
    return np.asarray(weights)


def _acted(psi: Complexes, axis: int, what: int, source: Source | None) -> Complexes:
    """Return what an atom's Kraus operator makes of the state."""
    if source is None:
        return psi
    out = np.array(psi)
    bright: list = [slice(None)] * psi.ndim
    ground = list(bright)
    bright[axis], ground[axis] = 2, 0
    if what == _DARK:
        out[tuple(bright)] *= np.sqrt(1 - source.transferred)
        return out
    out = np.zeros_like(psi)
    share = source.seen if what == _SEEN else source.transferred - source.seen
    out[tuple(ground)] = np.sqrt(share) * psi[tuple(bright)]
    return out


class _Scene:
    """Photons of one round at the splitter."""

    def __init__(self, rng: np.random.Generator, sources: tuple[Source | None, Source | None],
                 splitter: Splitter) -> None:  # fmt: skip
        self.rng, self.sources, self.splitter = rng, sources, splitter
        some = next(source for source in sources if source is not None)
        paths = [(some if source is None else source).path for source in sources]
        self.light = Light(rng, (paths[0], paths[1]), 0.0, 1)
        if splitter.detuning_rad_s:
            self.light.detune(np.array([splitter.detuning_rad_s]))

    def one(self, psi: Complexes, k: int, marked: bool) -> Round:
        """One photon is there, drawn as source k's; `marked`: the other's was lost."""
        time = self.light.times(self.rng, k, 0, _ROW)
        if marked or not self.light.unmarked(k, 0, _ROW)[0]:
            other = _LOST if marked else _DARK
            left = _acted(_acted(psi, k, _SEEN, self.sources[k]), 1 - k, other, self.sources[1 - k])
            return Round(_normalised(left), True, self._click(int(self.rng.integers(0, 2)), float(time[0])))
        terms = [self._term(psi, j, time) for j in (0, 1)]
        norm = float((np.abs(terms[0]) ** 2).sum() + (np.abs(terms[1]) ** 2).sum())
        fringe = 2 * float(np.vdot(terms[0], terms[1]).real) / norm if norm > 0 else 0.0
        coherence = np.sqrt(self.splitter.overlap)
        port = int(self.rng.random() >= 0.5 * (1 + coherence * fringe))
        sign = 1.0 - 2 * port
        # What tells the photons apart is measured in the basis "symmetric or not": the other outcome flips the sign.
        flipped = 0.5 * (1 - coherence) * (1 - sign * fringe)
        if self.rng.random() * (1 + coherence * sign * fringe) < flipped:
            sign = -sign
        return Round(_normalised(terms[0] + sign * terms[1]), True, self._click(port, float(time[0])))

    def _term(self, psi: Complexes, k: int, time: Floats) -> Complexes:
        """Return the state with the photon from source k at this time, the other atom dark."""
        if self.sources[k] is None:
            return np.zeros_like(psi)
        amplitude = complex(self.light.amplitude(k, 0, _ROW, time, undelayed=True)[0])
        if k == 1:
            amplitude *= np.exp(1j * self.splitter.phase_rad)
        seen = _acted(psi, k, _SEEN, self.sources[k])
        return np.asarray(amplitude * _acted(seen, 1 - k, _DARK, self.sources[1 - k]))

    def two(self, psi: Complexes) -> Round:
        """Both photons are there."""
        times = tuple(self.light.times(self.rng, k, 0, _ROW) for k in (0, 1))
        same = self.light.same_port(self.rng, self.splitter.overlap, 0, _ROW, (times[0], times[1]))[0]
        first = int(self.rng.integers(0, 2))
        ports = first, first if same else 1 - first
        left = _acted(_acted(psi, 0, _SEEN, self.sources[0]), 1, _SEEN, self.sources[1])
        clicks = (*self._click(ports[0], float(times[0][0])), *self._click(ports[1], float(times[1][0])))
        return Round(_normalised(left), True, clicks)

    def _click(self, port: int, time_s: float) -> tuple[tuple[int, float], ...]:
        """Return the click of a photon at a port, nothing where its detector misses it."""
        if self.rng.random() >= self.splitter.efficiencies[port]:
            return ()
        late = self.rng.normal(0.0, self.splitter.jitter_s) if self.splitter.jitter_s else 0.0
        return ((port, time_s + late),)


def _normalised(psi: Complexes) -> Complexes:
    return np.asarray(psi / np.linalg.norm(psi))
