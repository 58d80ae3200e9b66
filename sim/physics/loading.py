"""How many atoms a tweezer holds while it is loaded from a cloud: a birth-death chain.

Atoms arrive at rate R, one at a time; each is lost alone at rate gamma; each pair collides in the light at rate beta
and then both atoms are lost, or, with probability b, only one. Tweezers have beta >> R: a pair lives so briefly that
only 0 and 1 count,
    0 -> 1 at R,   1 -> 0 at R (1 - b) + gamma,   filling = 1/(2 - b + gamma/R).
Sources: N. Schlosser et al., PRL 89, 023005 (2002) (collisional blockade); P. Sompet et al., arXiv 1310.6103 (loss of
one or two); T. Gruenzweig et al., Nature Phys. 6, 951 (2010) and M. Brown et al., PRX 9, 011057 (2019) (enhanced).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require


@dataclass(frozen=True)
class Loading:
    """Describe loading. arrival_hz: R; loss_hz: gamma of an atom alone; single_loss_fraction: b."""

    arrival_hz: float
    loss_hz: float
    single_loss_fraction: float

    def __post_init__(self) -> None:
        require(self, "arrival_hz", 0)
        require(self, "loss_hz", 0)
        require(self, "single_loss_fraction", 0, 1)


# b such that red-detuned light fills 0.507 with gamma/R = 0.01; H. Manetsch et al., arXiv 2403.12021: 6100 of 12000.
RED_SINGLE_LOSS_FRACTION = 2.01 - 1 / 0.507
# Grey molasses on D1: M. Brown et al., PRX 9, 011057 (2019); fitted to their 0.90 filling.
ENHANCED_SINGLE_LOSS_FRACTION = 0.9


def stationary_filling(params: Loading) -> float:
    """Return the probability of one atom after a long loading; 0 if nothing arrives."""
    if params.arrival_hz == 0:
        return 0.0
    return 1 / (2 - params.single_loss_fraction + params.loss_hz / params.arrival_hz)


def relaxation_hz(params: Loading) -> float:
    """Return the rate at which the filling approaches its stationary value."""
    return params.arrival_hz * (2 - params.single_loss_fraction) + params.loss_hz


def p_one(n0: int, t_s: float, params: Loading) -> float:
    """Return the probability of one atom after loading for t_s from n0 = 0 or 1 atom."""
    end = stationary_filling(params)
    return end + (n0 - end) * math.exp(-relaxation_hz(params) * t_s)


def load(rng: np.random.Generator, n0: int, t_s: float, params: Loading) -> int:
    """Draw the number of atoms, 0 or 1, after loading for t_s from n0; exact for any t_s, in any subdivision."""
    return int(rng.random() < p_one(n0, t_s, params))


def chain_generator(params: Loading, pair_hz: float, n_max: int) -> npt.NDArray[np.float64]:
    """Return the full chain's generator G (dp/dt = G p) for 0 to n_max atoms; float, shape (n_max + 1, n_max + 1).

    pair_hz is beta, per pair: the collision rate of n atoms is beta n(n-1)/2. Arrivals stop at n_max.
    """
    generator = np.zeros((n_max + 1, n_max + 1))
    for n in range(n_max + 1):
        pairs = pair_hz * n * (n - 1) / 2
        jumps = ((n + 1, params.arrival_hz if n < n_max else 0.0),
                 (n - 1, n * params.loss_hz + params.single_loss_fraction * pairs),
                 (n - 2, (1 - params.single_loss_fraction) * pairs))
        for to, rate in jumps:
            if rate > 0:
                generator[to, n] += rate
                generator[n, n] -= rate
    return generator


def chain_stationary(generator: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the stationary distribution of a generator, float, shape (n,)."""
    n = len(generator)
    rows = np.vstack((generator, np.ones(n)))
    return np.linalg.lstsq(rows, np.append(np.zeros(n), 1.0), rcond=None)[0]
