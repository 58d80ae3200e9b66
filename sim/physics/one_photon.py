"""One-photon heralding click by click, with the state it leaves the atoms in.

Each node emits sqrt(alpha) |0>|1 photon> + sqrt(1 - alpha) |1>|no photon>: |0> is bright. One photon seen at port x at
t, and none lost, leaves the atoms in

    sqrt(p_A) psi_A(t) |01>  +  s_x exp(i phi) sqrt(p_B) psi_B(t) |10>,   p_A = alpha_A eta_A (1 - alpha_B), p_B alike,

with s_c = +1 (herald Psi+), s_d = -1 (Psi-) and phi the optical phase of the attempt. The two terms leave orthogonal
atoms, so ports and times carry no fringe: they are drawn as if the source were known. A photon lost, or scattered on a
return to the prepared state, tells that its atom is bright; modes that tell the photons apart act as a random sign of
mean |<m_A|m_B>|, the square root of the overlap. Exactly one detector with a click heralds. Phases refer to the
excitation: a detuning delta leaves the phase delta t at emission time t. Larmor phases are the caller's: both atoms are
prepared before the excitation, so they do not depend on the clicks.

Source: C. Cabrillo et al., PRA 59, 1025 (1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from sim.physics import clicks
from sim.physics.candidates import Candidates, jump
from sim.physics.clicks import Bools, Clicks, Floats, Ints, Light, Path, Station
from sim.physics.validate import require, require_length

# What a node gave: its atom dark, bright but the photon lost, bright and the photon at the detectors.
_DARK, _LOST, _SEEN = range(3)
HERALDS = (0b01, 0b10)  # bit 0: c, bit 1: d


@dataclass(frozen=True)
class OnePhotonLink:
    """Two nodes with their bright fractions, and where their light meets."""

    paths: tuple[Path, Path]
    bright_fractions: tuple[float, float]
    station: Station

    def __post_init__(self) -> None:
        require(self, "bright_fractions", 0, 1)
        require_length(self, "bright_fractions", 2)

    def outcomes(self) -> Floats:
        """Return the probability (9,) of 3 first + second, each dark, lost or seen."""
        nodes = [np.array([1 - alpha, alpha * (1 - path.efficiency), alpha * path.efficiency])
                 for alpha, path in zip(self.bright_fractions, self.paths, strict=True)]
        return np.outer(*nodes).ravel()


def attempts(rng: np.random.Generator, link: OnePhotonLink, n: int) -> Clicks:
    """Play n attempts, each node and each detector on its own."""
    outcome = np.zeros((n, 2), dtype=np.int64)
    for node, (alpha, path) in enumerate(zip(link.bright_fractions, link.paths, strict=True)):
        seen = rng.random(n) < path.efficiency
        outcome[:, node] = np.where(rng.random(n) < alpha, np.where(seen, _SEEN, _LOST), _DARK)
    fired = rng.random((n, 2)) < link.station.darks()
    return play(link, rng, 3 * outcome[:, 0] + outcome[:, 1], fired)


def heralds(rng: np.random.Generator, link: OnePhotonLink, n: int) -> tuple[Ints, Clicks]:
    """Draw the number of attempts (n,) up to and including a herald, and the herald, n times."""
    a, b = np.divmod(np.arange(9), 3)
    needed = np.where((a == _SEEN) | (b == _SEEN), 0, 1)
    candidates = Candidates(link.outcomes(), link.station.darks(), needed)
    return jump(rng, candidates, partial(play, link), HERALDS, n)


def play(link: OnePhotonLink, rng: np.random.Generator, outcome: Ints, fired: Bools) -> Clicks:
    """Play out clicks and states of n attempts, given the photons' outcome (n,) and the dark clicks (n, 2)."""
    station, n = link.station, len(outcome)
    node = np.divmod(outcome, 3)
    light = Light(rng, link.paths, station.detuning_rad_s, n)
    port = rng.integers(0, 2, (n, 2))
    rows = [np.flatnonzero(node[k] == _SEEN) for k in (0, 1)]
    time = np.full((n, 2), np.inf)
    for k in (0, 1):
        time[rows[k], k] = light.times(rng, k, 0, rows[k])
    pairs = rows[0][node[1][rows[0]] == _SEEN]
    same = light.same_port(rng, station.overlap, 0, pairs, (time[pairs, 0], time[pairs, 1]))
    port[pairs, 1] = np.where(same, port[pairs, 0], 1 - port[pairs, 0])

    first = clicks.dark_clicks(rng, station, fired)
    for k in (0, 1):
        at = port[rows[k], k]
        clicks.photon_clicks(rng, station, first, rows[k], at, at, time[rows[k], k])
    states = clicks.basis_states(2 * (node[0] == _DARK) + (node[1] == _DARK))
    for k in (0, 1):
        shared = rows[k][(node[1 - k][rows[k]] == _DARK) & light.unmarked(k, 0, rows[k])]
        _share(rng, link, light, states, shared, port[shared, k], time[shared, k])
    return Clicks(first, clicks.patterns(first), states)


def _share(rng: np.random.Generator, link: OnePhotonLink, light: Light, states: clicks.Complexes, rows: Ints,
           port: Ints, time_s: Floats) -> None:
    """Superpose the two sources of the one photon there is."""
    outcomes = link.outcomes()
    sign = clicks.random_signs(rng, np.sqrt(link.station.overlap), len(rows)) * (1 - 2 * port)
    direct = np.sqrt(outcomes[3 * _SEEN + _DARK]) * light.amplitude(0, 0, rows, time_s, undelayed=True)
    swapped = sign * np.sqrt(outcomes[3 * _DARK + _SEEN]) * light.amplitude(1, 0, rows, time_s, undelayed=True)
    if link.station.phase_sigma_rad:
        swapped = swapped * np.exp(1j * rng.normal(0.0, link.station.phase_sigma_rad, len(rows)))
    clicks.superpose(states, rows, direct, swapped)
