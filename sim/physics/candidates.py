"""Jump from herald to herald over independent attempts: a geometric wait for a candidate, which is then played out.

A candidate has photons and dark clicks enough for a herald; what it comes to, clicks and states, is up to the scheme.
Nothing is approximated: the scheme's `attempts` plays every attempt, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from atomlink.errors import ScenarioError
from sim.physics.clicks import Bools, Clicks, Floats, Ints

_CHUNK = 1 << 16  # working sets that fit the cache are faster
_PATIENCE = 1_000_000

Play = Callable[[np.random.Generator, Ints, Bools], Clicks]


class Candidates:
    """Attempts that could herald, drawn with one number each.

    outcomes (m,): probability of each joint outcome of the photons; darks (k,): of a dark click in each gate; needed
    (m,): dark clicks without which an outcome cannot herald. Attempts are independent, so the wait for a candidate is
    geometric.
    """

    def __init__(self, outcomes: Floats, darks: Floats, needed: Ints) -> None:
        self.n_patterns = 1 << len(darks)
        fired = (np.arange(self.n_patterns)[:, None] >> np.arange(len(darks)) & 1).astype(bool)
        chances = np.where(fired, darks, 1 - darks).prod(axis=1)
        weights = np.outer(outcomes, chances) * (fired.sum(axis=1) >= needed[:, None])
        possible = np.flatnonzero(weights)
        self._outcome, self._fired = possible // len(fired), fired[possible % len(fired)]
        edges = np.cumsum(weights.ravel()[possible])
        if not len(possible):
            raise ScenarioError("The link has neither photons nor dark clicks at open gates, but must have some to "
                                "herald: raise the efficiency or open the gates.")
        self.probability = min(float(edges[-1]), 1.0)
        self._edges = edges / edges[-1]

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Ints, Bools]:
        """Return the photons' outcome (n,) and the gates with a dark click (n, k) of n candidates."""
        index = np.searchsorted(self._edges, rng.random(n), side="right")
        return self._outcome[index], self._fired[index]


def jump(rng: np.random.Generator, candidates: Candidates, play: Play, heralds: tuple[int, ...],
         n: int) -> tuple[Ints, Clicks]:
    """Draw the number of attempts (n,) up to and including a herald, and the herald, n times.

    Raises ScenarioError when a million candidates in a row do not herald: the gates miss the photons.
    """
    good = np.zeros(candidates.n_patterns, dtype=bool)
    good[list(heralds)] = True
    parts = [_jump(rng, candidates, play, good, min(_CHUNK, n - k)) for k in range(0, n, _CHUNK)]
    clicks = Clicks._make(np.concatenate(field) for field in zip(*(part[1] for part in parts), strict=True))
    return np.concatenate([part[0] for part in parts]), clicks


def _jump(rng: np.random.Generator, candidates: Candidates, play: Play, good: Bools, n: int) -> tuple[Ints, Clicks]:
    found = play(rng, *candidates.draw(rng, n))
    attempts = rng.geometric(candidates.probability, n)
    missing, in_vain = np.flatnonzero(~good[found.pattern]), 0
    while len(missing):
        more = play(rng, *candidates.draw(rng, len(missing)))
        attempts[missing] += rng.geometric(candidates.probability, len(missing))
        for field, new in zip(found, more, strict=True):
            field[missing] = new
        left = missing[~good[more.pattern]]
        in_vain = in_vain + len(left) if len(left) == len(missing) else 0
        if in_vain > _PATIENCE:
            raise ScenarioError(f"The link is {in_vain} candidates without a herald, but must herald now and then: "
                                "set the gates to where the photons arrive (Path.delay_s).")
        missing = left
    return attempts, found
