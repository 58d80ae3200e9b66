"""Arrays of tweezers as arrays of numbers: load, carry, and what happens where two atoms meet.

State of an array: occupied, bool, and temperature_k, float, both of shape (rows, columns); the temperature of an empty
site means nothing. Functions return new arrays. Sources: `sim.physics.loading`, `sim.physics.aod`; N. Schlosser et al.,
PRL 89, 023005 (2002), for two atoms that meet in near-resonant light and are both lost.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.aod import Moves, phonons, survival, temperature_after_k
from sim.physics.loading import Loading, relaxation_hz, stationary_filling
from sim.physics.trap import Trap, frequencies_hz

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Sites(NamedTuple):
    """An array: occupied, bool, shape (rows, columns), and temperature_k, float, of the same shape."""

    occupied: Bools
    temperature_k: Floats


def load_sites(rng: np.random.Generator, sites: Sites, t_s: float, temperature_k: float, params: Loading) -> Sites:
    """Draw the array after loading for t_s; every site as `sim.physics.loading.load`, new atoms at temperature_k."""
    end = stationary_filling(params)
    kept = math.exp(-relaxation_hz(params) * t_s)
    occupied = rng.random(sites.occupied.shape) < end + (sites.occupied - end) * kept
    return Sites(occupied, np.where(occupied & ~sites.occupied, temperature_k, sites.temperature_k))


def idle(rng: np.random.Generator, sites: Sites, t_s: float, vacuum_lifetime_s: float) -> Sites:
    """Draw the array after waiting for t_s in the dark."""
    stays = rng.random(sites.occupied.shape) < math.exp(-t_s / vacuum_lifetime_s)
    return Sites(sites.occupied & stays, sites.temperature_k)


def carry(rng: np.random.Generator, sites: Sites, start: Ints, stop: Ints, site_m: float, time_s: float, trap: Trap,
          mass_kg: float, moves: Moves) -> Sites:
    """Draw the array after one move of the AOD; start, stop, int, shape (n, 2): row and column of each tweezer.

    All tweezers travel for time_s. A tweezer over an empty site carries nothing; an atom put down where another stayed
    is lost with it. Raises ScenarioError for a site outside the array, or where two tweezers start or stop together.
    """
    _check(sites.occupied.shape, start, stop)
    occupied, temperature = sites.occupied.copy(), sites.temperature_k.copy()
    held = occupied[start[:, 0], start[:, 1]]
    begin, end = start[held], stop[held]
    warm = temperature[begin[:, 0], begin[:, 1]]
    way = site_m * np.hypot(*(end - begin).T)
    omega = 2 * math.pi * frequencies_hz(trap, mass_kg)[0]
    kept = survival(way, moves, omega, mass_kg, warm, trap.depth_k, time_s)
    stays = rng.random(len(way)) < kept
    occupied[begin[:, 0], begin[:, 1]] = False
    hot = temperature_after_k(phonons(way, time_s, omega, mass_kg, moves.profile), omega, 0.0) + warm
    begin, end, hot = begin[stays], end[stays], hot[stays]
    met = occupied[end[:, 0], end[:, 1]]
    occupied[end[:, 0], end[:, 1]] = ~met
    temperature[end[:, 0], end[:, 1]] = hot
    return Sites(occupied, temperature)


def _check(shape: tuple[int, ...], start: Ints, stop: Ints) -> None:
    for name, places in (("start", start), ("stop", stop)):
        if len(places) and (places.min() < 0 or np.any(places.max(axis=0) >= shape)):
            raise ScenarioError(f"Argument `{name}` holds a site outside the array of {shape[0]} x {shape[1]} sites.")
        if len(np.unique(places[:, 0] * shape[1] + places[:, 1])) < len(places):
            raise ScenarioError(f"Argument `{name}` holds one site twice: two tweezers would meet.")
