"""Arrays of tweezers: loading, waiting, carrying, and meeting."""

import math

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.aod import Moves, phonons, survival
from sim.physics.arrays import Sites, carry, idle, load_sites
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S
from sim.physics.loading import RED_SINGLE_LOSS_FRACTION, Loading, p_one
from sim.physics.species import RB87
from sim.physics.trap import Trap, frequencies_hz

TRAP = Trap(1e-3, 1e-6, 852e-9)
OMEGA = 2 * math.pi * frequencies_hz(TRAP, RB87.mass_kg)[0]
MOVES = Moves("cubic", 0.55, 100e-6, 100e-6, 0.005, 20.0)
LOSSLESS = Moves("cubic", 0.55, 100e-6, 0.0, 0.0, 1e9)


def full(rows: int, columns: int) -> Sites:
    return Sites(np.ones((rows, columns), dtype=bool), np.full((rows, columns), 20e-6))


def some(shape: tuple[int, int], *places: tuple[int, int]) -> Sites:
    occupied = np.zeros(shape, dtype=bool)
    for place in places:
        occupied[place] = True
    return Sites(occupied, np.full(shape, 20e-6))


def moved(sites: Sites, start: list[tuple[int, int]], stop: list[tuple[int, int]], moves: Moves = LOSSLESS) -> Sites:
    return carry(np.random.default_rng(1), sites, np.array(start).reshape(-1, 2), np.array(stop).reshape(-1, 2), 5e-6,
                 100e-6, TRAP, RB87.mass_kg, moves)


@pytest.mark.parametrize("loaded", [False, True])
def test_every_site_loads_as_the_chain_says(loaded: bool) -> None:
    """90,000 sites, 4 sigma."""
    params, shape = Loading(100.0, 1.0, RED_SINGLE_LOSS_FRACTION), (300, 300)
    before = full(*shape) if loaded else some(shape)
    after = load_sites(np.random.default_rng(2), before, 5e-3, 30e-6, params)
    p = p_one(int(loaded), 5e-3, params)
    assert abs(after.occupied.mean() - p) < 4 * math.sqrt(p * (1 - p) / 90_000)
    assert np.all(after.temperature_k[after.occupied] == (20e-6 if loaded else 30e-6))


def test_waiting_loses_atoms_to_the_vacuum() -> None:
    """90,000 atoms for a tenth of the lifetime, 4 sigma."""
    p = math.exp(-0.1)
    kept = idle(np.random.default_rng(3), full(300, 300), 2.0, 20.0).occupied.mean()
    assert abs(kept - p) < 4 * math.sqrt(p * (1 - p) / 90_000)


def test_atoms_go_where_they_are_carried_and_get_warmer() -> None:
    after = moved(some((4, 6), (1, 0), (1, 2), (3, 3)), [(1, 0), (1, 2)], [(1, 3), (1, 5)])
    assert {tuple(place) for place in np.argwhere(after.occupied).tolist()} == {(1, 3), (1, 5), (3, 3)}
    quanta = float(phonons(15e-6, 100e-6, OMEGA, RB87.mass_kg, "cubic"))
    gained = HBAR_J_S * OMEGA * quanta / (3 * BOLTZMANN_J_K)
    assert after.temperature_k[1, 3] == pytest.approx(20e-6 + gained)
    assert after.temperature_k[3, 3] == 20e-6


def test_a_line_can_be_shifted_onto_sites_that_it_leaves() -> None:
    after = moved(some((1, 4), (0, 0), (0, 1)), [(0, 0), (0, 1)], [(0, 1), (0, 2)])
    assert after.occupied.tolist() == [[False, True, True, False]]


def test_a_tweezer_over_an_empty_site_carries_nothing() -> None:
    after = moved(some((1, 4), (0, 3)), [(0, 0)], [(0, 2)])
    assert after.occupied.tolist() == [[False, False, False, True]]


def test_an_atom_put_onto_another_is_lost_with_it() -> None:
    assert not moved(some((1, 4), (0, 0), (0, 2)), [(0, 0)], [(0, 2)]).occupied.any()


def test_survival_of_a_carried_array_is_that_of_the_move_model() -> None:
    """One tweezer for each of 40,000 atoms, one site on; 4 sigma."""
    rows = 40_000
    sites = Sites(np.tile([True, False], (rows, 1)), np.full((rows, 2), 20e-6))
    start = np.stack((np.arange(rows), np.zeros(rows, dtype=int)), axis=1)
    after = carry(np.random.default_rng(4), sites, start, start + (0, 1), 5e-6, 100e-6, TRAP, RB87.mass_kg, MOVES)
    p = float(survival(5e-6, MOVES, OMEGA, RB87.mass_kg, 20e-6, 1e-3, 100e-6))
    assert not after.occupied[:, 0].any()
    assert abs(after.occupied[:, 1].mean() - p) < 4 * math.sqrt(p * (1 - p) / rows)


def test_the_array_before_is_left_as_it_was() -> None:
    before = some((1, 3), (0, 0))
    moved(before, [(0, 0)], [(0, 2)])
    assert before.occupied.tolist() == [[True, False, False]]


@pytest.mark.parametrize(("start", "stop", "message"), [
    ([(0, 0)], [(0, 3)], "`stop` holds a site outside the array of 1 x 3"),
    ([(0, -1)], [(0, 1)], "`start` holds a site outside"),
    ([(0, 0), (0, 1)], [(0, 2), (0, 2)], "`stop` holds one site twice"),
])
def test_impossible_moves_are_refused(start: list, stop: list, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        moved(some((1, 3), (0, 0)), start, stop)
