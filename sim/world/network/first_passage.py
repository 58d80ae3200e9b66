"""First passage of a small Markov chain: how many cycles pass before something happens, drawn at once.

`stay[s, s']` is the probability that a cycle which begins in state s ends in s' and nothing happened; what is missing
from a row's sum is the chance of an event. Started in a known state, the distribution over states converges
geometrically; from there on the waiting time is exactly geometric, before that it is tabulated. Source: Kemeny & Snell,
Finite Markov Chains, ch. 3 (absorbing chains).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TABLE_LIMIT = 4096  # cycles tabulated at most; a chain that has not converged by then is restarted from where it is
_CONVERGED = 1e-13
NEVER = np.iinfo(np.int64).max // 4


class FirstPassage:
    """Waiting time to the first event from one start state.

    `survival[k]` is the chance that k cycles passed without an event, `states[k]` (m,) the distribution before cycle k
    + 1 given that.
    """

    def __init__(self, stay: Floats, start: int) -> None:
        self.stay = stay
        weights = np.zeros(len(stay))
        weights[start] = 1.0
        survival, states = [1.0], [weights]
        self.converged = False
        while len(survival) < _TABLE_LIMIT and not self.converged and survival[-1] > 0:
            after = states[-1] @ stay
            total = float(after.sum())
            survival.append(survival[-1] * total)
            states.append(after / total if total > 0 else after)
            self.converged = bool(np.abs(states[-1] - states[-2]).max() < _CONVERGED)
        self.survival = np.array(survival)
        self.states = np.array(states)
        self._falling = -self.survival
        self.factor = float((states[-1] @ stay).sum()) if survival[-1] > 0 else 0.0

    @property
    def table_end(self) -> int:
        """The last tabulated number of cycles."""
        return len(self.survival) - 1

    def draw(self, rng: np.random.Generator, n: int) -> Ints:
        """Draw how many cycles (n,) pass up to and including the one with the event.

        A draw beyond the table of a chain that has not converged is `table_end + NEVER`: nothing happened in the first
        `table_end` cycles.
        """
        u = rng.random(n)
        # survival[k] <= u for the first time at k: the event is in cycle k.
        k: Ints = np.searchsorted(self._falling, -u, side="left").astype(np.int64)
        late = np.flatnonzero(k > self.table_end)
        if len(late):
            k[late] = self.table_end + self._tail(u[late])
        return k

    def _tail(self, u: Floats) -> Ints:
        if not self.converged or self.factor >= 1.0:
            return np.full(len(u), NEVER)
        beyond = np.log(u / self.survival[-1]) / math.log(self.factor)
        return np.minimum(np.ceil(beyond), NEVER).astype(np.int64)

    def state_before(self, cycle: int) -> Floats:
        """Return the distribution (m,) over states before this cycle (counted from 1), given that nothing happened
        earlier.
        """
        if cycle - 1 <= self.table_end or self.converged:
            return np.asarray(self.states[min(cycle - 1, self.table_end)])
        weights = np.linalg.matrix_power(self.stay, cycle - 1 - self.table_end).T @ self.states[-1]
        return np.asarray(weights / weights.sum())
