"""Barrett-Kok heralding in two rounds, click by click, with the state it leaves the atoms in.

Each atom begins in (|0> + |1>)/sqrt(2). The early round lets |0> emit, then |0> and |1> are exchanged, the late round
lets the other one emit, and the labels are changed back: |0> stands for a photon early, |1> for one late. One photon at
port x at t in the early round, one at y at t' in the late round, leave the atoms in

    s_y psi_A(t) psi_B(t') |01>  +  s_x exp(i phi) psi_B(t) psi_A(t') |10>,        s_c = +1, s_d = -1,

with phi the change of the optical path's phase between the rounds: equal ports herald Psi+, different ones Psi-. Both
photons in one round leave |00> or |11> and interfere. The detuning is the same in both rounds (a lock drifts in
milliseconds), the jitter of each excitation is its own. A photon lost, or scattered on a return to the prepared state,
tells its bin. Modes that tell the photons apart
act as a random sign of mean |<m_A|m_B>|^2. Exactly one click in each round heralds.

Source: S. Barrett, P. Kok, PRA 71, 060310 (2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from sim.physics import clicks
from sim.physics.candidates import Candidates, jump
from sim.physics.clicks import Bools, Clicks, Floats, Ints, Light, Path, Station

# What a node gave is 2 bin + seen, bin 0 early, 1 late. Gates: c early, c late, d early, d late.
_EARLY, _LATE = range(2)
HERALDS = (0b0011, 0b1100, 0b1001, 0b0110)  # the first two: Psi+


@dataclass(frozen=True)
class TimeBinLink:
    """Two nodes and where their light meets; the station's gates are those of each round."""

    paths: tuple[Path, Path]
    station: Station

    def outcomes(self) -> Floats:
        """Return the probability (16,) of 4 first + second, each 2 bin + seen."""
        nodes = [np.tile([1 - path.efficiency, path.efficiency], 2) / 2 for path in self.paths]
        return np.outer(*nodes).ravel()


def attempts(rng: np.random.Generator, link: TimeBinLink, n: int) -> Clicks:
    """Play n attempts of two rounds, each node and each detector on its own."""
    outcome = np.zeros((n, 2), dtype=np.int64)
    for node, path in enumerate(link.paths):
        outcome[:, node] = 2 * rng.integers(0, 2, n) + (rng.random(n) < path.efficiency)
    fired = rng.random((n, 4)) < np.repeat(link.station.darks(), 2)
    return play(link, rng, 4 * outcome[:, 0] + outcome[:, 1], fired)


def heralds(rng: np.random.Generator, link: TimeBinLink, n: int) -> tuple[Ints, Clicks]:
    """Draw the number of attempts (n,) up to and including a herald, and the herald, n times."""
    a, b = np.divmod(np.arange(16), 4)
    # Two photons of one bin leave the other round to a dark click.
    needed = np.maximum(2 - a % 2 - b % 2, a // 2 == b // 2)
    candidates = Candidates(link.outcomes(), np.repeat(link.station.darks(), 2), needed)
    return jump(rng, candidates, partial(play, link), HERALDS, n)


def play(link: TimeBinLink, rng: np.random.Generator, outcome: Ints, fired: Bools) -> Clicks:
    """Play out clicks and states of n attempts, given the photons' outcome (n,) and the dark clicks (n, 4)."""
    station, n = link.station, len(outcome)
    node = np.divmod(outcome, 4)
    bins, seen = [k // 2 for k in node], [k % 2 == 1 for k in node]
    light = Light(rng, link.paths, station.detuning_rad_s, n, rounds=2)
    port, time = rng.integers(0, 2, (n, 2)), np.full((n, 2), np.inf)
    for k in (0, 1):
        for when in (_EARLY, _LATE):
            rows = np.flatnonzero(seen[k] & (bins[k] == when))
            time[rows, k] = light.times(rng, k, when, rows)
    both = seen[0] & seen[1]
    for when in (_EARLY, _LATE):
        rows = np.flatnonzero(both & (bins[0] == when) & (bins[1] == when))
        same = light.same_port(rng, station.overlap, when, rows, (time[rows, 0], time[rows, 1]))
        port[rows, 1] = np.where(same, port[rows, 0], 1 - port[rows, 0])

    first = clicks.dark_clicks(rng, station, fired)
    for k in (0, 1):
        rows = np.flatnonzero(seen[k])
        at = port[rows, k]
        clicks.photon_clicks(rng, station, first, rows, at, 2 * at + bins[k][rows], time[rows, k])
    states = clicks.basis_states(2 * bins[0] + bins[1])
    for early in (0, 1):
        rows = np.flatnonzero(both & (bins[early] == _EARLY) & (bins[1 - early] == _LATE))
        rows = rows[light.unmarked(early, _EARLY, rows) & light.unmarked(1 - early, _LATE, rows)]
        order = [early, 1 - early]
        _share(rng, link, light, states, rows, port[rows][:, order], time[rows][:, order])
    return Clicks(first, clicks.patterns(first), states)


def _share(rng: np.random.Generator, link: TimeBinLink, light: Light, states: clicks.Complexes, rows: Ints,
           port: Ints, time_s: Floats) -> None:
    """Superpose the two ways to make an early and a late photon; port and time_s (r, 2) in the order of the rounds."""
    station = link.station
    sign = clicks.random_signs(rng, station.overlap, len(rows)) * np.where(port[:, 0] == port[:, 1], 1.0, -1.0)
    early, late = time_s.T
    direct, swapped = (light.amplitude(a, _EARLY, rows, early, undelayed=True)
                       * light.amplitude(1 - a, _LATE, rows, late, undelayed=True) for a in (0, 1))
    swapped = sign * swapped
    if station.phase_sigma_rad:
        swapped = swapped * np.exp(1j * rng.normal(0.0, station.phase_sigma_rad, len(rows)))
    clicks.superpose(states, rows, direct, swapped)
